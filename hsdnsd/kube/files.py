"""Which files hold manifests, and a cheap sign of whether they changed."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

SUFFIXES = (".yaml", ".yml", ".json")

# What one look may visit; keeps a mistyped path ("/") from walking a whole disk twice a second.
MAX_ENTRIES = 20_000

# A file larger than this is no manifest that a person or a tool wrote (10,000 EndpointSlices are some 40 MiB).
MAX_BYTES = 256 << 20

# File times tick with the kernel's clock (1 to 10 ms): a file written again this soon may look the same.
_TICK_NS = 50_000_000


class Look(msgspec.Struct, frozen=True):
    """What was seen of the files.

    Attributes:
        files: in reading order.
        signature: differs if a file came, went, or was replaced or written (links are followed: a ConfigMap is
            updated by turning a link, `..data`, to another directory).
        settled: the newest change is so old that the signature would have shown another one after it.
    """

    files: tuple[Path, ...]
    signature: tuple[tuple[str, int, int, int, int], ...]
    settled: bool


def look(paths: Iterable[str]) -> Look:
    """Find the manifests: a path to a file is one; of a directory, those with a manifest's suffix, in the order of
    their names, and those of its subdirectories; nothing hidden (kubelet keeps a ConfigMap's own files so).

    Raises:
        OSError: a path is not there or may not be read, a link leads nowhere, something is not a regular file or
            too large, or there are more than MAX_ENTRIES.
    """
    files: list[Path] = []
    signature = []
    newest = 0
    budget = [MAX_ENTRIES]
    for path in map(Path, paths):
        for file in _walk(path, set(), budget) if path.is_dir() else (path,):
            status = file.stat()
            if not stat.S_ISREG(status.st_mode):
                raise OSError(0, "not a regular file", str(file))
            if status.st_size > MAX_BYTES:
                raise OSError(0, f"larger than {MAX_BYTES} octets", str(file))
            files.append(file)
            signature.append((str(file), status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size))
            newest = max(newest, status.st_mtime_ns)
    return Look(tuple(files), tuple(signature), abs(time.time_ns() - newest) > _TICK_NS)


def _walk(directory: Path, above: set[tuple[int, int]], budget: list[int]) -> Iterator[Path]:
    status = directory.stat()
    identity = (status.st_dev, status.st_ino)
    if identity in above:  # a link to a directory that holds it
        return
    with os.scandir(directory) as entries:
        names = sorted((entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith("."))
    budget[0] -= len(names)
    if budget[0] < 0:
        raise OSError(0, f"more than {MAX_ENTRIES} files and directories", str(directory))
    for name, is_directory in names:
        path = directory / name
        if is_directory:
            yield from _walk(path, above | {identity}, budget)
        elif name.endswith(SUFFIXES):
            yield path
