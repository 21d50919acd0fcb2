from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.native.contract import Peer
from hsdnsd.native.peer import PeerParts, is_link_local, pack_peer, port_of, source_of, unpack_peer

OCTETS4 = st.binary(min_size=4, max_size=4)
OCTETS16 = st.binary(min_size=16, max_size=16)
TIMES = st.integers(-(2**63), 2**63 - 1)
PORTS = st.integers(0, 65535)
PEERS = st.builds(PeerParts, TIMES, PORTS, OCTETS4, OCTETS4, st.just(0)) | st.builds(
    PeerParts, TIMES, PORTS, OCTETS16, OCTETS16, st.integers(0, 2**32 - 1)
)


@given(PEERS)
def test_unpacking_undoes_packing(parts: PeerParts) -> None:
    assert unpack_peer(pack_peer(parts)) == parts


@pytest.mark.parametrize("size", [0, 17, 19, 45, 47])
def test_what_is_no_peer(size: int) -> None:
    with pytest.raises(ValueError, match="peer"):
        unpack_peer(Peer(bytes(size)))


@given(PEERS)
def test_its_port_and_source_are_those_that_were_packed(parts: PeerParts) -> None:
    peer = pack_peer(parts)
    assert port_of(peer) == parts.port
    address = ipaddress.ip_address(parts.address)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    assert ipaddress.ip_address(source_of(peer)) == (mapped or address)


def test_the_source_in_text() -> None:
    assert source_of(pack_peer(PeerParts(0, 53, b"\x0a\1\2\3", bytes(4), 0))) == "10.1.2.3"
    assert source_of(pack_peer(PeerParts(0, 53, bytes(15) + b"\1", bytes(16), 0))) == "::1"


def test_an_ipv4_client_of_an_ipv6_socket_is_one_client() -> None:
    mapped = bytes(10) + b"\xff\xff\x0a\1\2\3"
    assert source_of(pack_peer(PeerParts(0, 53, mapped, bytes(16), 0))) == "10.1.2.3"


def test_link_local() -> None:
    assert is_link_local(b"\xfe\x80" + bytes(14))
    assert is_link_local(b"\xfe\xbf" + bytes(14))
    assert not is_link_local(b"\xfe\xc0" + bytes(14))
    assert not is_link_local(bytes(16))
    assert not is_link_local(b"\xfe\x80\0\0")
