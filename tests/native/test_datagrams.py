"""Datagrams of one socket: who they are from, where replies leave, what the kernel refuses, and what is counted."""

from __future__ import annotations

import json
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from hsdnsd.native.peer import pack_peer, source_of, unpack_peer
from tests.support.sockets import address_of, udp, waiting
from tests.support.twins import Twin, query

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_what_the_table_does_not_hold_comes_up_in_order(twin: Twin, host: str) -> None:
    with udp(host) as server, udp(host) as client:
        batch = twin.Batch(server, twin.Table())
        sent = [b"", b"\0", *(query(id=number) for number in range(30))]
        for wire in sent:
            client.sendto(wire, address_of(server))
        up = batch.receive(0.0)
        assert [(wire, source_of(peer), cut) for wire, peer, cut in up] == [(wire, host, False) for wire in sent]
        assert {unpack_peer(peer).port for _, peer, _ in up} == {client.getsockname()[1]}
        assert batch.received == 32
        assert batch.receive(0.0) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_replies_reach_who_asked(twin: Twin, host: str) -> None:
    with udp(host) as server, udp(host) as one, udp(host) as two:
        batch = twin.Batch(server, twin.Table())
        one.sendto(b"one", address_of(server))
        two.sendto(b"two", address_of(server))
        batch.send([(wire + b"!", peer) for wire, peer, _ in batch.receive(0.0)])
        assert (waiting(one), waiting(two)) == ([b"one!"], [b"two!"])
        assert (batch.sent, batch.send_errors, batch.send_full) == (2, 0, 0)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_more_than_a_batch_is_sent_and_read_in_turns(twin: Twin, size: int) -> None:
    with udp() as server, udp() as client:
        batch = twin.Batch(server, twin.Table(), size)
        for number in range(10):
            client.sendto(b"%d" % number, address_of(server))
        up = []
        while came := batch.receive(0.0):
            assert len(came) <= size
            up += came
        batch.send([(wire, peer) for wire, peer, _ in up])
        assert waiting(client) == [b"%d" % number for number in range(10)]


@pytest.mark.parametrize(("wildcard", "asked"), [("0.0.0.0", "127.9.8.7"), ("::", "::1"), ("::", "::ffff:127.9.8.7")])
def test_replies_leave_from_the_address_that_was_asked(twin: Twin, wildcard: str, asked: str) -> None:
    """Also on a wildcard bind; a client drops what comes from elsewhere."""
    with udp(wildcard) as server, udp("::" if ":" in asked else "127.0.0.1") as client:
        batch = twin.Batch(server, twin.Table())
        client.connect(address_of(server, asked))
        client.send(b"query")
        [(_, peer, _)] = batch.receive(0.0)
        batch.send([(b"reply", peer)])
        assert client.recv(100) == b"reply"
        assert client.getpeername()[0] == asked


def test_a_datagram_too_long_comes_up_cut(twin: Twin) -> None:
    with udp() as server, udp() as client:
        batch = twin.Batch(server, twin.Table())
        for size in (4096, 4097, 60000):
            client.sendto(bytes(size), address_of(server))
        assert [(len(wire), cut) for wire, _, cut in batch.receive(0.0)] == [(4096, False), (4096, True), (4096, True)]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_our_own_address_is_not_answered(twin: Twin, host: str) -> None:
    """W2: a reply to ourselves would come back as a query, for ever (CVE-2024-2169)."""
    with udp(host) as server, udp(host) as client:
        batch = twin.Batch(server, twin.Table())
        asked = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        server.sendto(query(), address_of(server, asked))
        client.sendto(b"other", address_of(server, asked))
        assert [wire for wire, _, _ in batch.receive(0.0)] == [b"other"]
        assert (batch.received, batch.refused_source) == (2, 1)


def test_another_address_with_our_port_is_answered(twin: Twin) -> None:
    with udp("127.0.0.1") as server, udp("127.0.0.2", server.getsockname()[1]) as client:
        batch = twin.Batch(server, twin.Table())
        client.sendto(b"query", address_of(server))
        assert len(batch.receive(0.0)) == 1
        assert batch.refused_source == 0


def test_source_port_0_is_not_answered(twin: Twin) -> None:
    """W2: nothing listens there, and the kernel refuses to send to it."""
    try:
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    except PermissionError:
        pytest.skip("only a raw socket can send from port 0, and this user may open none")
    with raw, udp() as server:
        batch = twin.Batch(server, twin.Table())
        wire = query()
        raw.sendto(struct.pack("!HHHH", 0, server.getsockname()[1], 8 + len(wire), 0) + wire, ("127.0.0.1", 0))
        assert batch.receive(0.0) == []
        assert (batch.received, batch.refused_source) == (1, 1)


