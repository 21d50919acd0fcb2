"""Where it is measured: a real kube-apiserver with etcd, and one DNS server at a time that watches it."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.errors import AbsentError, BenchError
from bench.process import LOOPBACK, Process, free_port, running
from bench.servers import BY_NAME
from bench.servers.base import Site
from bench.servers.hsdnsd import common
from tests.cluster.control_plane import ControlPlane, NoProgramsError, find_programs

HSDNSD, COREDNS = "hsdnsd", "coredns"
BOTH = (HSDNSD, COREDNS)
TITLES = {HSDNSD: "hsdnsd", COREDNS: "CoreDNS"}


@dataclass(frozen=True)
class Running:
    """A DNS server that was just started.

    Attributes:
        begun: monotonic time of its start. admin: port of its metrics.
    """

    name: str
    process: Process
    port: int
    admin: int
    begun: float


@dataclass(frozen=True)
class Lab:
    """
    Attributes:
        folder: for whatever is written. programs: of the peers, by name, as far as they are on this machine.
    """

    folder: Path
    programs: Mapping[str, str]
    versions: Mapping[str, str]
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @contextlib.contextmanager
    def control_plane(self, *flags: str) -> Iterator[ControlPlane]:
        """An API server of its own, empty but for what it makes itself; `flags` are more of kube-apiserver."""
        try:
            programs = find_programs("etcd", "kube-apiserver")
        except NoProgramsError as error:
            raise AbsentError(str(error)) from None
        with ControlPlane(programs, self._fresh_folder("control-plane"), *flags) as started:
            # Made by the API server a moment after it says that it is ready: from then on it is at rest.
            deadline = time.monotonic() + 30
            while not started.api.exists("/api/v1/namespaces/kube-system"):
                if time.monotonic() > deadline:
                    raise BenchError("the API server does not make its own Namespaces")
                time.sleep(0.1)
            yield started

    @contextlib.contextmanager
    def serving(self, name: str, kubeconfig: Path, *options: str) -> Iterator[Running]:
        """A server that answers from this API server, on any core; `options` are more of hsdnsd."""
        folder = self._fresh_folder(name)
        site = Site(folder, free_port(), free_port(), free_port(), folder)
        words = _COMMANDS[name](self.programs[name], site, kubeconfig, options)
        begun = time.monotonic()
        with running(words, folder, None) as process:
            yield Running(name, process, site.port, site.admin, begun)

    def _fresh_folder(self, name: str) -> Path:
        folder = self.folder / f"{name}-{next(self._numbers)}"
        folder.mkdir()
        return folder


def find(folder: Path) -> tuple[Lab, list[str]]:
    """What is on this machine, and a line about each server that is not."""
    programs, versions, notes = {}, {}, []
    for name in BOTH:
        try:
            programs[name] = BY_NAME[name].find(folder)
        except AbsentError as error:
            notes.append(f"{TITLES[name]} is left out: {error}")
        else:
            versions[name] = BY_NAME[name].describe(programs[name])
    if HSDNSD not in programs:
        raise AbsentError("; ".join(notes))
    return Lab(folder, programs, versions), notes


def _hsdnsd(program: str, site: Site, kubeconfig: Path, options: Sequence[str]) -> Sequence[str]:
    return [*common(program, site), "--kubeconfig", str(kubeconfig), *options]


def _coredns(program: str, site: Site, kubeconfig: Path, options: Sequence[str]) -> Sequence[str]:
    """The add-on's Corefile without `cache`, which would keep each answer for 5 s or longer, however fresh the
    plugin's own data."""
    assert not options
    text = f""".:{site.port} {{
    bind {LOOPBACK}
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig}
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }}
    prometheus {LOOPBACK}:{site.admin}
    forward . {LOOPBACK}:{site.upstream}
    loadbalance
}}
"""
    return [program, "-conf", site.write("Corefile", text)]


_COMMANDS = {HSDNSD: _hsdnsd, COREDNS: _coredns}
