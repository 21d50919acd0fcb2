"""The file in which the last known state of the cluster outlives the daemon: octets <-> what the zones are made from.

"hsdnsd snapshot\\n", format version (4 octets), length of the rest (8), SHA-256 of the rest (32); then frames, each
kind (1), length (4), MessagePack: first the header, then objects of one kind at a time
"""

from __future__ import annotations

import hashlib
import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from hsdnsd.errors import HsdnsdError
from hsdnsd.kube.oneline import one_line
from hsdnsd.records.model import Kind, Memory, NamespaceFact, PodFact, ServiceFact, SliceMemory

MAGIC: Final = b"hsdnsd snapshot\n"
VERSION: Final = 2

_HEAD: Final = struct.Struct("!16sIQ32s")
_FRAME: Final = struct.Struct("!BI")
_DECODERS: Final[dict[Kind, msgspec.msgpack.Decoder[Any]]] = {
    Kind.SERVICE: msgspec.msgpack.Decoder(list[ServiceFact]),
    Kind.ENDPOINT_SLICE: msgspec.msgpack.Decoder(list[SliceMemory]),
    Kind.NAMESPACE: msgspec.msgpack.Decoder(list[NamespaceFact]),
    Kind.POD: msgspec.msgpack.Decoder(list[PodFact]),
}
_KINDS: Final = tuple(Kind)  # frame kinds from 1; 0 is the header
# Addresses and objects of one frame. Each is encoded without a pause, and a pause of 2 ms is what a query may meet.
_FRAME_WEIGHT: Final = 4096


class SnapshotError(HsdnsdError):
    """The octets are no snapshot, or none that is good here."""


class Header(msgspec.Struct, frozen=True):
    """What is to be known of a snapshot before it is believed.

    Attributes:
        written: Unix time.
        zone: the cluster domain. origin: stands for the cluster, and for the options that the facts were made under.
        known: by kind's value the Unix time at which the API server was last heard, so that the facts were true.
    """

    written: float
    zone: str
    origin: str
    known: dict[str, float]


def encode(header: Header, memories: Mapping[Kind, Iterable[Memory]]) -> list[bytes]:
    """The file, in parts. May run in a thread: it lets others run several times a millisecond."""
    encoder = msgspec.msgpack.Encoder()
    parts = list(_frame(0, encoder.encode(header)))
    for number, kind in enumerate(_KINDS, 1):
        for batch in _batches(memories.get(kind, ())):
            parts += _frame(number, encoder.encode(batch))
            time.sleep(0)
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return [_HEAD.pack(MAGIC, VERSION, sum(map(len, parts)), digest.digest()), *parts]


def decode(octets: bytes, zone: str, origin: str) -> tuple[Header, dict[Kind, list[Memory]]]:
    """
    Args:
        zone, origin: what the header has to say.

    Raises:
        SnapshotError: says what is wrong, in one line.
    """
    if len(octets) < _HEAD.size or not octets.startswith(MAGIC):
        raise SnapshotError("not a snapshot")
    _, version, length, digest = _HEAD.unpack_from(octets)
    if version != VERSION:
        raise SnapshotError(f"format {version}, not {VERSION}")
    rest = memoryview(octets)[_HEAD.size :]
    if len(rest) != length:
        raise SnapshotError(f"{len(rest)} octets where {length} are announced")
    if hashlib.sha256(rest).digest() != digest:
        raise SnapshotError("the checksum is wrong")
    try:
        return _read(rest, zone, origin)
    except (ValueError, RecursionError, struct.error, LookupError) as error:
        raise SnapshotError(one_line(f"can't be understood: {error}")) from None


def _read(rest: memoryview, zone: str, origin: str) -> tuple[Header, dict[Kind, list[Memory]]]:
    frames = _frames(rest)
    number, body = next(frames, (-1, rest))
    if number != 0:
        raise ValueError("no header")
    header = msgspec.msgpack.decode(body, type=Header)
    if (header.zone, header.origin) != (zone, origin):
        raise SnapshotError(one_line(f"of another cluster or other options ({header.zone})"))
    memories: dict[Kind, list[Memory]] = {Kind(value): [] for value in header.known}
    for number, body in frames:
        kind = _KINDS[number - 1]
        memories[kind] += _DECODERS[kind].decode(body)
    if not all(map(_fits, memories.get(Kind.ENDPOINT_SLICE, ()))):
        raise ValueError("a slice that does not fit together")
    return header, memories


def _fits(memory: Memory) -> bool:
    """Whether the columns of a slice are as long as each other."""
    if not isinstance(memory, SliceMemory):
        return False
    count = len(memory.addresses)
    return (
        0 <= memory.ready <= count
        and (memory.names is None or len(memory.names) == count)
        and (memory.folded is None or (memory.names is not None and len(memory.folded) == count))
        and (memory.texts is None or len(memory.texts) == count)
    )


def _frame(number: int, body: bytes) -> tuple[bytes, bytes]:
    return _FRAME.pack(number, len(body)), body


def _frames(rest: memoryview) -> Iterator[tuple[int, memoryview]]:
    at = 0
    while at < len(rest):
        number, length = _FRAME.unpack_from(rest, at)
        at += _FRAME.size
        if length > len(rest) - at:
            raise ValueError("a frame that does not end")
        yield number, rest[at : at + length]
        at += length


def _batches(memories: Iterable[Memory]) -> Iterator[list[Memory]]:
    batch: list[Memory] = []
    weight = 0
    for memory in memories:
        batch.append(memory)
        weight += 1 + (len(memory.addresses) if isinstance(memory, SliceMemory) else 1)
        if weight >= _FRAME_WEIGHT:
            yield batch
            batch, weight = [], 0
    if batch:
        yield batch
