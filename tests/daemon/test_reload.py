"""A running daemon's configuration changes, and nobody who asks it notices more than what was changed."""

from __future__ import annotations

import contextlib
import re
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dns.message
import dns.query
import dns.rrset
import pytest

from bench.process import free_port
from tests.support.daemon import Daemon, running
from tests.support.packets import query, question

RATE = 1000  # questions a second
SECONDS = 4
MOST = 200  # that wait for an answer
HANGUPS = 20


class Upstream:
    """Answers every question for A with its own address, which is good for an hour, and counts them by name."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.names: dict[str, int] = {}
        self._sock = socket.socket(type=socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        self.port: int = self._sock.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            wire, client = self._sock.recvfrom(4096)
            if not wire:
                return
            asked = dns.message.from_wire(wire)
            name = asked.question[0].name.to_text()
            self.names[name] = self.names.get(name, 0) + 1
            response = dns.message.make_response(asked, recursion_available=True)
            response.answer.append(dns.rrset.from_text(name, 3600, "IN", "A", self.address))
            self._sock.sendto(response.to_wire(), client)

    def close(self) -> None:
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(10)
        self._sock.close()


@pytest.fixture
def upstreams() -> Iterator[tuple[Upstream, Upstream]]:
    two = Upstream("192.0.2.1"), Upstream("192.0.2.2")
    yield two
    for each in two:
        each.close()


def ask(daemon: Daemon, name: str, rtype: str = "A") -> dns.message.Message:
    return dns.query.udp(dns.message.make_query(name, rtype), daemon.server[0], timeout=5, port=daemon.server[1])


def told(daemon: Daemon, name: str) -> list[str]:
    return [str(rdata) for rrset in ask(daemon, name).answer for rdata in rrset]


def metric(daemon: Daemon, name: str) -> float:
    _, page = daemon.get("/metrics")
    (value,) = re.findall(rf"^{name} (\S+)$", page, re.MULTILINE)
    return float(value)


def eventually(condition: Callable[[], object], daemon: Daemon, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, daemon.log
        time.sleep(0.02)


def hang_up(daemon: Daemon) -> None:
    """SIGHUP, and wait until the configuration has been looked at."""
    before = metric(daemon, "hsdnsd_config_reloads_total") + metric(daemon, "coredns_reload_failed_total")
    daemon.process.send_signal(signal.SIGHUP)
    eventually(
        lambda: metric(daemon, "hsdnsd_config_reloads_total") + metric(daemon, "coredns_reload_failed_total") > before,
        daemon,
    )


def write(file: Path, forward: str, rest: str = "") -> None:
    """Never half there: an empty file is a configuration too, and would ask whom this machine's resolv.conf names."""
    new = file.with_suffix(".new")
    new.write_text(f"{rest}\n[forward]\n{forward}\n")
    new.rename(file)


