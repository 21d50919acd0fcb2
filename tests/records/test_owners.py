from __future__ import annotations

from hsdnsd.records.owners import ZONE, address_owner, namespace_owner, service_owner
from hsdnsd.records.result import EVERYTHING


def test_no_two_things_share_an_owner() -> None:
    owners = [
        ZONE,
        EVERYTHING,
        namespace_owner(b"a"),
        address_owner(b"a"),
        service_owner(b"a"),
        service_owner(b"\x01a\x02bc"),
        service_owner(b"\x02ab\x01c"),
        address_owner(bytes(4)),
        address_owner(bytes(16)),
    ]
    assert len(set(owners)) == len(owners)
