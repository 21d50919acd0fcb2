"""Kubernetes objects from the API server, in the cluster or by kubeconfig."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import NoReturn

from hsdnsd.kube.client import open_client
from hsdnsd.kube.library import load_library
from hsdnsd.kube.reflector import Reflector, Resource
from hsdnsd.kube.selector import parse_selector
from hsdnsd.kube.source import Held, Sink, Watched, WatchState
from hsdnsd.kube.union import Ledger, Together
from hsdnsd.records.model import Kind

_PATH: dict[Kind, str] = {
    Kind.SERVICE: "/api/v1/services",
    Kind.ENDPOINT_SLICE: "/apis/discovery.k8s.io/v1/endpointslices",
    Kind.NAMESPACE: "/api/v1/namespaces",
    Kind.POD: "/api/v1/pods",
}
# Pods that have ended have no DNS name, and on some nodes outnumber the others.
_LIVE_PODS = "status.phase!=Succeeded,status.phase!=Failed,status.phase!=Unknown"


# The EndpointSlices without which a Service has no addresses: Kubernetes' own controller labels those of headless
# Services. Whoever else makes slices may leave the label out, and there are few of them. No slice is in both.
_SCOPE = (
    "service.kubernetes.io/headless",
    "!service.kubernetes.io/headless,endpointslice.kubernetes.io/managed-by!=endpointslice-controller.k8s.io",
)


def resources_of(kind: Kind, labels: str, namespace_labels: str, scoped: bool) -> tuple[Resource, ...]:
    """Where a kind is watched, and which parts of it.

    Args:
        scoped: of EndpointSlices only those that a headless Service, or somebody else than Kubernetes, may need.
    """
    selector = namespace_labels if kind is Kind.NAMESPACE else labels
    fields = _LIVE_PODS if kind is Kind.POD else ""
    parts = _SCOPE if scoped and kind is Kind.ENDPOINT_SLICE else ("",)
    return tuple(Resource(kind, _PATH[kind], ",".join(filter(None, (part, selector))), fields) for part in parts)


class ApiServer:
    """A `Source` of list-and-watch, one stream for each kind, or for each part of one that is watched in parts. An API
    server that can't be reached is waited for."""

    def __init__(
        self,
        kubeconfig: str,
        kinds: Iterable[Kind],
        held: Held,
        *,
        labels: str = "",
        namespace_labels: str = "",
        scoped: bool = False,
    ) -> None:
        """
        Args:
            kubeconfig: a path; "": the pod's own service account.
            held: what `run` tells its sink ends up there.
            labels: selects Services, EndpointSlices and Pods. namespace_labels: selects Namespaces.
            scoped: see `resources_of`.

        Raises:
            ValueError: a selector is none.
        """
        parse_selector(labels)
        parse_selector(namespace_labels)
        self._kubeconfig = kubeconfig
        self._held = held
        in_order = sorted(kinds, key=lambda kind: kind.value)
        self._kinds = [
            [(resource, WatchState(kind.value)) for resource in resources_of(kind, labels, namespace_labels, scoped)]
            for kind in in_order
        ]
        states = ([state for _, state in parts] for parts in self._kinds)
        self._watched = tuple(parts[0] if len(parts) == 1 else Together(parts) for parts in states)

    def watches(self) -> Sequence[Watched]:
        return self._watched

    async def load(self) -> None:
        await asyncio.to_thread(load_library)

    async def run(self, sink: Sink) -> NoReturn:
        client = await open_client(self._kubeconfig)
        try:
            async with asyncio.TaskGroup() as running:
                for parts in self._kinds:
                    ledger = Ledger(len(parts)) if len(parts) > 1 else None
                    for part, (resource, state) in enumerate(parts):
                        reflector = Reflector(client, resource, state, sink, self._held, ledger=ledger, part=part)
                        running.create_task(reflector.run(), name=f"watch {resource.path} {resource.label_selector}")
        finally:
            await client.close()
        raise AssertionError("a reflector never ends")