def sockets(daemon: Daemon) -> set[str]:
    found = set()
    for link in Path(f"/proc/{daemon.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            found.add(str(link.readlink()))
    return {each for each in found if each.startswith("socket:")}


def test_a_changed_configuration_is_taken_and_the_cache_stays(
    tmp_path: Path, upstreams: tuple[Upstream, Upstream]
) -> None:
    first, second = upstreams
    file = tmp_path / "hsdnsd.toml"
    hosts = tmp_path / "hosts"
    hosts.write_text("192.0.2.9 printer.test\n")
    write(file, f'upstreams = ["127.0.0.1:{first.port}"]')
    with running("--config", str(file)) as daemon:
        assert told(daemon, "kept.example.") == [first.address]
        assert told(daemon, "printer.test.") == [first.address]
        before = sockets(daemon)
        write(
            file,
            f'upstreams = ["127.0.0.1:{second.port}"]\nstub_zones = {{"corp.example" = ["127.0.0.1:{first.port}"]}}',
            f'threads = 2\nlocal.hosts_file = "{hosts}"\nlocal.rewrite = {{"old.example" = "new.example"}}\n'
            'log.level = "warning"',
        )
        hang_up(daemon)
        assert told(daemon, "kept.example.") == [first.address], "cached"
        assert first.names["kept.example."] == 1
        assert told(daemon, "other.example.") == [second.address]
        assert told(daemon, "www.corp.example.") == [first.address]
        assert told(daemon, "printer.test.") == ["192.0.2.9"]
        assert told(daemon, "a.old.example.") == [second.address]
        assert "a.new.example." in second.names
        assert metric(daemon, "hsdnsd_config_waiting_keys") == 1
        assert "takes effect at the next start: threads" in daemon.log
        assert len(before - sockets(daemon)) <= 1, "but for that of the metrics"

        write(file, 'upstreams = ["127.0.0.1:0x35"]\nno_such_key = 1', 'cache.max_ttl = "long"')
        hang_up(daemon)
        for fault in ("forward.upstreams[0]: ", "forward.no_such_key: unknown key", "cache.max_ttl: expected"):
            assert f"configuration: {fault}" in daemon.log
        assert metric(daemon, "hsdnsd_config_good") == 0
        assert metric(daemon, "coredns_reload_failed_total") == 1
        assert told(daemon, "still.example.") == [second.address]
        assert daemon.get("/readyz")[0] == 200

        file.write_text("[forward\n")
        hang_up(daemon)
        assert f"configuration: {file}, line 1" in daemon.log
        write(file, f'upstreams = ["127.0.0.1:{first.port}"]')
        hang_up(daemon)
        assert metric(daemon, "hsdnsd_config_good") == 1
        assert metric(daemon, "hsdnsd_config_waiting_keys") == 0
        assert told(daemon, "printer.test.") == [first.address]
        assert told(daemon, "other.example.") == [second.address], "of the same zone, and so still known"
        assert daemon.stop() == 0
        assert "Traceback" not in daemon.log


def test_a_configuration_that_is_turned_to_by_a_link_is_noticed(
    tmp_path: Path, upstreams: tuple[Upstream, Upstream]
) -> None:
    """As the kubelet does it: the file is a link into a directory that is a link, and that one is turned."""
    for number, upstream in enumerate(upstreams):
        (tmp_path / f"..{number}").mkdir()
        write(tmp_path / f"..{number}" / "hsdnsd.toml", f'upstreams = ["127.0.0.1:{upstream.port}"]')
    (tmp_path / "..data").symlink_to("..0")
    (tmp_path / "hsdnsd.toml").symlink_to("..data/hsdnsd.toml")
    with running("--config", str(tmp_path / "hsdnsd.toml")) as daemon:
        assert told(daemon, "before.example.") == ["192.0.2.1"]
        (tmp_path / "..turn").symlink_to("..1")
        (tmp_path / "..turn").rename(tmp_path / "..data")
        eventually(lambda: "changed: forward.upstreams" in daemon.log, daemon)
        assert told(daemon, "after.example.") == ["192.0.2.2"]


MANIFEST = """
apiVersion: v1
kind: Service
metadata: {name: dns, namespace: shop}
spec: {clusterIP: 127.0.0.1, clusterIPs: [127.0.0.1], ports: [{name: dns, port: 53, protocol: UDP}]}
"""


def test_zones_and_upstreams_that_are_services_are_taken_anew(
    tmp_path: Path, upstreams: tuple[Upstream, Upstream]
) -> None:
    first, second = upstreams
    file = tmp_path / "hsdnsd.toml"
    (tmp_path / "services.yaml").write_text(MANIFEST)
    source = f'source.manifests = ["{tmp_path / "services.yaml"}"]'
    write(file, f'upstreams = ["127.0.0.1:{first.port}"]', source)
    with running("--config", str(file)) as daemon:
        assert ask(daemon, "dns.shop.svc.cluster.local.").answer[0].ttl == 5
        assert told(daemon, "a.fall.cluster.local.") == []
        write(
            file,
            f'upstreams = ["svc://dns.shop:{second.port}"]',
            f'{source}\nzone.ttl = 77\nzone.fallthrough = ["."]\nzone.pods = "insecure"',
        )
        hang_up(daemon)
        assert ask(daemon, "dns.shop.svc.cluster.local.").answer[0].ttl == 77
        assert told(daemon, "a.fall.cluster.local.") == [second.address]
        assert told(daemon, "10-1-0-7.shop.pod.cluster.local.") == [second.address], "pods only from the next start"
        assert "takes effect at the next start: zone.pods" in daemon.log
        (tmp_path / "services.yaml").write_text(MANIFEST.replace("127.0.0.1", "127.0.0.2"))
        eventually(lambda: f"is asked of 127.0.0.2:{second.port}" in daemon.log, daemon)


def test_what_only_a_start_can_bring_together_is_refused_until_then(
    tmp_path: Path, upstreams: tuple[Upstream, Upstream]
) -> None:
    file = tmp_path / "hsdnsd.toml"
    write(file, f'upstreams = ["127.0.0.1:{upstreams[0].port}"]', "tcp.max_pipelined = 7")
    with running("--config", str(file)) as daemon:
        write(file, 'upstreams = ["svc://dns.kube-system"]', f'source.manifests = ["{tmp_path}"]')
        hang_up(daemon)
        assert "it can be only from the next start" in daemon.log
        assert told(daemon, "www.example.") == ["192.0.2.1"]


def test_without_a_file_a_hangup_changes_nothing() -> None:
    with running("--upstream", f"127.0.0.1:{free_port()}") as daemon:
        hang_up(daemon)
        assert told(daemon, "localhost.") == ["127.0.0.1"]
        assert "changed: nothing" in daemon.log


def test_the_end_may_come_at_any_moment_of_a_reload(tmp_path: Path, upstreams: tuple[Upstream, Upstream]) -> None:
    file = tmp_path / "hsdnsd.toml"
    for wait in (0, 0.001, 0.003, 0.01):
        write(file, f'upstreams = ["127.0.0.1:{upstreams[0].port}"]', f'local.hosts_file = "{tmp_path / "hosts"}"')
        with running("--config", str(file)) as daemon:
            write(file, f'upstreams = ["127.0.0.1:{upstreams[1].port}"]')
            daemon.process.send_signal(signal.SIGHUP)
            time.sleep(wait)
            daemon.process.send_signal(signal.SIGTERM)
            for _ in range(20):
                daemon.process.send_signal(signal.SIGHUP)
            assert daemon.stop() == 0, daemon.log
            assert "Traceback" not in daemon.log


def test_nothing_is_lost_while_the_configuration_is_read_twenty_times(
    tmp_path: Path, upstreams: tuple[Upstream, Upstream]
) -> None:
    """Half of the questions are hits, half are new names; every reading changes who is asked."""
    file = tmp_path / "hsdnsd.toml"
    ports = [upstream.port for upstream in upstreams]
    write(file, f'upstreams = ["127.0.0.1:{ports[0]}"]')
    patient = ["forward.attempt_timeout=20", "forward.deadline=30"]
    with (
        running("--config", str(file), settings=patient) as daemon,
        socket.socket(type=socket.SOCK_DGRAM) as client,
    ):
        assert told(daemon, "hit.example.") == ["192.0.2.1"]
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        client.connect(daemon.server)
        wires = [
            query(question("hit.example" if number % 2 else f"{number}.miss.example"), id=number)
            for number in range(RATE * SECONDS)
        ]
        replies: dict[int, bytes] = {}
        began = time.monotonic()
        hangups = sent = 0
        while len(replies) < len(wires) or hangups < HANGUPS:
            now = time.monotonic() - began
            assert now < SECONDS + 40, f"{len(replies)} of {len(wires)} answered, {sent} asked"
            # After a moment in which the machine stood still, not all at once.
            due = min(int(now * RATE), len(wires), len(replies) + MOST)
            for wire in wires[sent:due]:
                client.send(wire)
            sent = due
            if hangups < HANGUPS and now > (hangups + 0.5) * SECONDS / HANGUPS:
                hangups += 1
                write(file, f'upstreams = ["127.0.0.1:{ports[hangups % 2]}"]')
                daemon.process.send_signal(signal.SIGHUP)
            while select.select([client], [], [], 0.001)[0]:
                wire = client.recv(4096)
                replies[int.from_bytes(wire[:2])] = wire
        assert {wire[3] & 15 for wire in replies.values()} == {0}
        assert all(bytes((192, 0, 2, 1)) in wire for number, wire in replies.items() if number % 2), "as it was cached"
        assert sum(upstream.names.get("hit.example.", 0) for upstream in upstreams) == 1
        misses = [count for upstream in upstreams for name, count in upstream.names.items() if "miss" in name]
        assert max(misses) == 1, "nobody is asked twice"
        # Who is slow, as all are where the machine stands still, is covered for by the one that is asked from now on.
        assert len(wires) // 2 <= len(misses) <= len(wires) // 2 * 1.5
        assert all(any("miss" in name for name in upstream.names) for upstream in upstreams)
        assert metric(daemon, "hsdnsd_config_reloads_total") >= HANGUPS / 2
        assert metric(daemon, "coredns_reload_failed_total") == 0
        assert "Traceback" not in daemon.log
