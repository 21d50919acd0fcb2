"""The manifests in deploy/ agree with each other, with the image and with what the daemon takes and watches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hsdnsd import __version__, config
from hsdnsd.kube.reading import API_VERSION
from hsdnsd.settings import watched_kinds

ROOT = Path(__file__).resolve().parents[2]


def documents() -> Iterator[dict[str, Any]]:
    for path in sorted((ROOT / "deploy").glob("*.yaml")):
        yield from yaml.safe_load_all(path.read_text())


OBJECTS = {(document["kind"], document["metadata"]["name"]): document for document in documents()}
POD = OBJECTS["DaemonSet", "hsdnsd"]["spec"]["template"]
CONTAINER = POD["spec"]["containers"][0]
CONFIGURATION = config.load(OBJECTS["ConfigMap", "hsdnsd"]["data"]["hsdnsd.toml"])


def port(address: str) -> int:
    return int(address.rpartition(":")[2])


def test_every_object_is_there_once() -> None:
    kinds = [document["kind"] for document in documents()]
    assert sorted(kinds) == [
        "ClusterRole",
        "ClusterRoleBinding",
        "ConfigMap",
        "DaemonSet",
        "Service",
        "ServiceAccount",
    ]
    namespaced = [document for document in documents() if not document["kind"].startswith("ClusterRole")]
    assert {document["metadata"]["namespace"] for document in namespaced} == {"kube-system"}


def test_rights_are_to_list_and_watch_what_is_watched_and_nothing_else() -> None:
    rules = OBJECTS["ClusterRole", "hsdnsd"]["rules"]
    allowed = {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    watched = {
        (API_VERSION[kind].rpartition("/")[0], f"{kind.value.lower()}s") for kind in watched_kinds(CONFIGURATION)
    }
    assert ("discovery.k8s.io", "endpointslices") in watched
    assert allowed == {(group, resource, verb) for group, resource in watched for verb in ("list", "watch")}
    assert all(set(rule) == {"apiGroups", "resources", "verbs"} for rule in rules)


def test_the_rights_are_those_of_the_pod() -> None:
    binding = OBJECTS["ClusterRoleBinding", "hsdnsd"]
    role, account = binding["roleRef"], binding["subjects"][0]
    assert (role["kind"], role["name"]) in OBJECTS
    assert OBJECTS[account["kind"], account["name"]]["metadata"]["namespace"] == account["namespace"]
    assert POD["spec"]["serviceAccountName"] == account["name"]


def test_the_configuration_is_that_of_the_add_on() -> None:
    """`config.load` has refused every fault already; the rest is what the manifests promise."""
    assert CONFIGURATION.source.in_cluster
    assert CONFIGURATION.zone.pods == "insecure"


def test_the_configuration_is_where_the_program_looks_for_it() -> None:
    arguments = CONTAINER["args"]
    file = Path(arguments[arguments.index("--config") + 1])
    mount = next(mount for mount in CONTAINER["volumeMounts"] if mount["mountPath"] == str(file.parent))
    volume = next(volume for volume in POD["spec"]["volumes"] if volume["name"] == mount["name"])
    assert file.name in OBJECTS["ConfigMap", volume["configMap"]["name"]]["data"]


def test_the_name_server_of_the_zone_is_the_pod() -> None:
    """Listening everywhere, the daemon can't tell which address is the Service's endpoint: the manifest says it."""
    assert CONTAINER["args"][-2:] == ["--set", "zone.own_addresses=$(POD_IP)"]
    assert CONTAINER["env"] == [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
    assert config.load("", ["zone.own_addresses=10.244.1.7"]).zone.own_addresses == ("10.244.1.7",)


def test_ports_are_those_that_the_daemon_listens_on() -> None:
    ports = {entry["name"]: (entry["containerPort"], entry["protocol"]) for entry in CONTAINER["ports"]}
    (listen,) = CONFIGURATION.listen
    assert ports == {
        "dns": (port(listen), "UDP"),
        "dns-tcp": (port(listen), "TCP"),
        "metrics": (port(CONFIGURATION.admin), "TCP"),
    }
    assert port(listen) > 1023, "the pod has no right to a lower port"


def test_the_service_gives_port_53_of_the_own_node() -> None:
    service = OBJECTS["Service", "hsdnsd"]["spec"]
    container = {entry["name"]: entry["protocol"] for entry in CONTAINER["ports"]}
    assert {(entry["port"], entry["protocol"]) for entry in service["ports"]} == {(53, "UDP"), (53, "TCP")}
    assert all(container[entry["targetPort"]] == entry["protocol"] for entry in service["ports"])
    assert service["internalTrafficPolicy"] == "Local"
    assert service["selector"].items() <= POD["metadata"]["labels"].items()
    assert OBJECTS["DaemonSet", "hsdnsd"]["spec"]["selector"]["matchLabels"] == service["selector"]


@pytest.mark.parametrize(("probe", "path"), [("livenessProbe", "/livez"), ("readinessProbe", "/readyz")])
def test_probes_ask_the_admin_port(probe: str, path: str) -> None:
    assert CONTAINER[probe]["httpGet"] == {"path": path, "port": "metrics"}


def test_prometheus_is_sent_to_the_admin_port() -> None:
    annotations = POD["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(port(CONFIGURATION.admin))
    assert annotations["prometheus.io/path"] == "/metrics"


def test_the_pod_has_no_right_that_it_does_not_need() -> None:
    pod, container = POD["spec"]["securityContext"], CONTAINER["securityContext"]
    assert pod["runAsNonRoot"]
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["capabilities"] == {"drop": ["ALL"]}
    assert container["readOnlyRootFilesystem"]
    assert container["allowPrivilegeEscalation"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(POD["spec"])


def test_a_new_pod_can_start_beside_the_old_one() -> None:
    """A surge needs ports that two pods of a node can both have."""
    assert OBJECTS["DaemonSet", "hsdnsd"]["spec"]["updateStrategy"]["rollingUpdate"] == {
        "maxSurge": 1,
        "maxUnavailable": 0,
    }
    assert not any("hostPort" in entry for entry in CONTAINER["ports"])


def test_the_pod_has_time_to_drain() -> None:
    before = CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert POD["spec"]["terminationGracePeriodSeconds"] > before + CONFIGURATION.drain


def test_the_image_is_this_version_by_the_same_user() -> None:
    assert CONTAINER["image"] == f"hsdnsd:{__version__}"
    assert f"USER {POD['spec']['securityContext']['runAsUser']}:" in (ROOT / "Dockerfile").read_text()
