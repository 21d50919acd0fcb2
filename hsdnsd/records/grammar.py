"""What a name below one of the zones asks for, from its labels alone (docs/names.md)."""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from hsdnsd.records.addresses import AddressRange, reverse_range
from hsdnsd.records.endpoints import wire_label
from hsdnsd.records.owners import ZONE, address_owner, namespace_owner, service_owner
from hsdnsd.records.result import Owner


class At(enum.Enum):
    """The kinds of node in the own zones."""

    APEX = enum.auto()
    BRANCH = enum.auto()  # svc.Z, pod.Z: there with and without anything below
    NAME_SERVER = enum.auto()  # ns.dns.Z
    SCHEMA_VERSION = enum.auto()  # dns-version.Z
    NAMESPACE = enum.auto()  # N.svc.Z
    POD_NAMESPACE = enum.auto()  # N.pod.Z
    SERVICE = enum.auto()  # S.N.svc.Z and what is below
    POD = enum.auto()  # A.N.pod.Z and what is below
    REVERSE = enum.auto()  # an address's name, or one that addresses' names may lie below
    NOWHERE = enum.auto()  # no object can make such a name


class Place(msgspec.Struct, frozen=True):
    """Where in the zones a name lies.

    Attributes:
        owner: what an answer there hangs on.
        namespace, label: the namespace, and the label below it: a Service's name, or a pod's dashed address.
        below: what stands left of that; at most two labels.
        addresses: for REVERSE.
    """

    at: At
    owner: Owner | None = ZONE
    namespace: bytes = b""
    label: bytes = b""
    below: tuple[bytes, ...] = ()
    addresses: AddressRange | None = None

    @property
    def names_endpoint(self) -> bool:
        """Whether it is the place of an endpoint's name below a Service; ports begin with an underscore."""
        return self.at is At.SERVICE and len(self.below) == 1 and not self.below[0].startswith(b"_")


_SVC: Final = b"svc"
_POD: Final = b"pod"
_NOWHERE: Final = Place(At.NOWHERE)
# 32 nibbles below ip6.arpa.
_IPV6_LABELS: Final = 34


def read_forward(left: tuple[bytes, ...]) -> Place:
    """The place of a name in the cluster domain.

    Args:
        left: the folded labels left of the domain.
    """
    if not left:
        return Place(At.APEX)
    if left == (b"ns", b"dns"):
        return Place(At.NAME_SERVER)
    if left == (b"dns-version",):
        return Place(At.SCHEMA_VERSION)
    tree = left[-1]
    if tree not in (_SVC, _POD):
        return _NOWHERE
    if len(left) == 1:
        return Place(At.BRANCH)
    namespace = left[-2]
    if len(left) == 2:
        return Place(At.NAMESPACE if tree == _SVC else At.POD_NAMESPACE, namespace_owner(namespace), namespace)
    label, below = left[-3], left[:-3]
    if len(below) > 2:
        return _NOWHERE
    if tree == _POD:
        return Place(At.POD, namespace_owner(namespace), namespace, label, below)
    return Place(At.SERVICE, service_owner(wire_label(label) + wire_label(namespace)), namespace, label, below)


def read_reverse(left: tuple[bytes, ...], zone: tuple[bytes, ...], coredns: bool) -> Place:
    """The place of a name in a reverse zone.

    Args:
        left: the folded labels left of the zone.
        zone: the zone's labels.
        coredns: the cluster domain's fixed names are found in reverse zones as well.
    """
    if not left:
        return Place(At.APEX)
    if left == (b"ns", b"dns") or (coredns and len(left) == 1 and left[0] in (_SVC, _POD, b"dns-version")):
        return read_forward(left)
    full = left + zone
    if coredns and _IPV6_LABELS < len(full) < _IPV6_LABELS + 4:
        # It reads nibbles by fours, and takes no notice of what is left over.
        full = full[-_IPV6_LABELS:]
    addresses = reverse_range(full)
    if addresses is None:
        return _NOWHERE
    owner = address_owner(addresses.first) if addresses.first == addresses.last else None
    return Place(At.REVERSE, owner, addresses=addresses)


class Selection(msgspec.Struct, frozen=True):
    """Which of a Service's records the labels left of its name choose; b"" means any.

    Attributes:
        endpoint: an endpoint's name.
        port, protocol: of a port, without the underscores, which are optional.
    """

    endpoint: bytes = b""
    port: bytes = b""
    protocol: bytes = b""


def read_selection(below: tuple[bytes, ...]) -> Selection:
    """The choice that at most two labels make."""
    if len(below) == 2:
        return Selection(port=below[0].removeprefix(b"_"), protocol=below[1].removeprefix(b"_"))
    return Selection(endpoint=below[0]) if below else Selection()
