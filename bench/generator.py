"""bench/generator/load.c: compiled when a bench begins, run against one server, its line of JSON read."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from bench.errors import BenchError
from bench.process import LOOPBACK, pinned

HERE = Path(__file__).resolve().parent
LATEST = 100_000.0  # microseconds
LONGEST = 600.0  # seconds; it ends by itself long before
SOURCES = ("generator/load.c", "upstream/upstream.c", "floor/floor.c")


class Load(NamedTuple):
    """What came of a load; latencies in microseconds.

    Attributes:
        seconds: without the wait for the last replies.
        late: the most that a query left after its time (open loop), in microseconds.
        realtime: whether the generator had a real-time priority.
        rcodes: replies by number.
    """

    seconds: float
    sent: int
    answered: int
    lost: int
    p50: float
    p99: float
    p999: float
    max: float
    late: float
    realtime: bool
    rcodes: tuple[int, ...]

    @property
    def per_second(self) -> float:
        return self.answered / self.seconds


def compile_all(folder: Path) -> None:
    """Compile the C programs of a bench into a folder.

    Raises:
        BenchError: there is no compiler, or it fails.
    """
    for source in SOURCES:
        path = HERE / source
        command = ["cc", "-O2", "-o", str(folder / path.stem), str(path)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise BenchError("a C compiler (cc) is needed to build the generator") from None
        if done.returncode:
            raise BenchError(f"{' '.join(command)}: {done.stderr}")


def parse(line: str) -> Load:
    """
    Raises:
        BenchError: this is not the generator's line; or the generator was kept from its work for so long that what it
            then sent was no load but a burst.
    """
    try:
        told: dict[str, Any] = json.loads(line)
        load = Load(**{field: told[field] for field in Load._fields} | {"rcodes": tuple(told["rcodes"])})
    except (ValueError, KeyError, TypeError) as error:
        raise BenchError(f"the generator said {line!r}: {error}") from error
    if load.late > LATEST:
        raise BenchError(f"the generator was late by {load.late / 1000:,.0f} ms; is its core free?")
    return load


def command(
    folder: Path,
    port: int,
    queries: Path,
    core: int | None,
    seconds: float,
    *,
    rate: int | None = None,
    turn: int | None = None,
    window: int | None = None,
) -> list[str]:
    """The generator's command line.

    Args:
        rate: queries per second, an open loop. turn: microseconds whose queries leave together.
        window: queries outstanding, a closed loop; instead of a rate.
    """
    mode, number = ("rate", rate) if window is None else ("window", window)
    words = [str(folder / "load"), LOOPBACK, str(port), str(queries), f"{seconds:g}", mode, str(number)]
    return pinned([*words, *([str(turn)] if turn else [])], core)


def run(words: list[str]) -> Load:
    """Run a `command` to its end.

    Raises:
        BenchError: it failed.
    """
    done = subprocess.run(words, capture_output=True, text=True, timeout=LONGEST, check=False)
    if done.returncode:
        raise BenchError(f"the generator ended with {done.returncode}: {done.stderr.strip()}")
    return parse(done.stdout)
