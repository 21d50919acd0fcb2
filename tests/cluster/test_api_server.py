"""The daemon against a real API server: objects made through the API come out as DNS, and follow every change."""

from __future__ import annotations

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dns.rcode
import dns.rdatatype
import pytest

from tests.cluster.api_client import namespace
from tests.cluster.control_plane import ControlPlane
from tests.cluster.daemon import Daemon
from tests.cluster.expect import FOLLOWS, NODATA, NXDOMAIN, SYNCS, becomes, reverse, vanishes, wait_until_ready
from tests.cluster.objects import endpoint, endpoint_slice, headless, service, service_account
from tests.cluster.program import until

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def records(control_plane: ControlPlane, daemon: Daemon) -> str:
    """A Namespace with a Service of every kind, all of it known to the daemon."""
    api, name = control_plane.api, "records"
    api.create(namespace(name))
    dual = {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4", "IPv6"]}
    http = [{"name": "http", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}]
    api.create(headless(name, "db", **dual))
    db = [endpoint("10.1.0.1", "db-0"), endpoint("10.1.0.2"), endpoint("10.1.0.3", "db-2", ready=False)]
    api.create(endpoint_slice(name, "db", db))
    api.create(endpoint_slice(name, "db", [endpoint("fd00:1::1", "db-0")], suffix="6", family="IPv6"))
    ips = ["10.96.0.80", "fd00:10:96::80"]
    api.create(service(name, "web", clusterIP=ips[0], clusterIPs=ips, ports=http, **dual))
    api.create(headless(name, "empty"))
    api.create(service(name, "alias", type="ExternalName", externalName=f"web.{name}.svc.cluster.local", ports=[]))
    api.create(service(name, "mail", type="ExternalName", externalName="mail.example.org", ports=[]))
    # The last of each kind: within a kind the order is that of the API.
    becomes(daemon, f"mail.{name}.svc.cluster.local", "CNAME", "mail.example.org.")
    becomes(daemon, reverse("fd00:1::1"), "PTR", f"db-0.db.{name}.svc.cluster.local.")
    becomes(daemon, f"{name}.svc.cluster.local", "A")
    # Made by the API server itself, a moment after its start.
    becomes(daemon, "kubernetes.default.svc.cluster.local", "A", "10.96.0.1", within=SYNCS)
    return name


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize(
    ("name", "rdtype", "expected"),
    [
        ("db.records.svc.cluster.local", "A", {"10.1.0.1", "10.1.0.2"}),
        ("DB.Records.SVC.cluster.LOCAL", "AAAA", {"fd00:1::1"}),
        ("db.records.svc.cluster.local", "TXT", NODATA),
        ("db-0.db.records.svc.cluster.local", "A", {"10.1.0.1"}),
        ("db-0.db.records.svc.cluster.local", "AAAA", {"fd00:1::1"}),
        ("10-1-0-2.db.records.svc.cluster.local", "A", {"10.1.0.2"}),
        ("10-1-0-2.db.records.svc.cluster.local", "AAAA", NODATA),
        ("db-2.db.records.svc.cluster.local", "A", NXDOMAIN),  # not ready
        (reverse("10.1.0.1"), "PTR", {"db-0.db.records.svc.cluster.local."}),
        (reverse("10.1.0.2"), "PTR", {"10-1-0-2.db.records.svc.cluster.local."}),
        (reverse("fd00:1::1"), "PTR", {"db-0.db.records.svc.cluster.local."}),
        ("empty.records.svc.cluster.local", "A", NXDOMAIN),  # headless, no endpoint
        ("web.records.svc.cluster.local", "A", {"10.96.0.80"}),
        ("web.records.svc.cluster.local", "AAAA", {"fd00:10:96::80"}),
        ("_dns._udp.web.records.svc.cluster.local", "SRV", {"0 50 53 web.records.svc.cluster.local."}),
        ("_dns._tcp.web.records.svc.cluster.local", "SRV", NXDOMAIN),
        (reverse("10.96.0.80"), "PTR", {"web.records.svc.cluster.local."}),
        ("mail.records.svc.cluster.local", "CNAME", {"mail.example.org."}),
        ("alias.records.svc.cluster.local", "CNAME", {"web.records.svc.cluster.local."}),
        ("alias.records.svc.cluster.local", "A", {"10.96.0.80"}),
        ("kubernetes.default.svc.cluster.local", "A", {"10.96.0.1"}),  # made by the API server itself
        ("nobody.records.svc.cluster.local", "A", NXDOMAIN),
        ("records.svc.cluster.local", "A", NODATA),
        ("elsewhere.svc.cluster.local", "A", NXDOMAIN),
        ("dns-version.cluster.local", "TXT", {'"1.1.0"'}),
    ],
)
def test_records(daemon: Daemon, records: str, name: str, rdtype: str, expected: set[str], tcp: bool) -> None:
    assert daemon.answers(name, rdtype, tcp=tcp) == expected


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_srv_of_a_headless_service_brings_the_addresses(daemon: Daemon, records: str, tcp: bool) -> None:
    reply = daemon.ask(f"_pg._tcp.db.{records}.svc.cluster.local", "SRV", tcp=tcp)
    assert reply.rcode() == dns.rcode.NOERROR
    [srv] = reply.answer
    assert {(rdata.priority, rdata.port, rdata.target.to_text()) for rdata in srv} == {
        (0, 5432, f"db-0.db.{records}.svc.cluster.local."),
        (0, 5432, f"10-1-0-2.db.{records}.svc.cluster.local."),
    }
    additional = {(rrset.name.to_text(), rdata.to_text()) for rrset in reply.additional for rdata in rrset}
    assert additional == {
        (f"db-0.db.{records}.svc.cluster.local.", "10.1.0.1"),
        (f"db-0.db.{records}.svc.cluster.local.", "fd00:1::1"),
        (f"10-1-0-2.db.{records}.svc.cluster.local.", "10.1.0.2"),
    }


def test_a_negative_answer_carries_the_zones_soa(daemon: Daemon, records: str) -> None:
    reply = daemon.ask(f"nobody.{records}.svc.cluster.local", "A")
    assert [(rrset.name.to_text(), rrset.rdtype) for rrset in reply.authority] == [
        ("cluster.local.", dns.rdatatype.SOA)
    ]


def test_an_endpoint_is_replaced(control_plane: ControlPlane, daemon: Daemon, space: str) -> None:
    api, name = control_plane.api, f"db.{space}.svc.cluster.local"
    api.create(headless(space, "db"))
    api.create(endpoint_slice(space, "db", [endpoint("10.2.0.1", "db-0")]))
    becomes(daemon, name, "A", "10.2.0.1")
    api.replace(endpoint_slice(space, "db", [endpoint("10.2.0.99", "db-0")]))
    becomes(daemon, name, "A", "10.2.0.99", before=frozenset(["10.2.0.1"]))
    assert daemon.answers(f"db-0.{name}", "A") == {"10.2.0.99"}
    assert daemon.answers(reverse("10.2.0.99"), "PTR") == {f"db-0.{name}."}
    assert daemon.answers(reverse("10.2.0.1"), "PTR") == NXDOMAIN


def test_every_one_of_many_updates_arrives(control_plane: ControlPlane, daemon: Daemon, space: str) -> None:
    api, name = control_plane.api, f"db.{space}.svc.cluster.local"
    api.create(headless(space, "db"))
    api.create(endpoint_slice(space, "db", [endpoint("10.2.1.0")]))
    becomes(daemon, name, "A", "10.2.1.0")
    for i in range(1, 200):
        api.replace(endpoint_slice(space, "db", [endpoint(f"10.2.1.{i}")]))
        becomes(daemon, name, "A", f"10.2.1.{i}", before=frozenset([f"10.2.1.{i - 1}"]))


def test_readiness_flips(control_plane: ControlPlane, daemon: Daemon, space: str) -> None:
    api, name = control_plane.api, f"db.{space}.svc.cluster.local"
    first, second = "10.3.0.1", "10.3.0.2"
    both, only = frozenset([first, second]), frozenset([first])
    api.create(headless(space, "db"))
    api.create(endpoint_slice(space, "db", [endpoint(first, "db-0"), endpoint(second, "db-1")]))
    becomes(daemon, name, "A", *both)
    api.replace(endpoint_slice(space, "db", [endpoint(first, "db-0"), endpoint(second, "db-1", ready=False)]))
    becomes(daemon, name, "A", *only, before=both)
    assert daemon.answers(f"db-1.{name}", "A") == NXDOMAIN
    api.replace(endpoint_slice(space, "db", [endpoint(first, "db-0", ready=False)]))
    vanishes(daemon, name, "A", *only)
    api.replace(endpoint_slice(space, "db", [endpoint(first, "db-0"), endpoint(second, "db-1")]))
    becomes(daemon, name, "A", *both)
    assert daemon.answers(f"db-1.{name}", "A") == {second}


def test_slices_of_one_service_join(control_plane: ControlPlane, daemon: Daemon, space: str) -> None:
    api, name = control_plane.api, f"db.{space}.svc.cluster.local"
    first, second = "10.4.0.1", "10.4.0.2"
    both = frozenset([first, second])
    api.create(headless(space, "db"))
    api.create(endpoint_slice(space, "db", [endpoint(first)]))
    becomes(daemon, name, "A", first)
    more = endpoint_slice(space, "db", [endpoint(first), endpoint(second)], suffix="b")
    api.create(more)
    becomes(daemon, name, "A", *both, before=frozenset([first]))
    api.delete(more)
    becomes(daemon, name, "A", first, before=both)


def test_a_service_is_deleted_and_made_again_with_a_cluster_ip(
    control_plane: ControlPlane, daemon: Daemon, space: str
) -> None:
    api, name = control_plane.api, f"db.{space}.svc.cluster.local"
    api.create(headless(space, "db"))
    api.create(endpoint_slice(space, "db", [endpoint("10.5.0.1", "db-0")]))
    becomes(daemon, name, "A", "10.5.0.1")
    api.delete(headless(space, "db"))
    vanishes(daemon, name, "A", "10.5.0.1")
    assert daemon.answers(f"db-0.{name}", "A") == NXDOMAIN  # while its slice lives on
    made = api.create(service(space, "db"))
    becomes(daemon, name, "A", made["spec"]["clusterIP"])
    assert daemon.answers(reverse(made["spec"]["clusterIP"]), "PTR") == {f"{name}."}
    assert daemon.answers(f"_pg._tcp.{name}", "SRV") == {f"0 100 5432 {name}."}


def test_an_external_name_changes(control_plane: ControlPlane, daemon: Daemon, space: str) -> None:
    api, name = control_plane.api, f"mail.{space}.svc.cluster.local"
    mail = service(space, "mail", type="ExternalName", externalName="one.example.org", ports=[])
    api.create(mail)
    becomes(daemon, name, "CNAME", "one.example.org.")
    api.patch(mail, {"spec": {"externalName": "two.example.org"}})
    becomes(daemon, name, "CNAME", "two.example.org.", before=frozenset(["one.example.org."]))


def test_a_namespace_is_made_and_deleted(control_plane: ControlPlane, daemon: Daemon) -> None:
    name = "t-" + secrets.token_hex(4)
    assert daemon.answers(f"{name}.svc.cluster.local", "A") == NXDOMAIN
    control_plane.api.create(namespace(name))
    becomes(daemon, f"{name}.svc.cluster.local", "A")
    control_plane.api.delete_namespace(name)
    vanishes(daemon, f"{name}.svc.cluster.local", "A")


def test_sigterm_ends_it_with_watches_open(control_plane: ControlPlane, token: str, tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, control_plane.kubeconfig(token))
    daemon.program.start()
    try:
        wait_until_ready(daemon)
        assert daemon.program.terminate(within=10) == 0
    finally:
        daemon.program.kill()


def test_a_kind_that_rbac_denies_keeps_it_unready_until_granted(control_plane: ControlPlane, tmp_path: Path) -> None:
    api = control_plane.api
    half = {"apiGroups": [""], "resources": ["services", "namespaces"], "verbs": ["list", "watch"]}
    rest = {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]}
    account, role, binding = service_account("kube-system", "half", half)
    for obj in (account, role, binding):
        api.create(obj)
    daemon = Daemon(tmp_path, control_plane.kubeconfig(control_plane.token_of("kube-system", "half")))
    daemon.program.start()
    check = daemon.program.check

    def synced(kind: str) -> float | None:
        return daemon.metric("hsdnsd_watch_synced", kind=kind)

    try:
        until(
            "what is granted is synced",
            lambda: synced("Service") == synced("Namespace") == 1,
            within=SYNCS,
            check=check,
        )
        until(
            "the refusal is counted",
            lambda: daemon.metric("hsdnsd_watch_failures_total", kind="EndpointSlice"),
            within=SYNCS,
        )
        assert synced("EndpointSlice") == 0
        assert daemon.get("/readyz") == (503, "EndpointSlice: not listed yet\n")
        assert 'cannot list resource "endpointslices"' in daemon.program.tail()
        assert daemon.answers("nobody.default.svc.cluster.local", "A") == {"SERVFAIL"}  # nobody knows yet: not NXDOMAIN
        api.patch(role, {"rules": [half, rest]})
        wait_until_ready(daemon)
        assert daemon.answers("nobody.default.svc.cluster.local", "A") == NXDOMAIN
    finally:
        daemon.program.kill()


