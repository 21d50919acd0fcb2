"""What happens to workloads in a cluster, step by step, under questions that never pause."""

from __future__ import annotations

import itertools
import secrets

import pytest

from tests.cluster.api_client import ApiClient, Object, namespace, path_of
from tests.cluster.asking import Asking
from tests.cluster.control_plane import ControlPlane
from tests.cluster.controllers import Controllers
from tests.cluster.daemon import Daemon
from tests.cluster.expect import MADE, NODATA, NXDOMAIN, becomes, comes_to, reverse, vanishes
from tests.cluster.objects import deployment, endpoint, endpoint_slice, headless, pod, service, stateful_set
from tests.cluster.program import until
from tests.cluster.workloads import Pod, pods_of

pytestmark = pytest.mark.cluster


@pytest.fixture
def cluster(control_plane: ControlPlane, controllers: Controllers) -> ApiClient:
    """A cluster's API, with everything behind it that makes pods."""
    return control_plane.api


def ips(pods: list[Pod]) -> frozenset[str]:
    return frozenset(each.ip for each in pods)


def scale(api: ApiClient, workload: Object, replicas: int) -> None:
    api.patch(workload, {"spec": {"replicas": replicas}})


def label(api: ApiClient, space: str, name: str, **labels: str | None) -> None:
    """Set labels of a pod; None takes one away."""
    api.patch(pod(space, name), {"metadata": {"labels": labels}})


def its_slices_are_collected(api: ApiClient, controllers: Controllers, daemon: Daemon, deleted: Object) -> None:
    """Return when the slices of a Service that was deleted are gone too, and the daemon knows.

    The garbage collector takes its time. What is made again before is answered from the slices of its former life, and
    has none for a moment when they go: so says the API server, and so do we.
    """
    space, name = deleted["metadata"]["namespace"], deleted["metadata"]["name"]
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{space}/endpointslices"
    left = f"{slices}?labelSelector=kubernetes.io/service-name={name}"
    until(f"{name} has no slices", lambda: not api.get(left)["items"], within=MADE, check=controllers.check)
    marker = "marker-" + secrets.token_hex(4)  # a watch tells in order: who knows of this knows of what was before
    api.create(headless(space, marker))
    api.create(endpoint_slice(space, marker, [endpoint("192.0.2.1")]))
    becomes(daemon, f"{marker}.{space}.svc.cluster.local", "A", "192.0.2.1")


def test_a_deployment_is_created_scaled_and_deleted(
    cluster: ApiClient, controllers: Controllers, daemon: Daemon, space: str
) -> None:
    name = f"web.{space}.svc.cluster.local"
    cluster.create(headless(space, "web", selector={"app": "web"}))
    workload = deployment(space, "web", 2)
    with Asking(daemon, (name, "A")) as asking:
        assert daemon.answers(name, "A") == NXDOMAIN
        cluster.create(workload)
        two = ips(pods_of(cluster, controllers, workload))
        comes_to(daemon, name, "A", two, within=MADE)
        scale(cluster, workload, 5)
        five = ips(pods_of(cluster, controllers, workload, 5))
        comes_to(daemon, name, "A", five, within=MADE)
        assert two < five
        scale(cluster, workload, 1)
        [one] = ips(pods_of(cluster, controllers, workload, 1))
        comes_to(daemon, name, "A", [one], within=MADE)
        scale(cluster, workload, 0)
        vanishes(daemon, name, "A", one, within=MADE)
        cluster.delete(workload)
    history = asking.history(name, "A")
    assert history[0] == history[-1] == NXDOMAIN
    assert NXDOMAIN not in history[1:-1]
    assert asking.ever(name, "A") == five | NXDOMAIN


def test_scaled_to_a_thousand_and_back(
    cluster: ApiClient, controllers: Controllers, daemon: Daemon, space: str
) -> None:
    name, many = f"db.{space}.svc.cluster.local", 1_000
    cluster.create(headless(space, "db", selector={"app": "db"}))
    workload = stateful_set(space, "db", 1)
    cluster.create(workload)
    [first] = pods_of(cluster, controllers, workload)
    becomes(daemon, name, "A", first.ip, within=MADE)
    with (
        Asking(daemon, (name, "A"), tcp=True, pause=0.2) as whole,
        Asking(daemon, (f"db-0.{name}", "A"), (reverse(first.ip), "PTR"), (f"db-7.{name}", "A")) as single,
    ):
        scale(cluster, workload, many)
        pods = pods_of(cluster, controllers, workload, many)
        comes_to(daemon, name, "A", ips(pods), within=5 * MADE, tcp=True)
        slices = f"/apis/discovery.k8s.io/v1/namespaces/{space}/endpointslices"
        assert len(cluster.get(slices)["items"]) >= 10
        for each in pods:
            assert daemon.answers(f"{each.name}.{name}", "A") == {each.ip}
            assert daemon.answers(reverse(each.ip), "PTR") == {f"{each.name}.{name}."}
        scale(cluster, workload, 1)
        comes_to(daemon, name, "A", [first.ip], within=5 * MADE, tcp=True)
        for each in pods[1:]:
            assert daemon.answers(f"{each.name}.{name}", "A") == NXDOMAIN
            assert daemon.answers(reverse(each.ip), "PTR") == NXDOMAIN
    assert first.ip in frozenset.intersection(*whole.history(name, "A"))  # it was there throughout
    assert whole.ever(name, "A") == ips(pods)
    assert single.history(f"db-0.{name}", "A") == [{first.ip}]
    assert single.history(reverse(first.ip), "PTR") == [{f"db-0.{name}."}]
    [seventh] = (each.ip for each in pods if each.name == "db-7")
    assert single.history(f"db-7.{name}", "A") == [NXDOMAIN, {seventh}, NXDOMAIN]


