"""hsdnsd as it comes: default settings, the cluster from a manifest."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from bench.process import LOOPBACK
from bench.servers.base import Server, Serves, Site

BUILT = Path(__file__).resolve().parents[2] / ".venv" / "bin" / "hsdnsd"


def command(program: str, site: Site) -> Sequence[str]:
    return [*common(program, site), "--manifests", str(site.shared / "cluster.yaml")]


def common(program: str, site: Site) -> list[str]:
    """Everything but where the objects come from."""
    return [
        program, "serve",
        "--listen", f"{LOOPBACK}:{site.port}",
        "--admin", f"{LOOPBACK}:{site.admin}",
        "--upstream", f"{LOOPBACK}:{site.upstream}",
        "--log-level", "warning",
    ]  # fmt: skip


SERVER = Server(
    name="hsdnsd",
    title="hsdnsd",
    program=str(BUILT) if os.access(BUILT, os.X_OK) else "hsdnsd",
    variable="BENCH_HSDNSD",
    serves=Serves.OWN | Serves.EXTERNAL | Serves.MISS,
    command=command,
    role="serves the zone from Kubernetes objects, forwards the rest",
    package="make build",
    version=["version"],
)
