"""Hypothesis strategies for names, RRsets and damaged packets."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from hypothesis import strategies as st

from hsdnsd.wire.name import Name
from hsdnsd.wire.rrset import RRset
from tests.support.packets import AAAA, CNAME, MX, NS, PTR, SOA, SRV, TXT, A, u16, u32

# Few different labels, so that names share endings; letters in both cases, and now and then any octets at all.
_LABELS = st.one_of(
    st.sampled_from([b"a", b"A", b"web", b"svc", b"Svc", b"cluster"]),
    st.binary(min_size=1, max_size=4),
)
_LONG = [(b"x" * 63,) * 3 + (b"y" * 61,), (b"a",) * 127, (b"A",) * 40, (b"\0" * 63, b"svc")]


def _joined(parts: Sequence[bytes]) -> Name:
    return Name(b"".join(bytes([len(part)]) + part for part in parts) + b"\0")


_NAMES = st.one_of(st.lists(_LABELS, max_size=5).map(_joined), st.sampled_from([_joined(parts) for parts in _LONG]))


def names() -> st.SearchStrategy[Name]:
    return _NAMES


_NUMBERS = st.integers(0, 65535)

# Right rdata of each type, uncompressed; any octets for a type that is nothing but octets.
RDATAS: dict[int, st.SearchStrategy[bytes]] = {
    A: st.binary(min_size=4, max_size=4),
    AAAA: st.binary(min_size=16, max_size=16),
    NS: _NAMES,
    CNAME: _NAMES,
    PTR: _NAMES,
    39: _NAMES,
    SOA: st.builds(lambda m, r, n: m + r + u32(n, n, n, n, n), _NAMES, _NAMES, _NUMBERS),
    MX: st.builds(lambda n, target: u16(n) + target, _NUMBERS, _NAMES),
    SRV: st.builds(lambda n, target: u16(n, n, n) + target, _NUMBERS, _NAMES),
    17: st.builds(bytes.__add__, _NAMES, _NAMES),
    35: st.builds(lambda n, target: u16(n, n) + b"\1s\0\0" + target, _NUMBERS, _NAMES),
    TXT: st.binary(min_size=1, max_size=40).map(lambda text: bytes([len(text)]) + text),
    65280: st.binary(max_size=300),
}
_ONLY_ONE = {CNAME, SOA, 39}


def rrsets() -> st.SearchStrategy[RRset]:
    return st.one_of([_rrsets(rtype) for rtype in RDATAS])


def _rrsets(rtype: int) -> st.SearchStrategy[RRset]:
    found = st.lists(RDATAS[rtype], min_size=1, max_size=1 if rtype in _ONLY_ONE else 4, unique_by=bytes.lower)
    return st.builds(RRset, _NAMES, st.just(rtype), st.integers(0, 0x7FFFFFFF), found.map(tuple))


_SECTIONS = st.lists(rrsets(), max_size=3, unique_by=lambda rrset: (rrset.name.lower(), rrset.rtype))


def sections() -> st.SearchStrategy[list[RRset]]:
    """RRsets as distinct as those of one section are, but for case in rdata."""
    return _SECTIONS


@functools.cache
def damaged(seeds: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    """The seeds with octets changed, cut out, put in twice or taken from another."""

    @st.composite
    def strategy(draw: st.DrawFn) -> bytes:
        wire = bytearray(draw(st.sampled_from(seeds)))
        for _ in range(draw(st.integers(0, 6))):
            at = draw(st.integers(0, len(wire)))
            match draw(st.integers(0, 4)):
                case 0:
                    wire[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
                case 1:
                    del wire[at : at + draw(st.integers(1, 20))]
                case 2:
                    wire[at:at] = wire[at : at + draw(st.integers(1, 40))]
                case 3:
                    wire[at : at + 2] = u16(0xC000 | draw(st.integers(0, len(wire))))
                case _:
                    other = draw(st.sampled_from(seeds))
                    wire[at:] = other[draw(st.integers(0, len(other))) :]
        return bytes(wire)

    return strategy()
