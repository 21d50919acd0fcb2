"""The gate against a second one that was written apart from it, over every small damage to packets of all kinds."""

from __future__ import annotations

import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.wire.message import build_query
from hsdnsd.wire.query import Query, Refusal, Refused, error_reply, read_query_untrusted
from tests.support.packets import client_packets, name, opt, pointer, query, question, record, u16
from tests.support.reference_gate import judge
from tests.support.wire_strategies import damaged, names

STEPS = {
    Refused.SHORT: {"W1"},
    Refused.RESPONSE: {"W3"},
    Refused.OPCODE: {"W4"},
    Refused.OVERSIZE: {"W5"},
    Refused.QDCOUNT: {"W6", "W7"},
    Refused.QUESTION: {"W8", "W9"},
    Refused.SECTIONS: {"W10", "W11"},
    Refused.OPT: {"W12"},
    Refused.VERSION: {"W15"},
    Refused.CLASS: {"W16"},
    Refused.QTYPE: {"W17"},
    Refused.TRANSFER: {"W18"},
    Refused.OBSOLETE: {"W19"},
}

TSIG = record(name("key"), 250, name("hmac-sha256") + bytes(16), 0, 255)
SEEDS = [
    query(question("a.test")),
    query(b"\0" + u16(2, 1)),
    query(question("Kubernetes.default.svc.cluster.local", 28), flags=0x0130),
    query(b"\1a" * 30 + b"\0" + u16(1, 1)),
    query(b"\3\0.\xff\0" + u16(16, 1)),
    query(question("a.test", 128), [opt()]),
    query(question("a.test", 250), [opt(ttl=0x8000)]),
    query(question("a.test", 252)),
    query(question("a.test", 255), [opt(u16(12, 3) + bytes(3))]),
    query(question("a.test", 1, 3), [opt()]),
    query(question("a.test"), [opt()]),
    query(question("a.test"), [opt(size=4096, ttl=0x8000)]),
    query(question("a.test"), [opt(u16(11, 0))]),
    query(question("a.test"), [opt(u16(10, 8) + b"12345678" + u16(3, 0, 11, 0))]),
    query(question("a.test"), [opt(ttl=0x10000)]),
    query(question("a.test"), [opt(), TSIG]),
    query(question("a.test"), [TSIG]),
    query(question("a.test"), [record(pointer(12), 1, bytes(4)), opt()]),
    query(question("a.test"), [record(b"\1x" + pointer(14), 1, b"")]),
    query(question("a.test"), [opt(u16(100, 0) * 64)]),
    query(question("a.test")) + b"\0\0trailing",
    bytes(64),
]


def check(wire: bytes, truncated: bool = False) -> None:
    found = read_query_untrusted(wire, truncated)
    expected = judge(wire, truncated)
    if isinstance(found, Refusal):
        assert expected.step in STEPS[found.why]
        assert found.reply == expected.reply
        return
    assert expected.step == "W23"
    assert expected.asked is not None
    for field in Query.__struct_fields__:
        assert getattr(found, field) == getattr(expected.asked, field), field


@pytest.mark.parametrize("seed", SEEDS, ids=range(len(SEEDS)))
def test_every_prefix(seed: bytes) -> None:
    for end in range(len(seed) + 1):
        check(seed[:end])


@pytest.mark.parametrize("seed", SEEDS, ids=range(len(SEEDS)))
def test_every_flipped_bit(seed: bytes) -> None:
    for bit in range(8 * len(seed)):
        wire = bytearray(seed)
        wire[bit // 8] ^= 1 << bit % 8
        check(bytes(wire))


@pytest.mark.parametrize("packet", client_packets(), ids=lambda packet: packet.id)
def test_the_corpus_and_its_prefixes(packet: object) -> None:
    wire = packet.wire  # type: ignore[attr-defined]
    check(wire)
    check(wire, truncated=True)
    for end in range(min(len(wire), 300)):
        check(wire[:end])


@given(st.binary(max_size=600), st.booleans())
def test_any_octets(wire: bytes, truncated: bool) -> None:
    check(wire, truncated)


@given(damaged(tuple(SEEDS)), st.booleans())
def test_damaged_queries(wire: bytes, truncated: bool) -> None:
    check(wire, truncated)


@given(damaged(tuple(SEEDS)))
def test_replies_can_be_read_and_are_for_the_asker(wire: bytes) -> None:
    found = read_query_untrusted(wire)
    if isinstance(found, Query):
        replies = [error_reply(found, rcode, ede) for rcode in (2, 16) for ede in (None, 22)]
    elif found.reply is None:
        return
    else:
        replies = [found.reply]
    for reply in replies:
        assert reply[:2] == wire[:2]
        assert isinstance(read_query_untrusted(reply), Refusal)
        assert read_query_untrusted(reply).reply is None  # type: ignore[union-attr]
        if reply[2] & 0x78 == 0:  # dnspython knows no opcode but those that are registered
            read = dns.message.from_wire(reply)
            assert read.id == int.from_bytes(wire[:2], "big")
            assert not read.answer + read.authority + read.additional


@given(
    names(),
    st.integers(0, 65535).filter(lambda qtype: qtype not in (41, 128, 249, 250, 251, 252, 253, 254)),
    st.integers(0, 65535),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, 512, 1232]),
)
def test_what_we_ask_upstream_would_pass_our_own_gate(
    qname: bytes, qtype: int, message_id: int, rd: bool, cd: bool, do: bool, udp_size: int | None
) -> None:
    asked = qname + u16(qtype, 1)
    found = read_query_untrusted(build_query(message_id, asked, rd=rd, cd=cd, do=do, udp_size=udp_size))
    assert isinstance(found, Query)
    assert (found.id, found.question, found.qtype, found.rd, found.cd) == (message_id, asked, qtype, rd, cd)
    assert found.has_opt is (udp_size is not None)
    assert found.do is (do and found.has_opt)
    assert found.udp_size == (udp_size or 512)
    assert not found.trailing
