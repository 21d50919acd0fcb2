"""The clients that people use: dig, kdig, drill, and glibc's resolver."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, running

EXAMPLES = Path(__file__).parents[2] / "examples"
NAME = "postgres.database.svc.cluster.local"
PODS = [f"postgres-{number}.{NAME}" for number in range(3)]


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with running("--manifests", str(EXAMPLES), settings=['forward.resolv_conf=""']) as daemon:
        yield daemon


def needs(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


def output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


@pytest.mark.parametrize("transport", [[], ["+tcp"], ["+noedns"], ["+bufsize=512"]], ids=["udp", "tcp", "plain", "512"])
@pytest.mark.parametrize("program", ["dig", "kdig"])
def test_dig(daemon: Daemon, program: str, transport: list[str]) -> None:
    host, port = daemon.server
    command = [needs(program), f"@{host}", "-p", str(port), "+short", *transport]
    srv = output(*command, "SRV", f"_postgresql._tcp.{NAME}").split("\n")
    assert sorted(filter(None, srv)) == [f"0 33 5432 {pod}." for pod in PODS]
    by_name = {output(*command, pod).strip() for pod in PODS}
    assert by_name == set(output(*command, NAME).split())
    assert len(by_name) == 3
    for address in by_name:
        assert output(*command, "-x", address).strip().removesuffix(".") in PODS


def test_drill(daemon: Daemon) -> None:
    host, port = daemon.server
    said = output(needs("drill"), "-p", str(port), f"@{host}", NAME)
    assert "rcode: NOERROR" in said
    assert "ANSWER: 3" in said


def test_glibc(tmp_path: Path) -> None:
    """`getent` with a resolv.conf that names the daemon, in a network namespace where nothing else is."""
    (tmp_path / "resolv.conf").write_text(
        "nameserver 127.0.0.1\nsearch database.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n"
    )
    script = f"""
        set -e
        ip link set lo up
        ip address add 10.244.0.1/32 dev lo  # glibc asks for A only where there is more than 127.0.0.1
        mount --bind {tmp_path}/resolv.conf /etc/resolv.conf
        {sys.executable} -m hsdnsd serve --manifests {EXAMPLES} --listen 127.0.0.1:53 --admin '' \
            --set 'forward.resolv_conf=""' 2> {tmp_path}/log &
        daemon=$!
        for _ in $(seq 300); do grep -q synced {tmp_path}/log && break; sleep 0.1; done
        getent ahostsv4 postgres | awk '{{print "search", $1}}' | sort -u
        getent ahostsv4 postgres-1.{NAME} | awk '{{print "pod", $1}}' | sort -u
        getent hosts $(getent ahostsv4 postgres-1.postgres | awk '{{print $1; exit}}') | awk '{{print "reverse", $2}}'
        getent hosts nothing || echo none $?
        kill $daemon
        wait $daemon && echo stopped
    """
    needs("getent")
    needs("ip")
    unshare = [needs("unshare"), "--net", "--mount", "--fork", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no network namespaces here")
    result = subprocess.run(
        [*unshare, "sh", "-c", script],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )
    lines = result.stdout.splitlines()
    assert lines[-2:] == ["none 2", "stopped"], result.stderr + (tmp_path / "log").read_text()
    assert sum(line.startswith("search 10.") for line in lines) == 3
    assert sum(line.startswith("pod 10.") for line in lines) == 1
    assert f"reverse postgres-1.{NAME}" in lines
