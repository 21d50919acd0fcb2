"""A name and a type -> the own zones' answer, in the order of the DNS specification."""

from __future__ import annotations

from hsdnsd.records.options import ZoneOptions
from hsdnsd.records.result import Result
from hsdnsd.records.table import Table
from hsdnsd.wire.name import Name


class Zone:
    """The zones that are served here: the cluster domain and its reverse zones."""

    def __init__(self, options: ZoneOptions, table: Table) -> None:
        raise NotImplementedError

    def covers(self, name: Name) -> bool:
        """Whether a folded name lies in one of the zones served here (longest suffix). Cannot fail."""
        raise NotImplementedError

    def look_up(self, name: Name, qtype: int) -> Result:
        """The answer to a question for a folded name that `covers`. In-zone CNAME chains are followed, at most 8 links.
        Cannot fail."""
        raise NotImplementedError