def connected(daemon: Daemon) -> list[float | None]:
    return [daemon.metric("hsdnsd_watch_connected", kind=kind) for kind in ("Service", "EndpointSlice", "Namespace")]


def test_answers_outlive_the_api_server_and_follow_its_return(
    control_plane: ControlPlane, daemon: Daemon, space: str
) -> None:
    api = control_plane.api
    stays, goes, comes = (f"{name}.{space}.svc.cluster.local" for name in ("stays", "goes", "comes"))
    for name, address in (("stays", "10.6.0.1"), ("goes", "10.6.0.2")):
        api.create(headless(space, name))
        api.create(endpoint_slice(space, name, [endpoint(address)]))
    becomes(daemon, stays, "A", "10.6.0.1")
    becomes(daemon, goes, "A", "10.6.0.2")
    back = threading.Event()

    def ask_until_it_is_back() -> int:
        times = 0
        while not back.is_set():
            assert daemon.answers(stays, "A") == {"10.6.0.1"}
            assert daemon.answers(goes, "A") == {"10.6.0.2"}
            assert daemon.answers(comes, "A") == NXDOMAIN
            times += 1
        return times

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask_until_it_is_back)
        control_plane.kill_api_server()
        try:
            until("no watch is open", lambda: not any(connected(daemon)), within=FOLLOWS, check=daemon.program.check)
        finally:
            try:
                control_plane.start_api_server()
            finally:
                back.set()
        assert asking.result() > 100
    api.delete(headless(space, "goes"))
    api.create(headless(space, "comes"))
    api.create(endpoint_slice(space, "comes", [endpoint("10.6.0.3")]))
    becomes(daemon, comes, "A", "10.6.0.3", within=SYNCS)
    becomes(daemon, goes, "A", "NXDOMAIN", before=frozenset(["10.6.0.2"]), within=SYNCS)
    assert daemon.answers(stays, "A") == {"10.6.0.1"}
    until("every watch is open", lambda: all(connected(daemon)), within=SYNCS, check=daemon.program.check)
    api.replace(endpoint_slice(space, "stays", [endpoint("10.6.0.99")]))
    becomes(daemon, stays, "A", "10.6.0.99", before=frozenset(["10.6.0.1"]))  # by the watch again, without a wait


def test_it_starts_without_the_api_server_and_waits_for_it(
    control_plane: ControlPlane, token: str, tmp_path: Path
) -> None:
    control_plane.kill_api_server()
    daemon = Daemon(tmp_path, control_plane.kubeconfig(token))
    daemon.program.start()
    try:
        until("it serves", lambda: daemon.get("/livez")[0] == 200, within=SYNCS, check=daemon.program.check)
        assert not daemon.ready()
        assert daemon.answers("kubernetes.default.svc.cluster.local", "A") == {"SERVFAIL"}
        control_plane.start_api_server()
        wait_until_ready(daemon)
        assert daemon.answers("kubernetes.default.svc.cluster.local", "A") == {"10.96.0.1"}
    finally:
        daemon.program.kill()
        if not control_plane.api_server.running:
            control_plane.start_api_server()
