"""All facts, joined by (namespace, Service): what the zone is answered from."""

from __future__ import annotations

from hsdnsd.records.model import Change
from hsdnsd.records.options import ZoneOptions
from hsdnsd.records.result import Owner


class Table:
    """The facts of the cluster as they were last told. One owner; not thread-safe.

    Slices are kept by their own name and joined to Services by label, in whatever order the two arrive; a Service's
    records come from *all* its slices (an endpoint may stand in two while the controller moves it).
    """

    serial: int
    """Unix seconds of the last change of any record; 0 before the first. The SOA serial."""

    def __init__(self, options: ZoneOptions) -> None:
        raise NotImplementedError

    @property
    def synced(self) -> bool:
        """Whether every expected kind has been listed at least once."""
        raise NotImplementedError

    def apply(self, change: Change, unix_time: int) -> frozenset[Owner]:
        """Take in one change, and say whose answers it ends (often nobody's). Cannot fail on any fact."""
        raise NotImplementedError

    def counts(self) -> dict[str, int]:
        """Objects held, by kind's value ("Service", ...); and "records", how many RRs of endpoints and Services there are."""
        raise NotImplementedError
