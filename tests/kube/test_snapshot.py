"""hsdnsd.kube.snapshot: the file's octets, whole and otherwise."""

from __future__ import annotations

import hashlib
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.kube.snapshot import MAGIC, VERSION, Header, SnapshotError, decode, encode
from hsdnsd.records.model import Kind, Memory, NamespaceFact, PodFact, Port, ServiceFact, SliceMemory

HEADER = Header(1000.0, "cluster.local", "here", {kind.value: 999.0 for kind in Kind})
HTTP = Port("http", "tcp", 80)
SLICE = SliceMemory("n", "a-1", "a", (HTTP,), (b"\n\0\0\1", b"\n\0\0\2"), (b"\3A-0", None), (b"\3a-0", None), None, 1)
MEMORIES: dict[Kind, list[Memory]] = {
    Kind.SERVICE: [ServiceFact("n", "a", headless=True), ServiceFact("n", "b", (b"\n\0\0\3",), ports=(HTTP,))],
    Kind.ENDPOINT_SLICE: [SLICE],
    Kind.NAMESPACE: [NamespaceFact("n")],
    Kind.POD: [PodFact("n", "p", (b"\n\0\0\4",))],
}


def written(header: Header = HEADER, memories: dict[Kind, list[Memory]] = MEMORIES) -> bytes:
    return b"".join(encode(header, memories))


WHOLE = written()


def framed(rest: bytes, version: int = VERSION) -> bytes:
    """`rest` as a file that is whole."""
    return MAGIC + struct.pack("!IQ", version, len(rest)) + hashlib.sha256(rest).digest() + rest


def test_what_is_written_is_read() -> None:
    assert decode(WHOLE, "cluster.local", "here") == (HEADER, MEMORIES)


def test_a_large_kind_is_written_in_parts() -> None:
    many: list[Memory] = [ServiceFact("n", f"s{number}") for number in range(10_000)]
    parts = encode(HEADER, {Kind.SERVICE: many})
    assert len(parts) > 8
    assert max(map(len, parts)) < 100_000
    assert decode(b"".join(parts), "cluster.local", "here")[1][Kind.SERVICE] == many


def test_f25_every_octet_counts() -> None:
    for place in range(len(WHOLE)):
        broken = bytearray(WHOLE)
        broken[place] ^= 1
        with pytest.raises(SnapshotError):
            decode(bytes(broken), "cluster.local", "here")


def test_f25_every_cut_is_noticed() -> None:
    for length in range(len(WHOLE)):
        with pytest.raises(SnapshotError):
            decode(WHOLE[:length], "cluster.local", "here")
    with pytest.raises(SnapshotError, match="announced"):
        decode(WHOLE + b"\0", "cluster.local", "here")


@pytest.mark.parametrize("version", [VERSION - 1, VERSION + 1])
def test_f25_another_format(version: int) -> None:
    with pytest.raises(SnapshotError, match=f"format {version}, not {VERSION}"):
        decode(framed(WHOLE[60:], version), "cluster.local", "here")


@pytest.mark.parametrize(("zone", "origin"), [("example", "here"), ("cluster.local", "elsewhere")])
def test_f25_of_somebody_else(zone: str, origin: str) -> None:
    with pytest.raises(SnapshotError, match="of another cluster or other options"):
        decode(WHOLE, zone, origin)


def frame(number: int, thing: object) -> bytes:
    body = msgspec.msgpack.encode(thing)
    return struct.pack("!BI", number, len(body)) + body


HEAD = frame(0, HEADER)


@pytest.mark.parametrize(
    "rest",
    [
        b"",
        b"\0",
        frame(1, []),
        frame(0, {}),
        HEAD + b"\1",
        HEAD + frame(5, []),
        HEAD + frame(1, [1]),
        HEAD + frame(1, b"\xff"),
        HEAD + struct.pack("!BI", 1, 100),
        frame(0, msgspec.structs.replace(HEADER, known={"Pea": 1.0})),
        HEAD + frame(2, [msgspec.structs.replace(SLICE, ready=3)]),
        HEAD + frame(2, [msgspec.structs.replace(SLICE, names=(None,))]),
        HEAD + frame(2, [msgspec.structs.replace(SLICE, folded=(None,))]),
        HEAD + frame(2, [msgspec.structs.replace(SLICE, names=None)]),
        HEAD + frame(2, [msgspec.structs.replace(SLICE, texts=(None,) * 3)]),
        HEAD + frame(1, ["x"]) * 2,
    ],
)
def test_f25_whole_files_that_make_no_sense(rest: bytes) -> None:
    with pytest.raises(SnapshotError, match="can't be understood"):
        decode(framed(rest), "cluster.local", "here")


@given(st.binary(max_size=200))
def test_any_octets_are_read_or_refused(junk: bytes) -> None:
    for octets in (junk, framed(junk), framed(HEAD + junk)):
        try:
            decode(octets, "cluster.local", "here")
        except SnapshotError:
            continue
