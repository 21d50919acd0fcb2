"""/metrics: one collector, which reads plain integers when Prometheus asks, and costs a query nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from hsdnsd.admin.families import Families
from hsdnsd.admin.readings import read_all
from hsdnsd.admin.route import Response, Route
from hsdnsd.admin.sources import Sources

# (encoder, content type)
_TEXT: Final = choose_encoder("text/plain; version=0.0.4")
_OPENMETRICS: Final = choose_encoder("application/openmetrics-text; version=1.0.0")


class DaemonCollector(Collector):
    """Every metric of the catalogue but the process's own."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterable[Metric]:
        """All families in the order of the catalogue, those without a series yet included."""
        families = Families()
        read_all(families, self._sources)
        return families


def metrics_route(sources: Sources) -> Route:
    """The route of /metrics, the figures of the process included."""
    registry = CollectorRegistry()
    registry.register(DaemonCollector(sources))
    ProcessCollector(registry=registry)

    def respond(headers: Mapping[str, str]) -> Response:
        encode, content_type = _OPENMETRICS if wants_openmetrics(headers.get("accept", "")) else _TEXT
        return Response(200, content_type, encode(registry))

    return respond


def wants_openmetrics(accept: str) -> bool:
    """Whether a client takes OpenMetrics 1.0.0 (RFC 9110 section 12.5.1).

    `choose_encoder` is not asked with what a stranger sent: it raises TypeError for a version that is no number.
    """
    for item in accept.split(","):
        media_type, *parameters = (part.strip() for part in item.lower().split(";"))
        given = dict(parameter.partition("=")[::2] for parameter in parameters)
        if media_type == "application/openmetrics-text" and given.get("version", "1.0.0") in ("", "1.0.0"):
            return given.get("q") not in ("0", "0.0", "0.00", "0.000")
    return False