@pytest.mark.parametrize("bad", [[0], [4], [7], [0, 1, 2], [2, 3, 7], list(range(8))])
def test_a_bad_destination_loses_nobody_elses_answer(twin: Twin, bad: list[int]) -> None:
    with udp() as server, udp() as client:
        batch = twin.Batch(server, twin.Table())
        client.sendto(b"query", address_of(server))
        [(_, good, _)] = batch.receive(0.0)
        nowhere = pack_peer(unpack_peer(good)._replace(port=0))
        batch.send([(b"%d" % number, nowhere if number in bad else good) for number in range(8)])
        assert waiting(client) == [b"%d" % number for number in range(8) if number not in bad]
        assert (batch.sent, batch.send_errors) == (8 - len(bad), len(bad))


def test_a_reply_that_the_kernel_cannot_send_is_skipped(twin: Twin) -> None:
    with udp() as server, udp() as client:
        batch = twin.Batch(server, twin.Table())
        client.sendto(b"query", address_of(server))
        [(_, peer, _)] = batch.receive(0.0)
        batch.send([(bytes(65535), peer), (b"short", peer)])
        assert waiting(client) == [b"short"]
        assert (batch.sent, batch.send_errors) == (1, 1)


def test_a_peer_of_another_socket_is_an_error(twin: Twin) -> None:
    with udp("127.0.0.1") as four, udp("::1") as six, udp("::1") as client:
        client.sendto(b"query", address_of(six))
        [(_, peer, _)] = twin.Batch(six, twin.Table()).receive(0.0)
        batch = twin.Batch(four, twin.Table())
        with pytest.raises(ValueError, match="peer"):
            batch.send([(b"reply", peer)])
        batch.send([])
        assert batch.sent == 0


def test_a_failed_send_leaves_nothing_for_the_next(twin: Twin) -> None:
    """The octets of the first reply are gone by then."""
    with udp() as server, udp() as client:
        batch = twin.Batch(server, twin.Table())
        client.sendto(b"query", address_of(server))
        [(_, peer, _)] = batch.receive(0.0)
        for wrong in (None, "text"):
            with pytest.raises(TypeError):
                batch.send([(b"first", peer), (wrong, peer)])
            waiting(client)
            batch.send([(b"second", peer)])
            assert waiting(client) == [b"second"]


def test_what_the_kernel_drops_is_counted(twin: Twin) -> None:
    with udp() as server, udp() as client:
        batch = twin.Batch(server, twin.Table())
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(3):
            for _ in range(100):
                client.sendto(bytes(100), address_of(server))
            while batch.receive(0.0):
                pass
        # The count comes with the next datagram that is taken in.
        client.sendto(b"last", address_of(server))
        batch.receive(0.0)
        assert batch.kernel_drops == 301 - batch.received > 200


def test_a_closed_socket_is_an_error(twin: Twin) -> None:
    with udp() as server:
        batch = twin.Batch(server, twin.Table())
    with pytest.raises(OSError, match="Bad file descriptor"):
        batch.receive(0.0)


@pytest.mark.parametrize("size", [0, 1025])
def test_batches_have_a_size(twin: Twin, size: int) -> None:
    with udp() as server, pytest.raises(ValueError, match="1024"):
        twin.Batch(server, twin.Table(), size)


def test_other_sockets_are_refused(twin: Twin) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp, pytest.raises(ValueError, match="UDP"):
        twin.Batch(tcp, twin.Table())
    one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, two, pytest.raises(ValueError, match="UDP"):
        twin.Batch(one, twin.Table())


# A neighbour that never says who it is: replies wait for its address, and fill the socket's send buffer.
STUCK = """
    import json, socket, subprocess, sys
    from hsdnsd.native.peer import PeerParts, pack_peer
    from tests.support.twins import TWINS
    for command in ("addr add 192.0.2.1/24 dev here", "link set here up", "link set there up"):
        subprocess.run(["ip", *command.split()], check=True)
    counts = []
    for twin in TWINS:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("192.0.2.1", 0))
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            batch = twin.Batch(sock, twin.Table())
            peer = pack_peer(PeerParts(0, 53, bytes([192, 0, 2, 9]), bytes(4), 0))
            batch.send([(bytes(500), peer)] * 50)
            counts.append((batch.sent, batch.send_full, batch.send_errors))
    print(json.dumps(counts))
"""


def test_a_full_send_buffer_holds_nobody_up() -> None:
    if not (shutil.which("unshare") and shutil.which("ip")):
        pytest.skip("needs unshare and ip to make a network of its own")
    apart = ["unshare", "--user", "--map-root-user", "--net"]
    link = "ip link add here type veth peer name there"
    if subprocess.run([*apart, *link.split()], capture_output=True).returncode:
        pytest.skip("needs a kernel that lets this user make a network of its own")
    script = f"{link} && exec {shlex.quote(sys.executable)} -c {shlex.quote(textwrap.dedent(STUCK))}"
    run = subprocess.run([*apart, "sh", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    for sent, full, errors in json.loads(run.stdout):
        assert 0 < sent < 20
        assert full == 50 - sent
        assert errors == 0
