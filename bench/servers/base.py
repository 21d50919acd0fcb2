"""What a bench needs to know of a server: where its program is, how it is configured, what it can be asked."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Flag, auto
from pathlib import Path

from bench.errors import AbsentError

# Debian keeps daemons where a user's PATH does not always lead.
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])


class Serves(Flag):
    """What sorts of names a server answers."""

    OWN = auto()  # the cluster's zone
    EXTERNAL = auto()  # what an upstream knows
    MISS = auto()  # measured on the miss path too


@dataclass(frozen=True)
class Site:
    """Where one run of a server lives.

    Attributes:
        folder: its own, empty at first. port: for DNS, on 127.0.0.1. admin: for HTTP, or whatever else it needs.
        upstream: port of the upstream on 127.0.0.1.
        shared: what all servers are given: cluster.yaml, cluster.zone, kubeconfig, and the compiled programs.
    """

    folder: Path
    port: int
    admin: int
    upstream: int
    shared: Path

    def write(self, name: str, text: str) -> str:
        """Write a file in the server's folder; its path."""
        path = self.folder / name
        path.write_text(text)
        return str(path)


@dataclass(frozen=True, eq=False)
class Server:
    """
    Attributes:
        name: as in `bench/run --server NAME`. title: how tables call it.
        program: looked for in PATH, unless the environment variable `variable` holds a path.
        command: writes the configuration and returns the command line; the first argument is the program's path.
        version: options that make the program tell its version; empty: it has none.
        role: how it comes by the cluster's names, for the table's legend.
        package: what brings it (bench/install-peers).
        checked: whether its answers can be looked at.
    """

    name: str
    title: str
    program: str
    serves: Serves
    command: Callable[[str, Site], Sequence[str]]
    role: str
    variable: str = ""
    package: str = ""
    version: Sequence[str] = ()
    checked: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)

    def find(self, shared: Path) -> str:
        """The program's path; one that was compiled for the bench lies in `shared`.

        Raises:
            AbsentError: it is not here.
        """
        if self.variable and (named := os.environ.get(self.variable)):
            if not os.access(named, os.X_OK):
                raise AbsentError(f"{self.variable}={named} is not a program")
            return str(Path(named).resolve())
        compiled = shared / self.program
        if os.access(compiled, os.X_OK):
            return str(compiled)
        if found := shutil.which(self.program, path=_PATH):
            return found
        hint = f"; {self.variable}=PATH names it" if self.variable else ""
        raise AbsentError(f"no {self.program}; {self.package}{hint}")

    def describe(self, program: str) -> str:
        """The program's version number, "" if it has none."""
        if not self.version:
            return ""
        told = subprocess.run([program, *self.version], capture_output=True, text=True, timeout=30, check=False)
        found = re.search(r"\d+\.\d+[\w.~+:-]*", told.stdout + told.stderr)
        return found[0] if found else "unknown"
