"""Kubernetes objects as the tests write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.cluster.api_client import Object


def service(namespace: str, name: str, **spec: Any) -> Object:
    """A Service with one TCP port named "pg" unless `spec` says otherwise."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"ports": [{"name": "pg", "port": 5432}], **spec},
    }


def headless(namespace: str, name: str, **spec: Any) -> Object:
    return service(namespace, name, clusterIP="None", **spec)


def endpoint(address: str, hostname: str = "", *, ready: bool = True) -> Object:
    """An endpoint as the controller writes it; what is not ready is not serving."""
    conditions = {"ready": ready, "serving": ready, "terminating": False}
    return {"addresses": [address], "conditions": conditions} | ({"hostname": hostname} if hostname else {})


def endpoint_slice(
    namespace: str, service_name: str, endpoints: Sequence[Object], *, suffix: str = "a", family: str = "IPv4"
) -> Object:
    """A slice of a headless Service, labelled as the endpointslice controller does it; port "pg" at 5432/TCP."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "namespace": namespace,
            "name": f"{service_name}-{suffix}",
            "labels": {
                "kubernetes.io/service-name": service_name,
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                "service.kubernetes.io/headless": "",
            },
        },
        "addressType": family,
        "ports": [{"name": "pg", "port": 5432, "protocol": "TCP"}],
        "endpoints": list(endpoints),
    }


def service_account(namespace: str, name: str, *rules: Object) -> list[Object]:
    """A ServiceAccount and what gives it these rights to the whole cluster."""
    rbac = "rbac.authorization.k8s.io"
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": namespace, "name": name}},
        {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": list(rules)},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": name}],
        },
    ]


def node(name: str) -> Object:
    """With the labels that a kubelet sets."""
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


def stateful_set(
    namespace: str, service_name: str, replicas: int, *, ports: Sequence[Object] = (), **labels: str
) -> Object:
    """One named like its Service, `app` being that name; its pods come and go all at once.

    Args:
        ports: of the container.
        labels: of the pods, instead of `app`.
    """
    workload = _workload("StatefulSet", namespace, service_name, replicas, ports, labels)
    workload["spec"] |= {"serviceName": service_name, "podManagementPolicy": "Parallel"}
    return workload


def deployment(namespace: str, name: str, replicas: int, **labels: str) -> Object:
    """Its pods have the label `app`, which is its name, unless `labels` stand in its place."""
    return _workload("Deployment", namespace, name, replicas, (), labels)


def _workload(
    kind: str, namespace: str, name: str, replicas: int, ports: Sequence[Object], labels: dict[str, str]
) -> Object:
    labels = labels or {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "nothing:1", "ports": list(ports)}]},
            },
        },
    }


def pod(namespace: str, name: str) -> Object:
    """Just enough to say which one."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": namespace, "name": name}}
