"""What people deploy: workloads of examples/ and others become pods and slices, and those come out as DNS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cluster.api_client import ApiClient, Object, path_of
from tests.cluster.control_plane import ControlPlane
from tests.cluster.controllers import NODES, Controllers
from tests.cluster.daemon import Daemon
from tests.cluster.expect import MADE, NODATA, NXDOMAIN, becomes, comes_to, reverse, vanishes
from tests.cluster.objects import deployment, headless, pod, service, stateful_set
from tests.cluster.program import until
from tests.cluster.workloads import addressed_pods, pods_of

pytestmark = pytest.mark.cluster

EXAMPLES = Path(__file__).parents[2] / "examples"


def create_example(api: ApiClient, file: str) -> Iterator[Object]:
    """Create what a person would apply of the file: all but the slices, which controllers make. Yields the Services."""
    for obj in yaml.safe_load_all((EXAMPLES / file).read_text()):
        if obj["kind"] == "EndpointSlice" or api.exists(
            path_of(obj)
        ):  # the Namespace `default`, and what is always in it
            continue
        api.create(obj)
        if obj["kind"] == "Service":
            yield obj


def container_ports(of: Object) -> list[Object]:
    """Ports of a container behind this Service, under the names by which it looks for them."""
    return [
        {"name": port["name"], "containerPort": port["port"], "protocol": port["protocol"]}
        for port in of["spec"]["ports"]
    ]


def test_postgres(control_plane: ControlPlane, controllers: Controllers, daemon: Daemon) -> None:
    api, name = control_plane.api, "postgres.database.svc.cluster.local"
    [_] = create_example(api, "postgres.yaml")
    workload = api.get("/apis/apps/v1/namespaces/database/statefulsets/postgres")
    pods = pods_of(api, controllers, workload)
    comes_to(daemon, name, "A", [each.ip for each in pods], within=MADE)
    assert [each.name for each in pods] == ["postgres-0", "postgres-1", "postgres-2"]
    for each in pods:
        assert daemon.answers(f"{each.name}.{name}", "A") == {each.ip}
        assert daemon.answers(reverse(each.ip), "PTR") == {f"{each.name}.{name}."}
        assert daemon.answers(f"{each.ip.replace('.', '-')}.{name}", "A") == NXDOMAIN  # it has a name of its own
    assert daemon.answers(name, "AAAA") == NODATA
    assert daemon.answers(f"_postgresql._tcp.{name}", "SRV") == {f"0 33 5432 {each.name}.{name}." for each in pods}
    assert daemon.answers(f"_postgresql._udp.{name}", "SRV") == NXDOMAIN


def test_kafka_finds_its_peers_before_they_are_ready(
    control_plane: ControlPlane, controllers: Controllers, daemon: Daemon
) -> None:
    api, name = control_plane.api, "kafka-headless.streaming.svc.cluster.local"
    [kafka] = create_example(api, "kafka.yaml")
    workload = stateful_set("streaming", "kafka-headless", 3, ports=container_ports(kafka), **kafka["spec"]["selector"])
    workload["metadata"]["name"] = "kafka"
    workload["spec"]["template"]["metadata"]["labels"] |= {"ready": "no"}
    api.create(workload)
    pods = pods_of(api, controllers, workload)
    comes_to(daemon, name, "A", [each.ip for each in pods], within=MADE)
    assert [each.name for each in pods] == ["kafka-0", "kafka-1", "kafka-2"]
    for port, number in (("broker", 9092), ("controller", 9093)):
        srv = {f"0 33 {number} {each.name}.{name}." for each in pods}
        assert daemon.answers(f"_{port}._tcp.{name}", "SRV") == srv
    assert daemon.answers(f"kafka-1.{name}", "A") == {pods[1].ip}


def test_web_headless_beside_a_cluster_ip(
    control_plane: ControlPlane, controllers: Controllers, daemon: Daemon
) -> None:
    api, domain = control_plane.api, "default.svc.cluster.local"
    services = {each["metadata"]["name"]: each for each in create_example(api, "web.yaml")}
    web, postgres = services["web-headless"], services["postgres"]
    replicated = stateful_set("default", "web-headless", 3, ports=container_ports(web), **web["spec"]["selector"])
    replicated["metadata"]["name"] = "web"
    behind = deployment("default", "postgres", 2, **postgres["spec"]["selector"])
    for obj in (replicated, behind):
        api.create(obj)
    pods = pods_of(api, controllers, replicated)
    comes_to(daemon, f"web-headless.{domain}", "A", [each.ip for each in pods], within=MADE)
    assert daemon.answers(f"web-2.web-headless.{domain}", "A") == {pods[2].ip}
    assert daemon.answers(f"postgres.{domain}", "A") == {postgres["spec"]["clusterIP"]}
    assert daemon.answers(f"_postgresql._tcp.postgres.{domain}", "SRV") == {f"0 100 5432 postgres.{domain}."}
    pods_of(api, controllers, behind)
    assert daemon.answers(f"postgres.{domain}", "A") == {postgres["spec"]["clusterIP"]}


def test_consul_with_eight_ports(control_plane: ControlPlane, controllers: Controllers, daemon: Daemon) -> None:
    api, name = control_plane.api, "consul-server.consul.svc.cluster.local"
    [consul] = create_example(api, "consul.yaml")
    workload = stateful_set("consul", "consul-server", 3, ports=container_ports(consul), **consul["spec"]["selector"])
    api.create(workload)
    pods = pods_of(api, controllers, workload)
    comes_to(daemon, name, "A", [each.ip for each in pods], within=MADE)
    ports = {port["port"] for port in consul["spec"]["ports"]}
    srv = {f"0 4 {port} {each.name}.{name}." for port in ports for each in pods}
    assert len(srv) == 15
    assert daemon.answers(name, "SRV", tcp=True) == srv
    for port in consul["spec"]["ports"]:
        srv = {f"0 33 {port['port']} {each.name}.{name}." for each in pods}
        assert daemon.answers(f"_{port['name']}._{port['protocol'].lower()}.{name}", "SRV") == srv
    assert daemon.answers(f"_dns-udp._tcp.{name}", "SRV") == NXDOMAIN


def test_dual_stack(control_plane: ControlPlane, controllers: Controllers, daemon: Daemon) -> None:
    api, name = control_plane.api, "cache-nodes.dual.svc.cluster.local"
    cache, nodes = create_example(api, "dual-stack.yaml")
    workload = deployment("dual", "cache", 2, **nodes["spec"]["selector"])
    workload["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"name": "redis", "containerPort": 6379}]
    api.create(workload)
    pods = pods_of(api, controllers, workload)
    comes_to(daemon, name, "A", [each.ip for each in pods], within=MADE)
    comes_to(daemon, name, "AAAA", [each.ip6 for each in pods], within=MADE)
    for each in pods:
        four, six = each.ip.replace(".", "-"), each.ip6.replace(":", "-")
        assert daemon.answers(f"{four}.{name}", "A") == {each.ip}
        assert daemon.answers(f"{four}.{name}", "AAAA") == NODATA
        assert daemon.answers(f"{six}.{name}", "AAAA") == {each.ip6}
        assert daemon.answers(reverse(each.ip6), "PTR") >= {f"{six}.{name}."}  # and maybe that behind `cache`
    for rdtype, ip in zip(("A", "AAAA"), cache["spec"]["clusterIPs"], strict=True):
        assert daemon.answers("cache.dual.svc.cluster.local", rdtype) == {ip}


def test_the_deployed_daemonset_rolls_out(
    control_plane: ControlPlane, controllers: Controllers, daemon: Daemon
) -> None:
    api = control_plane.api

    def on_every_node() -> bool:
        status = api.get("/apis/apps/v1/namespaces/kube-system/daemonsets/hsdnsd")["status"]
        return bool(status["numberReady"] == status["desiredNumberScheduled"] == len(NODES))

    until("hsdnsd on every node", on_every_node, within=MADE, check=controllers.check)
    ip = api.get("/api/v1/namespaces/kube-system/services/hsdnsd")["spec"]["clusterIP"]
    name = "hsdnsd.kube-system.svc.cluster.local"
    assert daemon.answers(name, "A") == {ip}
    assert daemon.answers(f"_dns._udp.{name}", "SRV") == {f"0 100 53 {name}."}
    assert daemon.answers(f"_dns-tcp._tcp.{name}", "SRV") == {f"0 100 53 {name}."}

    def leads_to_the_pods() -> bool:
        slices = "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices"
        made = api.get(f"{slices}?labelSelector=kubernetes.io/service-name=hsdnsd")["items"]
        pods = addressed_pods(api, "kube-system", **{"app.kubernetes.io/name": "hsdnsd"})
        told = {address for one in made for each in one["endpoints"] or () for address in each["addresses"]}
        ports = {port["port"] for one in made for port in one["ports"] or ()}
        return ports == {5353} and told == {each.ip for each in pods}

    until("the Service leads to its pods, where they listen", leads_to_the_pods, within=MADE)


def test_endpoints_written_by_hand_are_mirrored(
    control_plane: ControlPlane, controllers: Controllers, daemon: Daemon, space: str
) -> None:
    api, name = control_plane.api, f"outside.{space}.svc.cluster.local"
    api.create(headless(space, "outside"))
    ports = [{"name": "pg", "port": 5432}]
    by_hand = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"namespace": space, "name": "outside"},
        "subsets": [{"addresses": [{"ip": "192.0.2.7", "hostname": "old-server"}], "ports": ports}],
    }
    collection = f"/api/v1/namespaces/{space}/endpoints"
    api.post(collection, by_hand)
    becomes(daemon, name, "A", "192.0.2.7", within=MADE)
    assert daemon.answers(f"old-server.{name}", "A") == {"192.0.2.7"}
    assert daemon.answers(f"_pg._tcp.{name}", "SRV") == {f"0 100 5432 old-server.{name}."}
    api.delete(headless(space, "outside"))
    vanishes(daemon, name, "A", "192.0.2.7", within=MADE)


def test_a_pod_has_its_name_by_hostname_and_subdomain(
    control_plane: ControlPlane, controllers: Controllers, daemon: Daemon, space: str
) -> None:
    api, name = control_plane.api, f"ring.{space}.svc.cluster.local"
    api.create(headless(space, "ring", selector={"in": "ring"}))
    for obj, hostname, subdomain in (
        (pod(space, "a"), "first", "ring"),
        (pod(space, "b"), "second", "elsewhere"),  # not this Service's: it has no name there but its address
    ):
        obj["metadata"]["labels"] = {"in": "ring"}
        obj["spec"] = {
            "hostname": hostname,
            "subdomain": subdomain,
            "containers": [{"name": "main", "image": "nothing:1"}],
        }
        api.create(obj)
    until("two pods", lambda: len(addressed_pods(api, space)) == 2, within=MADE, check=controllers.check)
    a, b = addressed_pods(api, space)
    comes_to(daemon, name, "A", [a.ip, b.ip], within=MADE)
    assert daemon.answers(f"first.{name}", "A") == {a.ip}
    assert daemon.answers(f"second.{name}", "A") == NXDOMAIN
    assert daemon.answers(f"{b.ip.replace('.', '-')}.{name}", "A") == {b.ip}
    assert daemon.answers(reverse(b.ip), "PTR") == {f"{b.ip.replace('.', '-')}.{name}."}


def test_hosts_of_several_services_each_have_their_own_names(
    control_plane: ControlPlane, controllers: Controllers, daemon: Daemon, space: str
) -> None:
    """The same pods behind a headless Service that names them, one that does not, and one with an address."""
    api = control_plane.api
    api.create(headless(space, "db", selector={"app": "db"}))
    api.create(headless(space, "db-all", selector={"app": "db"}, publishNotReadyAddresses=True))
    ip = api.create(service(space, "db-read", selector={"app": "db"}))["spec"]["clusterIP"]
    workload = stateful_set(space, "db", 2)
    api.create(workload)
    first, second = pods_of(api, controllers, workload)
    domain = f"{space}.svc.cluster.local"
    for name in (f"db.{domain}", f"db-all.{domain}"):
        comes_to(daemon, name, "A", [first.ip, second.ip], within=MADE)
    assert daemon.answers(f"db-read.{domain}", "A") == {ip}
    assert daemon.answers(f"db-0.db.{domain}", "A") == {first.ip}
    assert daemon.answers(f"db-0.db-all.{domain}", "A") == NXDOMAIN
    assert daemon.answers(f"{first.ip.replace('.', '-')}.db-all.{domain}", "A") == {first.ip}
    both = {f"db-0.db.{domain}.", f"{first.ip.replace('.', '-')}.db-all.{domain}."}
    assert daemon.answers(reverse(first.ip), "PTR") >= both  # and maybe that behind the third
