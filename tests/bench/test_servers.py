"""The adapters: what they need, where they write, what is said when they are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import AbsentError
from bench.servers import BY_NAME, SERVERS
from bench.servers.base import Server, Serves, Site

PEERS = [server for server in SERVERS if server.package == "bench/install-peers"]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "own").mkdir()
    (tmp_path / "shared").mkdir()
    return Site(tmp_path / "own", 15353, 19253, 25353, tmp_path / "shared")


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_a_server_is_told_its_port_and_nothing_of_the_machine(server: Server, site: Site) -> None:
    command = server.command("/program", site)
    written = "\n".join(path.read_text() for path in site.folder.iterdir())
    told = written + " ".join(command)
    assert command[0] == "/program"
    assert str(site.port) in told
    assert "0.0.0.0" not in told
    assert "/etc/" not in told
    forwards = Serves.EXTERNAL in server.serves and server.checked
    assert (str(site.upstream) in told) == forwards


@pytest.mark.parametrize("server", PEERS, ids=lambda server: server.name)
def test_a_peer_has_one_thread(server: Server, site: Site) -> None:
    command = server.command("/program", site)
    told = "\n".join(path.read_text() for path in site.folder.iterdir()) + " ".join(command)
    one = {"unbound": "num-threads: 1", "nsd": "server-count: 1", "bind9": "-n 1", "pdns-recursor": "threads=1"}
    # dnsmasq has one by nature, dnsdist one for each setLocal.
    assert one.get(server.name, "") in told
    assert told.count("setLocal(") == (server.name == "dnsdist")


def test_go_programs_have_one_processor() -> None:
    assert BY_NAME["coredns"].environment == BY_NAME["nodelocal"].environment == {"GOMAXPROCS": "1"}


def test_a_server_that_is_not_here_says_what_brings_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.servers.base._PATH", str(tmp_path))
    monkeypatch.delenv("BENCH_COREDNS", raising=False)
    with pytest.raises(
        AbsentError, match=r"no coredns; bench/install-peers --coredns FOLDER; BENCH_COREDNS=PATH names it"
    ):
        BY_NAME["coredns"].find(tmp_path)


def test_a_path_in_the_environment_counts_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "coredns"
    monkeypatch.setenv("BENCH_COREDNS", str(program))
    with pytest.raises(AbsentError, match="is not a program"):
        BY_NAME["coredns"].find(tmp_path / "elsewhere")
    program.write_text("#!/bin/sh\necho CoreDNS-1.15.0\n")
    program.chmod(0o755)
    assert BY_NAME["coredns"].find(tmp_path / "elsewhere") == str(program)
    assert BY_NAME["coredns"].describe(str(program)) == "1.15.0"


def test_what_is_compiled_for_the_bench_is_found_there(tmp_path: Path) -> None:
    program = tmp_path / "floor"
    program.write_text("")
    program.chmod(0o755)
    assert BY_NAME["floor"].find(tmp_path) == str(program)
    assert BY_NAME["floor"].describe(str(program)) == ""
