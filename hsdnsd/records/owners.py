"""What answers are made from, as octets: the key by which a change ends exactly the answers that it makes untrue."""

from __future__ import annotations

from typing import Final

from hsdnsd.records.result import Owner

# The zones' own names: apex, ns.dns, and every name that no object can bring into being.
ZONE: Final[Owner] = b"z"


def service_owner(path: bytes) -> Owner:
    """One Service with its slices: every answer at or below its name, told to exist or not.

    Args:
        path: the labels of service and namespace in wire form, folded, without the root.
    """
    return b"s" + path


def namespace_owner(namespace: bytes) -> Owner:
    """One namespace: its names below `svc` and `pod`, and the pod names in it."""
    return b"n" + namespace


def address_owner(address: bytes) -> Owner:
    """One packed address: its reverse name."""
    return b"a" + address
