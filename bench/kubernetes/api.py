"""The bench's own hand on the API server: many writes at once, each as cheap as can be for this process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Iterable

import aiohttp

from bench import cluster
from bench.cluster import Object, Service
from bench.errors import BenchError
from tests.cluster.api_client import collection, path_of
from tests.cluster.control_plane import API_PORT, ControlPlane

AT_ONCE = 32  # writes
# What the API server fills in itself.
_SERVERS_OWN = ("uid", "generation", "creationTimestamp", "managedFields", "ownerReferences")


def bare(obj: Object) -> Object:
    """An object of `bench.cluster` as somebody who makes it would send it."""
    metadata = {name: value for name, value in obj["metadata"].items() if name not in _SERVERS_OWN}
    return {name: value for name, value in obj.items() if name != "status"} | {"metadata": metadata}


class Api:
    """Open with `connected`.

    Raises (every method):
        BenchError: the API server refuses. aiohttp.ClientError: it is not there.
    """

    def __init__(self, session: aiohttp.ClientSession, root: str) -> None:
        self._session = session
        self._root = root

    async def fill(self, these: Iterable[Object]) -> None:
        """Make objects; those that are there already stay as they are. Namespaces have to come first."""
        waiting: set[asyncio.Task[None]] = set()
        for obj in these:
            if obj["kind"] == "Namespace":
                await self._make(obj)
                continue
            waiting.add(asyncio.create_task(self._make(obj)))
            if len(waiting) == AT_ONCE:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        await asyncio.gather(*waiting)

    async def put(self, path: str, body: bytes) -> None:
        """Write a whole object, whatever it was before; returns when the reply has been read."""
        await self._write("PUT", path, body, (200, 201))

    async def _make(self, obj: Object) -> None:
        await self._write("POST", collection(obj), encoded(bare(obj)), (201, 409))

    async def _write(self, method: str, path: str, body: bytes, good: tuple[int, ...]) -> None:
        async with self._session.request(method, self._root + path, data=body) as response:
            answer = await response.read()
            if response.status not in good:
                raise BenchError(f"{method} {path}: {response.status} {answer.decode(errors='replace')[:500]}")


@contextlib.asynccontextmanager
async def connected(plane: ControlPlane) -> AsyncIterator[Api]:
    """As a member of system:masters."""
    tls = ssl.create_default_context(cafile=str(plane.authority))
    headers = {"Authorization": f"Bearer {token(plane)}", "Content-Type": "application/json"}
    connector = aiohttp.TCPConnector(ssl=tls, limit=2 * AT_ONCE)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        yield Api(session, f"https://{plane.host}:{API_PORT}")


def token(plane: ControlPlane) -> str:
    found: str = json.loads(plane.kubeconfig().read_text())["users"][0]["user"]["token"]
    return found


def encoded(obj: Object) -> bytes:
    return json.dumps(obj, separators=(",", ":")).encode()


def slice_path(service: Service) -> str:
    return path_of(cluster.endpoint_slice(service))


def moved(service: Service, *addresses: str) -> Object:
    """The slice of a Service whose pods have got other addresses."""
    pods = tuple(pod._replace(address=address) for pod, address in zip(service.pods, addresses, strict=True))
    return bare(cluster.endpoint_slice(service._replace(pods=pods)))
