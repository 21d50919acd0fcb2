"""Where and what was measured: commit, machine, versions."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class CpuTime(NamedTuple):
    """Of all cores since the machine was started, in clock ticks.

    Attributes:
        stolen: in which somebody would have run, and the hypervisor had given the core to others (proc_stat(5)).
    """

    stolen: int
    total: int

    def stolen_since(self, before: CpuTime) -> float:
        """What the hypervisor has taken in between, as a share."""
        return (self.stolen - before.stolen) / max(self.total - before.total, 1)


def cpu_time(stat: str | None = None) -> CpuTime:
    """Args: stat: the contents of /proc/stat, which is else read."""
    text = Path("/proc/stat").read_text() if stat is None else stat
    # user, nice, system, idle, iowait, irq, softirq, steal; what guests have used is in user and nice as well.
    fields = [int(field) for field in text.partition("\n")[0].split()[1:9]]
    return CpuTime(fields[7], sum(fields))


def describe() -> dict[str, str]:
    """Facts for the head of a report."""
    return {
        "commit": commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": cpu_model(Path("/proc/cpuinfo").read_text()),
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "system": _system(),
        "load": f"{os.getloadavg()[0]:.2f}",
    }


def commit() -> str:
    """The commit, with a word about what is not in it; "unknown" outside a clone."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", "hsdnsd", "bench")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head} and changes that are not committed" if changed else head


def cpu_model(cpuinfo: str) -> str:
    """The processor's name, from /proc/cpuinfo; and whether this is a virtual machine."""
    name = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    numbers = [re.search(rf"^{key}\s*:\s*(\d+)$", cpuinfo, re.MULTILINE) for key in ("cpu family", "model")]
    family = "" if None in numbers else " (family {}, model {})".format(*(match[1] for match in numbers if match))
    virtual = ", virtual machine" if re.search(r"^flags\s*:.*\bhypervisor\b", cpuinfo, re.MULTILINE) else ""
    return (name[1] if name else platform.machine()) + family + virtual


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()