def test_a_pod_flips_between_ready_and_not(
    cluster: ApiClient, controllers: Controllers, daemon: Daemon, space: str
) -> None:
    name, early = f"db.{space}.svc.cluster.local", f"db-early.{space}.svc.cluster.local"
    cluster.create(headless(space, "db", selector={"app": "db"}))
    cluster.create(headless(space, "db-early", selector={"app": "db"}, publishNotReadyAddresses=True))
    workload = stateful_set(space, "db", 3)
    cluster.create(workload)
    pods = pods_of(cluster, controllers, workload)
    every, without = ips(pods), ips(pods[:1] + pods[2:])
    for service_name in (name, early):
        comes_to(daemon, service_name, "A", every, within=MADE)
    questions = [(name, "A"), (early, "A"), (f"db-1.{name}", "A"), (f"db-0.{name}", "A")]
    with Asking(daemon, *questions) as asking:
        for _ in range(5):
            label(cluster, space, "db-1", ready="no")
            comes_to(daemon, name, "A", without, within=MADE)
            assert daemon.answers(f"db-1.{name}", "A") == NXDOMAIN
            assert f"0 50 5432 db-1.{name}." not in daemon.answers(f"_pg._tcp.{name}", "SRV")
            asking.settle()
            label(cluster, space, "db-1", ready=None)
            comes_to(daemon, name, "A", every, within=MADE)
            assert daemon.answers(f"db-1.{name}", "A") == {pods[1].ip}
            asking.settle()
    assert asking.history(name, "A") == [every, *[without, every] * 5]
    assert asking.history(f"db-1.{name}", "A") == [{pods[1].ip}, *[NXDOMAIN, {pods[1].ip}] * 5]
    assert asking.history(early, "A") == [every]
    assert asking.history(f"db-0.{name}", "A") == [{pods[0].ip}]


def test_all_pods_flip_at_once(cluster: ApiClient, controllers: Controllers, daemon: Daemon, space: str) -> None:
    name = f"db.{space}.svc.cluster.local"
    cluster.create(headless(space, "db", selector={"app": "db"}))
    workload = stateful_set(space, "db", 3)
    cluster.create(workload)
    pods = pods_of(cluster, controllers, workload)
    comes_to(daemon, name, "A", ips(pods), within=MADE)
    for each in pods:
        label(cluster, space, each.name, ready="no")
    comes_to(daemon, name, "A", NXDOMAIN, within=MADE)
    assert daemon.answers(f"_pg._tcp.{name}", "SRV") == NXDOMAIN
    for each in pods:
        label(cluster, space, each.name, ready=None)
    comes_to(daemon, name, "A", ips(pods), within=MADE)


def test_a_pod_is_replaced(cluster: ApiClient, controllers: Controllers, daemon: Daemon, space: str) -> None:
    name = f"db.{space}.svc.cluster.local"
    cluster.create(headless(space, "db", selector={"app": "db"}))
    workload = stateful_set(space, "db", 3)
    cluster.create(workload)
    before = pods_of(cluster, controllers, workload)
    comes_to(daemon, name, "A", ips(before), within=MADE)
    replaced, stays = f"db-1.{name}", f"db-0.{name}"
    old = before[1].ip
    with Asking(daemon, (replaced, "A"), (name, "A"), (stays, "A"), (reverse(old), "PTR")) as asking:
        cluster.delete(pod(space, "db-1"))

        def another() -> Pod | None:
            there = {each.name: each for each in pods_of(cluster, controllers, workload)}
            return there["db-1"] if there["db-1"].ip != old else None

        new = until("db-1 is another pod", another, within=MADE).ip
        comes_to(daemon, name, "A", ips(before) - {old} | {new}, within=MADE)
        assert daemon.answers(replaced, "A") == {new}
        assert daemon.answers(reverse(new), "PTR") == {f"{replaced}."}
    steps = [frozenset([old]), NXDOMAIN, frozenset([new])]  # the middle one may be too short for a question
    assert asking.history(replaced, "A") in (steps, [steps[0], steps[2]])
    with_old = [old in answer for answer in asking.history(name, "A")]
    assert with_old == sorted(with_old, reverse=True)
    assert not any({old, new} <= answer for answer in asking.history(name, "A"))
    assert ips(before) - {old} <= frozenset.intersection(*asking.history(name, "A"))
    assert asking.history(stays, "A") == [{before[0].ip}]
    assert asking.history(reverse(old), "PTR") == [{f"{replaced}."}, NXDOMAIN]


