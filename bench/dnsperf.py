"""dnsperf: the closed loop that finds out how fast a server goes, and a second opinion on latencies."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench.errors import BenchError
from bench.process import LOOPBACK, pinned

OUTSTANDING = 100  # dnsperf's own default

_NUMBERS = {
    "sent": r"Queries sent:\s+(\d+)",
    "completed": r"Queries completed:\s+(\d+)",
    "lost": r"Queries lost:\s+(\d+)",
    "seconds": r"Run time \(s\):\s+([\d.]+)",
    "per_second": r"Queries per second:\s+([\d.]+)",
    "latency": r"Average Latency \(s\):\s+([\d.]+)",
}
_RCODE = re.compile(r"([A-Z]+) (\d+) \([\d.]+%\)")
_REPLY = re.compile(r"^> [A-Z]+ \S+ \S+ ([\d.]+)$", re.MULTILINE)


class Run(NamedTuple):
    """What dnsperf told at its end.

    Attributes:
        latency: the average, in seconds. rcodes: replies by rcode.
    """

    sent: int
    completed: int
    lost: int
    seconds: float
    per_second: float
    latency: float
    rcodes: dict[str, int]


def parse(output: str) -> Run:
    """
    Raises:
        BenchError: this is not what dnsperf prints at its end.
    """
    found = {key: re.search(pattern, output) for key, pattern in _NUMBERS.items()}
    missing = [key for key, match in found.items() if match is None]
    if missing:
        raise BenchError(f"dnsperf's output has no {', '.join(missing)}:\n{output[-2000:]}")
    value = {key: float(match[1]) for key, match in found.items() if match}
    line = re.search(r"Response codes:(.*)", output)
    rcodes = {rcode: int(count) for rcode, count in _RCODE.findall(line[1] if line else "")}
    sent, completed, lost = (int(value[key]) for key in ("sent", "completed", "lost"))
    return Run(sent, completed, lost, value["seconds"], value["per_second"], value["latency"], rcodes)


def parse_latencies(output: str) -> Iterator[float]:
    """The latency of each reply, in seconds, from the output of `dnsperf -v`."""
    return (float(seconds) for seconds in _REPLY.findall(output))


def run(
    port: int,
    questions: Path,
    core: int,
    *,
    seconds: float,
    edns: bool = False,
    once: bool = False,
    rate: int | None = None,
    each: bool = False,
) -> str:
    """Run dnsperf on one core against a port of 127.0.0.1; what it printed.

    Args:
        questions: its data file.
        once: stop at the end of the file, if that comes before the time is over.
        rate: at most so many queries a second; None: as many as are answered.
        each: tell every reply's latency (`-v`).

    Raises:
        BenchError: it failed; with its last words.
    """
    command = ["dnsperf", "-s", LOOPBACK, "-p", str(port), "-d", str(questions), "-q", str(OUTSTANDING)]
    command += ["-l", f"{seconds:g}", *(["-e"] if edns else []), *(["-n", "1"] if once else [])]
    command += [*(["-Q", str(rate)] if rate else []), *(["-v"] if each else [])]
    done = subprocess.run(pinned(command, core), capture_output=True, text=True, timeout=seconds + 30, check=False)
    if done.returncode:
        raise BenchError(f"dnsperf ended with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
