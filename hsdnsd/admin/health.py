"""/livez, /readyz and the index: what the kubelet asks, and where a person begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from hsdnsd.admin.route import Response, Route

if TYPE_CHECKING:
    from hsdnsd.admin.sources import Watch

_TEXT = "text/plain; charset=utf-8"

Problems = Callable[[], Sequence[str]]
"""What stands against it, each in one line; none: all is well."""


class Readiness:
    """Whether the daemon is to be asked.

    Attributes:
        listening: the DNS sockets are bound and read.
        stopping: SIGTERM has come.
        recalled: all kinds could be answered from the snapshot when the daemon began: what they say is known.
    """

    def __init__(self, watches: Callable[[], Iterable[Watch]]) -> None:
        self.listening = False
        self.stopping = False
        self.recalled = False
        self._watches = watches

    def problems(self) -> list[str]:
        """What is missing, each in one line."""
        unlisted = [] if self.recalled else [watch.kind for watch in self._watches() if not watch.synced]
        missing = [f"{kind}: not listed yet" for kind in unlisted]
        if not self.listening:
            missing.insert(0, "not listening yet")
        if self.stopping:
            missing.insert(0, "stopping")
        return missing


def health_routes(alive: Problems, ready: Problems, metrics: Route) -> dict[str, Route]:
    """All routes of the daemon. 200 and "ok", or 503 and the problems."""
    routes = {"/livez": _check(alive), "/readyz": _check(ready), "/metrics": metrics}
    index = "hsdnsd\n\n" + "".join(f"{path}\n" for path in routes)
    return {"/": lambda _headers: Response(200, _TEXT, index.encode()), **routes}


def _check(problems: Problems) -> Route:
    def respond(_headers: Mapping[str, str]) -> Response:
        found = problems()
        if found:
            return Response(503, _TEXT, "".join(f"{line}\n" for line in found).encode())
        return Response(200, _TEXT, b"ok\n")

    return respond