def test_a_rolling_update_leaves_nobody_out(
    cluster: ApiClient, controllers: Controllers, daemon: Daemon, space: str
) -> None:
    name = f"web.{space}.svc.cluster.local"
    cluster.create(headless(space, "web", selector={"app": "web"}))
    workload = deployment(space, "web", 4)
    cluster.create(workload)
    before = ips(pods_of(cluster, controllers, workload))
    comes_to(daemon, name, "A", before, within=MADE)
    with Asking(daemon, (name, "A")) as asking:
        cluster.patch(workload, {"spec": {"template": {"metadata": {"annotations": {"restarted": "now"}}}}})

        def all_others() -> frozenset[str] | None:
            now = ips(pods_of(cluster, controllers, workload))
            return now if not now & before else None

        after = until("every pod is another one", all_others, within=MADE)
        comes_to(daemon, name, "A", after, within=MADE)
    history = asking.history(name, "A")
    assert min(map(len, history)) >= 3  # a Deployment lets a quarter of its pods be missing
    assert NXDOMAIN not in history
    gone: set[str] = set()
    for earlier, later in itertools.pairwise(history):
        gone |= earlier - later
        assert not gone & later  # no address comes back


def test_the_selector_changes(cluster: ApiClient, controllers: Controllers, daemon: Daemon, space: str) -> None:
    name = f"db.{space}.svc.cluster.local"
    db = headless(space, "db", selector={"app": "blue"})
    for of in (db, headless(space, "green", selector={"app": "green"})):
        cluster.create(of)
    blue, green = deployment(space, "blue", 2), deployment(space, "green", 3)
    for workload in (blue, green):
        cluster.create(workload)
    blues, greens = (ips(pods_of(cluster, controllers, workload)) for workload in (blue, green))
    comes_to(daemon, name, "A", blues, within=MADE)
    # Then the controller knows of all of them, and does not begin with those that it knows.
    comes_to(daemon, f"green.{space}.svc.cluster.local", "A", greens, within=MADE)
    with Asking(daemon, (name, "A")) as asking:
        cluster.patch(db, {"spec": {"selector": {"app": "green"}}})
        becomes(daemon, name, "A", *greens, before=blues, within=MADE)
        [address, *_] = blues
        assert daemon.answers(reverse(address), "PTR") == NXDOMAIN
        asking.settle()
        cluster.patch(db, {"spec": {"selector": {"app": "nobody"}}})
        becomes(daemon, name, "A", "NXDOMAIN", before=greens, within=MADE)
        asking.settle()
        cluster.patch(db, {"spec": {"selector": {"app": "blue"}}})
        becomes(daemon, name, "A", *blues, within=MADE)
    assert asking.history(name, "A") == [blues, greens, NXDOMAIN, blues]


def test_a_pods_labels_move_it_to_another_service(
    cluster: ApiClient, controllers: Controllers, daemon: Daemon, space: str
) -> None:
    active, spare = f"active.{space}.svc.cluster.local", f"spare.{space}.svc.cluster.local"
    for role in ("active", "spare"):
        cluster.create(headless(space, role, selector={"app": "db", "role": role}))
    workload = stateful_set(space, "db", 2)
    cluster.create(workload)
    first, second = pods_of(cluster, controllers, workload)
    label(cluster, space, first.name, role="active")
    label(cluster, space, second.name, role="spare")
    becomes(daemon, active, "A", first.ip, within=MADE)
    becomes(daemon, spare, "A", second.ip, within=MADE)
    label(cluster, space, second.name, role="active")
    becomes(daemon, active, "A", first.ip, second.ip, before=frozenset([first.ip]), within=MADE)
    vanishes(daemon, spare, "A", second.ip, within=MADE)
    label(cluster, space, first.name, role="spare")
    becomes(daemon, active, "A", second.ip, before=frozenset([first.ip, second.ip]), within=MADE)
    becomes(daemon, spare, "A", first.ip, within=MADE)


