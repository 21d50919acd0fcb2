"""The two packet paths, Cython and pure Python, and what is needed to feed them."""

from __future__ import annotations

import importlib
import struct
from typing import NamedTuple

from hsdnsd.native import contract
from hsdnsd.wire.const import DO, RD, RRType
from hsdnsd.wire.name import Name, from_text


class Question(NamedTuple):
    """See `hsdnsd.wire.query.Question`."""

    name: Name
    qtype: int = RRType.A
    do: bool = False
    cd: bool = False


class Twin(NamedTuple):
    name: str
    Batch: type[contract.Batch]
    Table: type[contract.Table]


def load_twin(name: str, suffix: str) -> Twin:
    batch = importlib.import_module(f"hsdnsd.native._batch{suffix}")
    table = importlib.import_module(f"hsdnsd.native._table{suffix}")
    return Twin(name, batch.Batch, table.Table)


TWINS = (load_twin("cython", ""), load_twin("python", "_py"))


def query(
    name: str | bytes = "www.example",
    qtype: int = RRType.A,
    *,
    id: int = 0x1234,
    flags: int = RD,
    opt: bytes = b"",
    qclass: int = 1,
) -> bytes:
    """A datagram that asks one question; `opt` is put behind it as it is, and counted if it isn't empty."""
    wire = from_text(name) if isinstance(name, str) else name
    header = struct.pack("!HHHHHH", id, flags, 1, 0, 0, 1 if opt else 0)
    return header + wire + struct.pack("!HH", qtype, qclass) + opt


def opt(size: int = 1232, *, do: bool = False, options: bytes = b"", version: int = 0) -> bytes:
    """An OPT record (RFC 6891 section 6.1.2)."""
    return struct.pack("!BHHBBHH", 0, RRType.OPT, size, 0, version, DO if do else 0, len(options)) + options


def option(code: int, data: bytes = b"") -> bytes:
    return struct.pack("!HH", code, len(data)) + data


def folded(name: str) -> Name:
    return Name(from_text(name).lower())
