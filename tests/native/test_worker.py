"""A socket served by a thread of its own, beside Python and with the same table."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest

from hsdnsd.native import _worker, _worker_py, contract
from hsdnsd.native.contract import Datagram, NativeMissingError, Outcome, Table, Worker
from hsdnsd.wire.answer import Answer, build_answer
from hsdnsd.wire.rrset import RRset
from tests.support.sockets import address_of, udp, waiting
from tests.support.twins import TWINS, Question, folded, query

CYTHON, PYTHON = TWINS
NAME = folded("www.example")
PATIENCE = 20.0


def version(number: int) -> Answer:
    return build_answer(NAME, 0, [RRset(NAME, 1, 5, (number.to_bytes(4, "big"),))], aa=True, fixed=True)


def holding(answer: Answer) -> Table:
    table = CYTHON.Table()
    table.put(Question(NAME), answer, 0.0, owner=b"owner")
    return table


@contextmanager
def worker_of(sock: socket.socket, table: Table, size: int = 64, *, spare: bool = False) -> Iterator[Worker]:
    worker: Worker = _worker.Worker(sock, table, size, spare=spare)
    try:
        yield worker
    finally:
        worker.close()


@contextmanager
def client_of(server: socket.socket) -> Iterator[socket.socket]:
    with socket.socket(server.family, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        client.connect(address_of(server))
        yield client


def until(condition: Callable[[], bool]) -> None:
    """Give the thread the processor until it has done its part."""
    end = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < end
        os.sched_yield()


def passed_up(worker: Worker) -> list[Datagram]:
    """What comes up next; waits for it."""
    readable, _, _ = select.select([worker], [], [], PATIENCE)
    assert readable
    return worker.receive(1.0)


def test_hits_need_nobody_to_read() -> None:
    with udp() as server, client_of(server) as client, worker_of(server, holding(version(1))) as worker:
        for number in range(100):
            client.send(query(id=number))
            assert client.recv(512) == CYTHON.Table.answer(holding(version(1)), query(id=number), 1.0)
        until(lambda: sum(worker.latency(Outcome.HIT_OWN)[0]) == 100)
        assert (worker.received, worker.hits, worker.sent) == (100, 100, 100)
        assert worker.hit_rcodes(True)[0] == worker.hit_types(True)[0] == 100


def test_the_rest_comes_up_and_is_answered_from_there() -> None:
    with udp() as server, client_of(server) as client, worker_of(server, holding(version(1))) as worker:
        client.send(query("other.example"))
        [(wire, peer, cut)] = passed_up(worker)
        assert (wire, cut) == (query("other.example"), False)
        worker.send([(b"\0\0\x80\0", peer)])
        assert client.recv(512) == b"\0\0\x80\0"
        assert (worker.received, worker.hits, worker.sent) == (1, 0, 1)
        assert sum(worker.latency(Outcome.ENGINE_OTHER)[0]) == 1
        assert worker.receive(1.0) == []
        assert select.select([worker], [], [], 0) == ([], [], [])


def test_what_comes_up_keeps_its_order_and_comes_in_batches() -> None:
    with udp() as server, client_of(server) as client:
        with worker_of(server, CYTHON.Table(), 8) as worker:
            for number in range(100):
                client.send(query(id=number))
        batches = []
        while select.select([worker], [], [], 0)[0]:
            batches.append([wire for wire, _, _ in worker.receive(1.0)])
        assert max(map(len, batches)) == 8
        assert [wire for batch in batches for wire in batch] == [query(id=number) for number in range(100)]


def test_what_waits_for_python_is_bounded_in_number() -> None:
    count = contract.MAX_WAITING + 100
    with udp() as server, client_of(server) as client, worker_of(server, CYTHON.Table()) as worker:
        for number in range(count):
            client.send(b"")
            if number % 50 == 0:
                until(lambda done=number + 1: worker.received == done)
        worker.close()
        assert (worker.received, worker.kernel_drops, worker.up_full) == (count, 0, 100)
        taken = 0
        while batch := worker.receive(1.0):
            taken += len(batch)
        assert taken == contract.MAX_WAITING
        assert worker.receive(1.0) == []


def test_what_waits_for_python_is_bounded_in_octets() -> None:
    count = contract.MAX_WAITING_BYTES // 4096 + 10
    with udp() as server, client_of(server) as client, worker_of(server, CYTHON.Table()) as worker:
        for number in range(count):
            client.send(bytes(4096))
            until(lambda done=number + 1: worker.received == done)
        worker.close()
        assert 10 < worker.up_full < 100
        taken = 0
        while batch := worker.receive(1.0):
            taken += len(batch)
        assert taken == count - worker.up_full


def test_closing_serves_what_has_arrived() -> None:
    """Nobody who asked before is left without an answer."""
    with udp() as server, client_of(server) as client:
        for number in range(200):
            client.send(query(id=number))
        with worker_of(server, holding(version(1))) as worker:
            pass
        assert worker.hits == 200
        client.setblocking(False)
        assert len(waiting(client)) == 200


def test_after_closing_nothing_is_read() -> None:
    with udp() as server, client_of(server) as client, worker_of(server, holding(version(1))) as worker:
        worker.close()
        worker.close()
        client.send(query())
        assert worker.received == 0
        assert server.recv(512) == query()


def test_a_worker_that_is_forgotten_ends() -> None:
    before = threads()
    with udp() as server:
        worker = _worker.Worker(server, CYTHON.Table())
        # Threads of others may end meanwhile.
        (begun,) = threads() - before
        del worker
        until(lambda: begun not in threads())  # the kernel lists it a moment longer than it can be waited for


def test_the_callers_socket_may_be_closed() -> None:
    """The thread goes on with its own duplicate, and never with whatever file gets the number next."""
    table = holding(version(1))
    with udp() as server, client_of(server) as client, worker_of(server, table) as worker:
        server.close()
        with udp() as other:
            client.send(query())
            assert client.recv(512) == table.answer(query(), 1.0)
            assert waiting(other) == []
        client.send(b"up")
        assert [wire for wire, _, _ in passed_up(worker)] == [b"up"]


def test_a_closed_worker_lets_go_of_the_address() -> None:
    with udp() as server, worker_of(server, CYTHON.Table()) as worker:
        address = server.getsockname()
        server.close()
        with pytest.raises(OSError, match="in use"), udp(*address):
            pass
        worker.close()
        with udp(*address):
            pass


def test_a_worker_that_cannot_be_made_leaves_nothing_behind() -> None:
    gc.collect()  # what other tests have left
    before = threads(), set(Path("/proc/self/fd").iterdir())
    with pytest.raises(ValueError, match="1024"), udp() as server:
        _worker.Worker(server, CYTHON.Table(), 0)
    with pytest.raises(TypeError), udp() as server:
        _worker.Worker(server, None)
    assert (threads(), set(Path("/proc/self/fd").iterdir())) == before


def test_a_flood_does_not_keep_a_worker_from_ending() -> None:
    """Full batches without end: what is read after `close` is bounded."""
    stop = threading.Event()

    def flood(server: socket.socket) -> None:
        with client_of(server) as client:
            while not stop.is_set():
                client.send(query())

    with udp() as server, worker_of(server, holding(version(1)), 1) as worker:
        flooder = threading.Thread(target=flood, args=(server,))
        flooder.start()
        until(lambda: worker.hits > 200)
        worker.close()
        stop.set()
        flooder.join()


def test_signals_are_pythons() -> None:
    before = threads()
    with udp() as server, worker_of(server, CYTHON.Table()):
        [thread] = threads() - before
        status = (Path("/proc/self/task") / thread / "status").read_text()
        blocked = int(next(line for line in status.splitlines() if line.startswith("SigBlk:")).split()[1], 16)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD):
            assert blocked >> (number - 1) & 1
        assert not signal.pthread_sigmask(signal.SIG_BLOCK, []) & {signal.SIGTERM, signal.SIGINT}


def threads() -> set[str]:
    return {path.name for path in Path("/proc/self/task").iterdir()}


def test_a_socket_that_cannot_be_read_is_an_error() -> None:
    with udp() as server, client_of(server) as client:
        before = sockets()
        with worker_of(server, CYTHON.Table()) as worker:
            [threads_own] = sockets() - before
            with Path(os.devnull).open() as nothing:
                os.dup2(nothing.fileno(), threads_own)
            client.send(query())
            readable, _, _ = select.select([worker], [], [], PATIENCE)
            assert readable
            with pytest.raises(OSError, match="socket"):
                worker.receive(1.0)


def sockets() -> set[int]:
    """File numbers of this process that are sockets."""
    found = set()
    for number in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the folder that is being listed
            if str(number.readlink()).startswith("socket:"):
                found.add(int(number.name))
    return found


def test_many_sockets_share_one_address_and_one_table() -> None:
    """Nobody who asks after `drop` has returned is given the old answer, whichever thread is asked."""
    table = holding(version(0))
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two,
    ):
        for sock in (one, two):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(("127.0.0.1", 0 if sock is one else one.getsockname()[1]))
        with worker_of(one, table) as first, worker_of(two, table) as second:
            for number in range(1, 300):
                table.drop(b"owner")
                with client_of(one) as client:
                    client.send(query())
                    [_] = passed_up_by(first, second)
                    table.put(Question(NAME), version(number), 0.0, owner=b"owner")
                    client.send(query())
                    assert client.recv(512)[-4:] == number.to_bytes(4, "big")
            assert first.hits > 50
            assert second.hits > 50


def passed_up_by(*workers: Worker) -> list[Datagram]:
    readable, _, _ = select.select(workers, [], [], PATIENCE)
    return [datagram for worker in readable for datagram in worker.receive(1.0)]


def test_a_table_that_changes_all_the_time_gives_whole_answers() -> None:
    """Two threads answer while a third puts, drops and pushes out; no reply is a mixture, none is older than a drop."""
    table = CYTHON.Table(3000, 0)
    stop = threading.Event()
    others = [folded(f"{number}.example") for number in range(40)]

    def ask(server: socket.socket, replies: list[bytes]) -> None:
        with client_of(server) as client:
            client.settimeout(0.05)
            while not stop.is_set():
                client.send(query())
                try:
                    replies.append(client.recv(512))
                except TimeoutError:
                    continue

    with udp() as one, udp() as two, worker_of(one, table) as first, worker_of(two, table) as second:
        replies: tuple[list[bytes], list[bytes]] = ([], [])
        askers = [threading.Thread(target=ask, args=pair) for pair in zip((one, two), replies, strict=True)]
        for asker in askers:
            asker.start()
        number = 0
        end = monotonic() + 5 * PATIENCE
        while min(map(len, replies)) < 500 and monotonic() < end:
            number += 1
            table.put(Question(NAME), version(number), 0.0, owner=b"owner")
            table.put(Question(others[number % 40]), version(number), 0.0)
            if number % 100 == 0:
                table.drop(b"owner")
            if number % 1000 == 0:
                table.clear()
            first.receive(1.0)
            second.receive(1.0)
        stop.set()
        for asker in askers:
            asker.join()
    for each in replies:
        assert len(each) >= 500
        versions = [int.from_bytes(reply[-4:], "big") for reply in each]
        assert versions == sorted(versions)
        assert {reply[:-4] for reply in each} == {holding(version(1)).answer(query(), 1.0)[:-4]}


def test_a_spare_one_serves_what_nobody_else_does() -> None:
    """As where the core of the first has been taken away: a batch, and again after its rest, until nothing is left."""
    with udp() as server, client_of(server) as client:
        for number in range(20):
            client.send(query(id=number))
        with worker_of(server, holding(version(1)), 8, spare=True) as worker:
            assert [client.recv(512)[:2] for _ in range(20)] == [number.to_bytes(2, "big") for number in range(20)]
            client.send(query("other.example"))
            assert [wire for wire, *_ in passed_up(worker)] == [query("other.example")]
        assert (worker.received, worker.hits) == (21, 20)


def test_a_spare_one_leaves_nothing_behind_when_it_ends() -> None:
    with udp() as server, client_of(server) as client:
        worker: Worker = _worker.Worker(server, holding(version(1)), 8, spare=True)
        for number in range(100):
            client.send(query(id=number))
        worker.close()
        assert worker.received == worker.sent == 100
        assert {client.recv(512)[:2] for _ in range(100)} == {number.to_bytes(2, "big") for number in range(100)}


def test_two_on_one_socket_answer_each_question_once() -> None:
    asked = 2000
    table = holding(version(1))
    with (
        udp() as server,
        client_of(server) as one,
        client_of(server) as two,
        worker_of(server, table, 8) as first,
        worker_of(server, table, 8, spare=True) as spare,
    ):
        for number in range(0, asked, 20):
            for client in (one, two):
                for place in range(20):
                    client.send(query(id=number + place))
            for client in (one, two):
                replies = {client.recv(512) for _ in range(20)}
                assert replies == {table.answer(query(id=number + place), 1.0) for place in range(20)}
        until(lambda: first.sent + spare.sent == 2 * asked)
        assert first.received + spare.received == first.hits + spare.hits == 2 * asked


@pytest.mark.parametrize("spare", [False, True])
def test_what_the_kernel_drops_is_told_by_one_of_two(spare: bool) -> None:
    with udp() as server, client_of(server) as client:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        server.setsockopt(socket.SOL_SOCKET, 40, 1)  # SO_RXQ_OVFL, which a worker asks for when it is made
        for _ in range(300):
            client.send(bytes(100))
        with worker_of(server, CYTHON.Table(), spare=spare) as worker:
            until(lambda: worker.received > 0)
            # The count comes with the next datagram that is taken in.
            before = worker.received
            client.send(b"last")
            until(lambda: worker.received > before)
        dropped = 301 - worker.received
        assert worker.kernel_drops == (0 if spare else dropped)
        assert dropped > 200


def test_python_alone_has_no_workers() -> None:
    with udp() as server, pytest.raises(NativeMissingError, match="compiled"):
        _worker_py.Worker(server, PYTHON.Table())