def test_a_service_is_deleted_and_made_again(
    cluster: ApiClient, controllers: Controllers, daemon: Daemon, space: str
) -> None:
    name, db = f"db.{space}.svc.cluster.local", headless(space, "db", selector={"app": "db"})
    cluster.create(db)
    workload = stateful_set(space, "db", 3)
    cluster.create(workload)
    pods = pods_of(cluster, controllers, workload)
    comes_to(daemon, name, "A", ips(pods), within=MADE)
    with Asking(daemon, (name, "A"), (f"db-2.{name}", "A")) as asking:
        for _ in range(3):
            cluster.delete(db)
            vanishes(daemon, name, "A", *ips(pods))
            assert daemon.answers(f"db-2.{name}", "A") == NXDOMAIN
            its_slices_are_collected(cluster, controllers, daemon, db)
            asking.settle()
            cluster.create(db)
            becomes(daemon, name, "A", *ips(pods), within=MADE)
            asking.settle()
    assert asking.history(name, "A") == [ips(pods), *[NXDOMAIN, ips(pods)] * 3]
    assert asking.history(f"db-2.{name}", "A") == [{pods[2].ip}, *[NXDOMAIN, {pods[2].ip}] * 3]


def test_a_service_flips_between_headless_and_cluster_ip(
    cluster: ApiClient, controllers: Controllers, daemon: Daemon, space: str
) -> None:
    name, db = f"db.{space}.svc.cluster.local", headless(space, "db", selector={"app": "db"})
    cluster.create(db)
    workload = stateful_set(space, "db", 2)
    cluster.create(workload)
    pods = pods_of(cluster, controllers, workload)
    comes_to(daemon, name, "A", ips(pods), within=MADE)
    expected = [ips(pods)]
    with Asking(daemon, (name, "A")) as asking:
        for _ in range(3):
            cluster.delete(db)
            vanishes(daemon, name, "A", *ips(pods))
            its_slices_are_collected(cluster, controllers, daemon, db)
            asking.settle()
            ip = cluster.create(service(space, "db", selector={"app": "db"}))["spec"]["clusterIP"]
            becomes(daemon, name, "A", ip)
            assert daemon.answers(f"_pg._tcp.{name}", "SRV") == {f"0 100 5432 {name}."}
            assert daemon.answers(reverse(ip), "PTR") == {f"{name}."}
            asking.settle()
            cluster.delete(db)
            vanishes(daemon, name, "A", ip)
            assert daemon.answers(reverse(ip), "PTR") == NXDOMAIN
            its_slices_are_collected(cluster, controllers, daemon, db)
            asking.settle()
            cluster.create(db)
            becomes(daemon, name, "A", *ips(pods), within=MADE)
            assert daemon.answers(f"db-1.{name}", "A") == {pods[1].ip}
            asking.settle()
            expected += [NXDOMAIN, frozenset([ip]), NXDOMAIN, ips(pods)]
    assert asking.history(name, "A") == expected


def test_a_namespace_is_deleted_and_made_again(cluster: ApiClient, controllers: Controllers, daemon: Daemon) -> None:
    space = "t-" + secrets.token_hex(4)
    name, domain = f"db.{space}.svc.cluster.local", f"{space}.svc.cluster.local"
    workload = stateful_set(space, "db", 2)

    def make() -> list[Pod]:
        for obj in (namespace(space), headless(space, "db", selector={"app": "db"}), workload):
            cluster.create(obj)
        pods = pods_of(cluster, controllers, workload)
        comes_to(daemon, name, "A", ips(pods), within=MADE)
        becomes(daemon, domain, "A")
        return pods

    with Asking(daemon, (name, "A"), (f"db-0.{name}", "A"), (domain, "A")) as asking:
        first = make()
        cluster.delete(namespace(space))
        until("the Namespace is gone", lambda: not cluster.exists(path_of(namespace(space))), within=MADE)
        for gone in (name, f"db-0.{name}", domain):
            comes_to(daemon, gone, "A", NXDOMAIN)
        for each in first:
            comes_to(daemon, reverse(each.ip), "PTR", NXDOMAIN)
        asking.settle()
        second = make()
    assert not ips(first) & ips(second)
    assert asking.ever(name, "A") == ips(first) | ips(second) | NXDOMAIN
    answers = asking.history(name, "A")
    last_of_first = max(place for place, answer in enumerate(answers) if answer & ips(first))
    assert last_of_first < min(place for place, answer in enumerate(answers) if answer & ips(second))
    assert asking.history(f"db-0.{name}", "A") == [NXDOMAIN, {first[0].ip}, NXDOMAIN, {second[0].ip}]
    assert asking.history(domain, "A") == [NXDOMAIN, NODATA, NXDOMAIN, NODATA]
