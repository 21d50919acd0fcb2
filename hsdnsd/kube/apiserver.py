"""Kubernetes objects from the API server, in the cluster or by kubeconfig."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import NoReturn

from hsdnsd.kube.client import open_client
from hsdnsd.kube.reflector import Reflector, Resource
from hsdnsd.kube.selector import parse_selector
from hsdnsd.kube.source import Sink, WatchState
from hsdnsd.records.model import Kind

_PATH: dict[Kind, str] = {
    Kind.SERVICE: "/api/v1/services",
    Kind.ENDPOINT_SLICE: "/apis/discovery.k8s.io/v1/endpointslices",
    Kind.NAMESPACE: "/api/v1/namespaces",
    Kind.POD: "/api/v1/pods",
}
# Pods that have ended have no DNS name, and on some nodes outnumber the others.
_LIVE_PODS = "status.phase!=Succeeded,status.phase!=Failed,status.phase!=Unknown"


def resource_of(kind: Kind, labels: str, namespace_labels: str) -> Resource:
    """Where a kind is watched, and which part of it."""
    selector = namespace_labels if kind is Kind.NAMESPACE else labels
    return Resource(kind, _PATH[kind], selector, _LIVE_PODS if kind is Kind.POD else "")


class ApiServer:
    """A `Source` of list-and-watch, one stream for each kind. An API server that can't be reached is waited for."""

    def __init__(self, kubeconfig: str, kinds: Iterable[Kind], *, labels: str = "", namespace_labels: str = "") -> None:
        """
        Args:
            kubeconfig: a path; "": the pod's own service account.
            labels: selects Services, EndpointSlices and Pods. namespace_labels: selects Namespaces.

        Raises:
            ValueError: a selector is none.
        """
        parse_selector(labels)
        parse_selector(namespace_labels)
        self._kubeconfig = kubeconfig
        in_order = sorted(kinds, key=lambda kind: kind.value)
        self._resources = [resource_of(kind, labels, namespace_labels) for kind in in_order]
        self._states = tuple(WatchState(resource.kind.value) for resource in self._resources)

    def watches(self) -> tuple[WatchState, ...]:
        return self._states

    async def run(self, sink: Sink) -> NoReturn:
        client = await open_client(self._kubeconfig)
        try:
            async with asyncio.TaskGroup() as running:
                for resource, state in zip(self._resources, self._states, strict=True):
                    running.create_task(Reflector(client, resource, state, sink).run(), name=f"watch {resource.path}")
        finally:
            await client.close()
        raise AssertionError("a reflector never ends")
