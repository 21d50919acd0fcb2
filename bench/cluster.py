"""The generated cluster: Services and their pods, and the Kubernetes objects that describe them."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

Object = dict[str, Any]

ZONE = "cluster.local"
PORT_NAME, PORT = "client", 5432
NAMESPACES = 10

# Pods and Services count up from here. Three /16s of pods are room for the 100,000 of the large cluster.
FIRST_POD = int(ipaddress.IPv4Address("10.244.0.0"))
FIRST_CLUSTER_IP = int(ipaddress.IPv4Address("10.96.1.0"))


class Pod(NamedTuple):
    name: str
    address: str


class Service(NamedTuple):
    """A Service and the ready pods behind it; headless where `cluster_ip` is empty."""

    name: str
    namespace: str
    cluster_ip: str
    pods: tuple[Pod, ...]

    @property
    def domain(self) -> str:
        """Its name in DNS, without the final dot."""
        return f"{self.name}.{self.namespace}.svc.{ZONE}"


class Cluster(NamedTuple):
    """
    Attributes:
        stateful: headless Services of StatefulSets of three. rings: headless Services with ten pods. plain: ClusterIPs.
    """

    stateful: tuple[Service, ...]
    rings: tuple[Service, ...]
    plain: tuple[Service, ...]

    @property
    def services(self) -> tuple[Service, ...]:
        return self.stateful + self.rings + self.plain


def generate(stateful: int = 200, rings: int = 20, plain: int = 100) -> Cluster:
    """A cluster of so many Services of each sort; the same one each time."""
    pods = _addresses(FIRST_POD)
    ips = _addresses(FIRST_CLUSTER_IP)

    def service(kind: str, number: int, count: int, cluster_ip: str = "") -> Service:
        name = f"{kind}-{number:03}"
        own = tuple(Pod(f"{name}-{ordinal}", next(pods)) for ordinal in range(count))
        return Service(name, f"team-{number % NAMESPACES:02}", cluster_ip, own)

    return Cluster(
        tuple(service("db", number, 3) for number in range(stateful)),
        tuple(service("ring", number, 10) for number in range(rings)),
        tuple(service("web", number, 3, next(ips)) for number in range(plain)),
    )


def large(services: int = 10_000) -> Cluster:
    """Headless Services with ten pods each."""
    return generate(0, services, 0)


def objects(cluster: Cluster) -> Iterator[Object]:
    """Namespaces, Services and EndpointSlices, as the API server holds them."""
    for name in sorted({service.namespace for service in cluster.services}):
        metadata = {"name": name, "labels": {"kubernetes.io/metadata.name": name}}
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    for service in cluster.services:
        yield _service(service)
        yield endpoint_slice(service)


def manifests(cluster: Cluster) -> str:
    """The objects as a file of YAML documents (JSON is YAML)."""
    return _documents(objects(cluster))


def _documents(these: Iterable[Object]) -> str:
    return "".join(f"---\n{json.dumps(each, indent=1)}\n" for each in these)


def _service(service: Service) -> Object:
    address = service.cluster_ip or "None"
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": service.name,
            "namespace": service.namespace,
            "uid": _uid("8000", service.pods[0]),
            "labels": {"app": service.name},
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "type": "ClusterIP",
            "clusterIP": address,
            "clusterIPs": [address],
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
            "sessionAffinity": "None",
            "selector": {"app": service.name},
            "ports": [{"name": PORT_NAME, "port": PORT, "targetPort": PORT, "protocol": "TCP"}],
        },
        "status": {"loadBalancer": {}},
    }


def endpoint_slice(service: Service) -> Object:
    """The slice of a Service, with the fields that the endpointslice controller and the API server put into it.

    A reader pays for those that it does not need, too.
    """
    labels = {
        "app": service.name,
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        "kubernetes.io/service-name": service.name,
    }
    if not service.cluster_ip:
        labels["service.kubernetes.io/headless"] = ""
    named = not service.cluster_ip
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{service.name}-x7k2p",
            "generateName": f"{service.name}-",
            "namespace": service.namespace,
            "uid": _uid("9000", service.pods[0]),
            "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": labels,
            "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00Z"},
            "ownerReferences": [_owner(service)],
            "managedFields": [_MANAGED],
        },
        "addressType": "IPv4",
        "endpoints": [_endpoint(service, pod, named=named) for pod in service.pods],
        "ports": [{"name": PORT_NAME, "port": PORT, "protocol": "TCP"}],
    }


def _endpoint(service: Service, pod: Pod, *, named: bool) -> Object:
    return {
        "addresses": [pod.address],
        "conditions": {"ready": True, "serving": True, "terminating": False},
        **({"hostname": pod.name} if named else {}),
        "nodeName": f"worker-{int(ipaddress.IPv4Address(pod.address)) % 50}",
        "targetRef": {
            "kind": "Pod",
            "namespace": service.namespace,
            "name": pod.name,
            "uid": _uid("a000", pod),
        },
        "zone": "zone-a",
    }


def _owner(service: Service) -> Object:
    return {
        "apiVersion": "v1",
        "blockOwnerDeletion": True,
        "controller": True,
        "kind": "Service",
        "name": service.name,
        "uid": _uid("8000", service.pods[0]),
    }


def _uid(sort: str, pod: Pod) -> str:
    """A uid that is the same in every run."""
    return f"00000000-0000-4000-{sort}-{int(ipaddress.IPv4Address(pod.address)):012x}"


def _addresses(first: int) -> Iterator[str]:
    """IPv4 addresses from one on, those that end in .0 and .255 left out."""
    while True:
        if first % 256 not in (0, 255):
            yield str(ipaddress.IPv4Address(first))
        first += 1


_MANAGED: Object = {
    "apiVersion": "discovery.k8s.io/v1",
    "fieldsType": "FieldsV1",
    "fieldsV1": {
        "f:addressType": {},
        "f:endpoints": {},
        "f:metadata": {
            "f:annotations": {".": {}, "f:endpoints.kubernetes.io/last-change-trigger-time": {}},
            "f:generateName": {},
            "f:labels": {
                ".": {},
                "f:app": {},
                "f:kubernetes.io/service-name": {},
                "f:service.kubernetes.io/headless": {},
            },
            "f:ownerReferences": {".": {}, 'k:{"uid":"00000000-0000-4000-8000-000000000000"}': {}},
        },
        "f:ports": {},
    },
    "manager": "kube-controller-manager",
    "operation": "Update",
    "time": "2026-01-01T00:00:00Z",
}
