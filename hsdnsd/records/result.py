"""What the own zones say to a question."""

from __future__ import annotations

from typing import Final

import msgspec

from hsdnsd.wire.const import Rcode
from hsdnsd.wire.name import Name
from hsdnsd.wire.rrset import RRset

# Names what an answer was made from: one Service with all its slices, one reverse address, one namespace.
# A change of that thing ends every answer that carries its owner, whatever spelling of name was asked.
Owner = bytes

# In what a change returns: every answer of the own zones ends (a kind of object has been listed for the first time).
EVERYTHING: Final[Owner] = b"*"


class Result(msgspec.Struct, frozen=True, gc=False):
    """An answer of the own zones, before it is put on the wire.

    Attributes:
        rcode: NOERROR, NXDOMAIN or SERVFAIL (not synced: absence can't be told yet).
        answer, authority, additional: RRsets; a negative answer has the zone's SOA in authority (RFC 2308 section 3).
        chase: folded name at which a CNAME chain leaves the own zones, or goes on where `fallthrough` sends it; it is
            to be looked up, and `answer` holds the CNAMEs that led to it.
        owner: see `Owner`; None if the answer hangs on more than one thing, or says SERVFAIL, and must not be kept.
        elsewhere: the name is not here and `fallthrough` says to ask the upstreams; the rest is what to say without.
        ask_cluster: whether the name exists can't be told here, and the cluster's DNS is to be asked; the rest is
            what to say without.
        ede: info code for an Extended DNS Error.
    """

    rcode: int = Rcode.NOERROR
    answer: tuple[RRset, ...] = ()
    authority: tuple[RRset, ...] = ()
    additional: tuple[RRset, ...] = ()
    chase: Name | None = None
    owner: Owner | None = None
    elsewhere: bool = False
    ask_cluster: bool = False
    ede: int | None = None
