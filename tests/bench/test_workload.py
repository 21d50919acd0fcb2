"""Everybody tells the same: the zone file, the daemon with the manifests, and the upstream with its canned answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.zone
import pytest

from bench.cluster import ZONE, Cluster, large
from bench.scenarios import NOERROR, Question, Scenario, hit_scenarios, miss_scenario
from bench.zone import EXTERNAL, external_records, zone_file
from tests.support.daemon import Daemon, running
from tests.support.told import Told, told_by


@pytest.fixture(scope="module")
def zone(cluster: Cluster) -> dns.zone.Zone:
    return dns.zone.from_text(zone_file(cluster), origin=f"{ZONE}.", relativize=False)


@pytest.fixture(scope="module")
def daemon(shared: Path, upstream: int) -> Iterator[Daemon]:
    with running("--manifests", str(shared / "cluster.yaml"), "--upstream", f"127.0.0.1:{upstream}") as daemon:
        yield daemon


def in_zone(zone: dns.zone.Zone, question: Question) -> Told:
    """What the zone file says to a question."""
    name = dns.name.from_text(question.name)
    if name not in zone:
        return dns.rcode.NXDOMAIN, frozenset()
    rrset = zone.get_rdataset(name, question.type)
    return dns.rcode.NOERROR, frozenset(record.to_text() for record in rrset or ())


def scenarios(cluster: Cluster, *, own: bool) -> Iterator[Scenario]:
    return (scenario for scenario in hit_scenarios(cluster) if scenario.own == own)


def test_a_scenario_says_what_the_zone_says(cluster: Cluster, zone: dns.zone.Zone) -> None:
    for scenario in scenarios(cluster, own=True):
        for question in scenario.questions:
            rcode, records = in_zone(zone, question)
            assert (rcode, len(records)) == (scenario.rcode, scenario.answers), question


def test_the_daemon_and_the_upstream_tell_what_the_zone_file_says(
    cluster: Cluster, zone: dns.zone.Zone, daemon: Daemon, upstream: int
) -> None:
    for scenario in scenarios(cluster, own=True):
        for question in scenario.questions:
            expected = in_zone(zone, question)
            assert told_by(daemon.server[1], question) == expected, question
            assert told_by(upstream, question) == expected, question


def test_names_outside_the_cluster_come_from_the_upstream(cluster: Cluster, daemon: Daemon, upstream: int) -> None:
    address = {record.name: record.data for record in external_records() if record.type == "A"}
    for scenario in scenarios(cluster, own=False):
        for question in scenario.questions:
            expected = (NOERROR, frozenset([address[question.name]]))
            assert told_by(daemon.server[1], question) == expected
            assert told_by(upstream, question) == expected


def test_a_miss_is_a_name_that_nobody_asked_and_that_exists(daemon: Daemon, upstream: int) -> None:
    first, second = miss_scenario("one", 3), miss_scenario("two", 3)
    assert not set(first.questions) & set(second.questions)
    for question in (*first.questions, *second.questions):
        assert told_by(daemon.server[1], question) == told_by(upstream, question) == (0, frozenset(["203.0.113.1"]))


def test_the_upstream_serves_tcp_edns_and_spelling(upstream: int) -> None:
    name = f"HOST-007.{EXTERNAL}"
    reply = dns.query.tcp(dns.message.make_query(name, "A", use_edns=0), "127.0.0.1", port=upstream, timeout=5)
    assert reply.rcode() == dns.rcode.NOERROR
    assert reply.question[0].name.to_text() == f"{name}."
    assert (reply.edns, reply.payload) == (0, 1232)
    assert dns.flags.RA in dns.flags.Flag(reply.flags)


def test_the_upstream_knows_nodata_and_refuses_what_it_does_not_hold(cluster: Cluster, upstream: int) -> None:
    pod = hit_scenarios(cluster)[0].questions[0].name
    nodata = dns.query.udp(dns.message.make_query(pod, "AAAA"), "127.0.0.1", port=upstream, timeout=5)
    assert (nodata.rcode(), nodata.answer) == (dns.rcode.NOERROR, [])
    assert nodata.authority[0].rdtype == dns.rdatatype.SOA
    assert told_by(upstream, Question("other.example.org", "A"))[0] == dns.rcode.REFUSED


def test_the_large_cluster_is_as_large_as_it_is_said_to_be() -> None:
    services = large().services
    assert len(services) == 10_000
    assert len({pod.address for service in services for pod in service.pods}) == 100_000
    assert len({(service.namespace, service.name) for service in services}) == 10_000
