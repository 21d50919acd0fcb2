"""What is asked: each scenario is a row of questions of one sort."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.cluster import PORT_NAME, Cluster
from bench.zone import EXTERNAL, EXTERNAL_HOSTS, MISSES

NOERROR, NXDOMAIN = 0, 3


@dataclass(frozen=True)
class Question:
    """A name without its final dot, a type."""

    name: str
    type: str


@dataclass(frozen=True)
class Scenario:
    """
    Attributes:
        name: as in `bench/run --scenario NAME`.
        title: the head of its column. meaning: one line for the README and the results.
        questions: asked in turn.
        answers: records in the answer section of each reply; rcode: of each reply.
        own: whether the names lie in the cluster's zone.
    """

    name: str
    title: str
    meaning: str
    questions: tuple[Question, ...]
    answers: int
    rcode: int = NOERROR
    own: bool = True


def hit_scenarios(cluster: Cluster) -> tuple[Scenario, ...]:
    """Everything whose answer a server has ready."""
    pods = [Question(f"{pod.name}.{service.domain}", "A") for service in cluster.stateful for pod in service.pods]
    rings = [Question(service.domain, "A") for service in cluster.rings]
    ports = [Question(f"_{PORT_NAME}._tcp.{service.domain}", "SRV") for service in cluster.stateful]
    hosts = [Question(f"host-{number:03}.{EXTERNAL}", "A") for number in range(EXTERNAL_HOSTS)]
    # What a search list makes of a name outside the cluster, before the name itself is asked.
    absent = [Question(f"{host.name}.{cluster.stateful[0].namespace}.svc.cluster.local", "A") for host in hosts]
    return (
        Scenario("pod-a", "pod A", "A of one pod of a headless Service; 600 names", tuple(pods), 1),
        Scenario("headless-a", "10 addresses", "A of a headless Service with ten pods; 20 names", tuple(rings), 10),
        Scenario("srv", "SRV", "SRV of a headless Service with three pods; 200 names", tuple(ports), 3),
        Scenario(
            "external", "external", "A of a name outside the cluster, cached; 200 names", tuple(hosts), 1, own=False
        ),
        Scenario(
            "nxdomain",
            "NXDOMAIN",
            "a name that the cluster's zone does not have, as search lists make them; 200 names",
            tuple(absent),
            0,
            NXDOMAIN,
        ),
    )


def miss_scenario(tag: str, count: int) -> Scenario:
    """Names that nobody has asked before, if `tag` is new."""
    names = tuple(Question(f"{tag}-{number}.{MISSES}", "A") for number in range(count))
    return Scenario("miss", "miss", "A of a name outside the cluster that no cache holds", names, 1, own=False)


def data_file(questions: Iterable[Question]) -> str:
    """dnsperf's input: a name and a type in each line."""
    return "".join(f"{question.name} {question.type}\n" for question in questions)
