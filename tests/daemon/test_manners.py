"""How the daemon starts, stops and fails, seen from outside."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import dns.message
import dns.query
import pytest

from bench.process import free_port
from tests.conformance.upstream import Script
from tests.conformance.upstream import serve as serve_script
from tests.support.daemon import running

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: db, namespace: default}
spec: {clusterIP: %s, ports: [{port: 5432}]}
"""
NAME = "db.default.svc.cluster.local"
NO_UPSTREAM = ['forward.resolv_conf=""']


def serve(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A start that is to fail by itself."""
    command = [sys.executable, "-m", "hsdnsd", "serve", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)


def address(server: tuple[str, int], name: str = NAME) -> list[str]:
    response = dns.query.udp(dns.message.make_query(name, "A"), server[0], timeout=5, port=server[1])
    return [str(rdata) for rrset in response.answer for rdata in rrset]


def one_clear_line(result: subprocess.CompletedProcess[str], *words: str) -> None:
    """Nothing is told but log lines and one line that says what is wrong."""
    assert "Traceback" not in result.stderr
    said = [line for line in result.stderr.splitlines() if line.startswith("hsdnsd: ")]
    assert len(said) == 1, result.stderr
    for word in words:
        assert word in said[0]


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    (tmp_path / "db.yaml").write_text(SERVICE % "10.96.0.7")
    return tmp_path


def test_sigterm_ends_it_with_0(manifests: Path) -> None:
    with running("--manifests", str(manifests), settings=NO_UPSTREAM) as daemon:
        assert address(daemon.server) == ["10.96.0.7"]
        assert daemon.stop() == 0
        assert "Traceback" not in daemon.log


def test_sigint_ends_it_with_0(manifests: Path) -> None:
    with running("--manifests", str(manifests), settings=NO_UPSTREAM) as daemon:
        daemon.process.send_signal(signal.SIGINT)
        assert daemon.process.wait(15) == 0


def test_sigterm_answers_what_is_in_hand_first(manifests: Path) -> None:
    """A question that waits for an upstream when the signal comes is answered when the upstream answers."""
    asked, signalled = threading.Event(), threading.Event()
    with socket.socket(type=socket.SOCK_DGRAM) as upstream:
        upstream.bind(("127.0.0.1", 0))
        upstream.settimeout(15)

        def answer() -> None:
            wire, peer = upstream.recvfrom(4096)
            while b"\x04slow" not in wire:  # the daemon's own probe, whether this leads back to it
                wire, peer = upstream.recvfrom(4096)
            asked.set()
            signalled.wait(15)
            response = dns.message.make_response(dns.message.from_wire(wire))
            response.answer.append(dns.rrset.from_text("slow.test.", 60, "IN", "A", "192.0.2.1"))
            upstream.sendto(response.to_wire(), peer)

        thread = threading.Thread(target=answer)
        thread.start()
        where = f"127.0.0.1:{upstream.getsockname()[1]}"
        with running("--manifests", str(manifests), "--upstream", where) as daemon:
            with socket.socket(type=socket.SOCK_DGRAM) as client:
                client.settimeout(15)
                client.connect(daemon.server)
                client.send(dns.message.make_query("slow.test", "A").to_wire())
                assert asked.wait(15)
                daemon.process.send_signal(signal.SIGTERM)
                daemon.wait_for("/readyz", 503)
                signalled.set()
                response = dns.message.from_wire(client.recv(4096))
            assert str(response.answer[0][0]) == "192.0.2.1"
            assert daemon.process.wait(15) == 0
        thread.join(15)


def test_changed_manifests_change_the_answers(manifests: Path) -> None:
    with running("--manifests", str(manifests), settings=NO_UPSTREAM) as daemon:
        assert address(daemon.server) == ["10.96.0.7"]
        (manifests / "new").write_text(SERVICE % "10.96.0.8")
        (manifests / "new").rename(manifests / "db.yaml")
        wait_until(lambda: address(daemon.server) == ["10.96.0.8"])


def test_a_broken_manifest_keeps_the_last_good_state_and_says_where(manifests: Path) -> None:
    with running("--manifests", str(manifests), settings=NO_UPSTREAM) as daemon:
        (manifests / "db.yaml").write_text(SERVICE % "10.96.0.8" + "---\nkind: [unclosed\n")
        wait_until(lambda: "db.yaml, document 2, line" in daemon.log)
        assert address(daemon.server) == ["10.96.0.7"]
        (manifests / "db.yaml").write_text(SERVICE % "10.96.0.9")
        wait_until(lambda: address(daemon.server) == ["10.96.0.9"])


def wait_until(condition: object, timeout: float = 10.0) -> None:
    """Poll: a file is seen within the poll of the source, and nothing tells when."""
    done = threading.Event()
    for _ in range(int(timeout / 0.05)):
        if condition():  # type: ignore[operator]
            return
        done.wait(0.05)
    raise AssertionError("it did not come about")


def test_a_port_in_use(manifests: Path) -> None:
    with running("--manifests", str(manifests), settings=NO_UPSTREAM) as daemon:
        host, port = daemon.server
        result = serve("--manifests", str(manifests), "--listen", f"{host}:{port}", "--admin", "")
        assert result.returncode == 1
        one_clear_line(result, f"{host}:{port}", "in use")
        assert address(daemon.server) == ["10.96.0.7"]


def test_an_admin_port_in_use(manifests: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        result = serve("--manifests", str(manifests), "--listen", f"127.0.0.1:{free_port()}", "--admin", where)
    assert result.returncode == 1
    one_clear_line(result, where, "in use")


def test_an_address_that_is_not_here(manifests: Path) -> None:
    result = serve("--manifests", str(manifests), "--listen", "192.0.2.1:5353", "--admin", "")
    assert result.returncode == 1
    one_clear_line(result, "192.0.2.1:5353")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--manifests", "/nowhere/at/all"], ["/nowhere/at/all"]),
        (["--kubeconfig", "/nowhere/kubeconfig"], ["/nowhere/kubeconfig"]),
    ],
)
def test_a_source_that_can_not_work(arguments: list[str], words: list[str]) -> None:
    result = serve(*arguments, "--listen", f"127.0.0.1:{free_port()}", "--admin", "", "--set", NO_UPSTREAM[0])
    assert result.returncode == 1
    one_clear_line(result, *words)


def test_a_broken_manifest_at_start(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(
        "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {ports: [{port: many}]}\n"
    )
    result = serve("--manifests", str(tmp_path), "--listen", f"127.0.0.1:{free_port()}", "--admin", "")
    assert result.returncode == 1
    one_clear_line(result, "bad.yaml, document 1, line", "port")


def test_every_fault_of_the_configuration_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('[zone]\npods = "sometimes"\nttl = -1\ntypo = 1\n')
    result = serve("--config", str(tmp_path / "c.toml"))
    assert result.returncode == 2
    told = [line.split(":")[1].strip() for line in result.stderr.splitlines()]
    assert sorted(told) == ["zone.pods", "zone.ttl", "zone.typo"]


def test_a_crash_of_a_part_ends_it_with_1_and_the_cause(manifests: Path) -> None:
    """The source is made to fail with something that nobody foresaw."""
    script = """
import sys
from hsdnsd import cli
from hsdnsd.kube.manifests import Manifests

async def run(self, sink):
    raise ZeroDivisionError("the cause")

Manifests.run = run
sys.exit(cli.main(sys.argv[1:]))
"""
    listen = f"127.0.0.1:{free_port()}"
    arguments = ["serve", "--manifests", str(manifests), "--listen", listen, "--admin", "", "--set", NO_UPSTREAM[0]]
    result = subprocess.run(
        [sys.executable, "-c", script, *arguments], check=False, capture_output=True, text=True, timeout=30
    )
    assert result.returncode == 1
    assert "ZeroDivisionError: the cause" in result.stderr
    assert "ExceptionGroup" not in result.stderr


def test_without_a_source_every_name_is_forwarded() -> None:
    with running(settings=NO_UPSTREAM) as daemon:
        response = dns.query.udp(dns.message.make_query(NAME, "A"), "127.0.0.1", timeout=5, port=daemon.server[1])
        assert dns.rcode.to_text(response.rcode()) == "REFUSED"
        assert "every name is forwarded" in daemon.log


def test_kubernetes_asyncio_is_loaded_only_for_the_api_server(manifests: Path) -> None:
    with running("--manifests", str(manifests), settings=NO_UPSTREAM) as daemon:
        maps = Path(f"/proc/{daemon.process.pid}/maps").read_text()
        assert "uvloop" in maps
        assert "aiohttp" not in maps


def test_the_cache_of_a_running_daemon_is_seen_and_emptied() -> None:
    script = Script(
        [{"qname": "www.test.", "qtype": "A", "answer": [{"name": "www.test.", "type": "A", "rdata": "192.0.2.1"}]}]
    )

    def cache(*words: str) -> str:
        host, port = daemon.server
        command = [sys.executable, "-m", "hsdnsd", "cache", "--daemon", f"{host}:{port}", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout

    with serve_script(script) as upstream, running("--upstream", upstream) as daemon:
        for _ in range(3):
            assert address(daemon.server, "www.test") == ["192.0.2.1"]
        assert script.count("www.test. A") == 1
        assert cache("dump").startswith("www.test. A - success NOERROR 1 ")
        assert cache("flush", "test") == "1 answers forgotten\n"
        assert cache("dump") == ""
        assert address(daemon.server, "www.test") == ["192.0.2.1"]
        assert script.count("www.test. A") == 2
