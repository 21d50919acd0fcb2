"""The daemon beside an API server that is away. Each test has the letter and number of a fault (docs/faults.md)."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import dns.edns
import dns.message
import dns.query
import dns.rcode
import dns.rrset

from bench.process import free_port
from tests.support.daemon import Daemon, running
from tests.support.fake_apiserver import FakeApiServer
from tests.support.followed import endpoint_slice, service
from tests.support.sockets import address_of, udp

NAMESPACE = {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "n"}}
DB, NOBODY, OUTSIDE = "db.n.svc.cluster.local", "nobody.n.svc.cluster.local", "www.example"
HERE, THERE = "10.0.0.1", "192.0.2.1"


def ask(daemon: Daemon, name: str) -> tuple[list[str], str, list[int]]:
    """Addresses, RCODE and codes of Extended DNS Errors."""
    query = dns.message.make_query(name, "A", use_edns=0)
    reply = dns.query.udp(query, daemon.server[0], port=daemon.server[1], timeout=5)
    addresses = [str(rdata) for rrset in reply.answer for rdata in rrset]
    errors = [int(option.code) for option in reply.options if isinstance(option, dns.edns.EDEOption)]
    return addresses, dns.rcode.to_text(reply.rcode()), errors


@contextlib.contextmanager
def upstream() -> Iterator[str]:
    """A server that gives every name the address THERE; where it listens."""
    with udp() as sock:

        def serve() -> None:
            while octets := sock.recvfrom(4096):
                if not octets[0]:
                    return
                reply = dns.message.make_response(dns.message.from_wire(octets[0]), recursion_available=True)
                reply.answer.append(dns.rrset.from_text(reply.question[0].name, 5, "IN", "A", THERE))
                sock.sendto(reply.to_wire(), octets[1])

        sock.setblocking(True)
        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        host, port = address_of(sock)
        try:
            yield f"{host}:{port}"
        finally:
            with udp() as ending:
                ending.sendto(b"", (host, port))
            serving.join(10)


def play(test: Callable[[FakeApiServer], Awaitable[None]]) -> None:
    """A test with an API server that has not been started; nobody listens on its port."""
    api = FakeApiServer()
    api.port = free_port()
    for each in (NAMESPACE, service("db"), endpoint_slice("db", HERE)):
        api.put(each)
    asyncio.run(test(api))


@contextlib.asynccontextmanager
async def started(*arguments: str, ready: str = "/readyz") -> AsyncIterator[Daemon]:
    """A daemon, whose start does not hold the loop that the API server runs on."""
    with contextlib.ExitStack() as opened:
        yield await asyncio.to_thread(opened.enter_context, running(*arguments, ready=ready))


async def says(daemon: Daemon, name: str, *answer: object) -> bool:
    return await asyncio.to_thread(ask, daemon, name) == answer


def test_f1_without_the_api_server_other_names_are_answered_and_it_is_not_ready(tmp_path: Path) -> None:
    async def test(api: FakeApiServer) -> None:
        options = ("--kubeconfig", api.kubeconfig(tmp_path), "--upstream", away)
        async with started(*options, ready="/livez") as daemon:
            assert await says(daemon, OUTSIDE, [THERE], "NOERROR", [])
            for name in (DB, NOBODY):
                assert await says(daemon, name, [], "SERVFAIL", [14])
            assert daemon.get("/readyz")[0] == 503
            async with api:
                await asyncio.to_thread(daemon.wait_for, "/readyz")
                assert await says(daemon, DB, [HERE], "NOERROR", [])
                assert await says(daemon, NOBODY, [], "NXDOMAIN", [])

    with upstream() as away:
        play(test)


def test_f1_without_the_api_server_the_cluster_s_dns_is_asked_if_there_is_one(tmp_path: Path) -> None:
    async def test(api: FakeApiServer) -> None:
        options = ("--kubeconfig", api.kubeconfig(tmp_path), "--set", f"forward.cluster_dns={other}")
        async with started(*options, "--set", "forward.resolv_conf=", ready="/livez") as daemon:
            assert await says(daemon, DB, [THERE], "NOERROR", [])
            async with api:
                await asyncio.to_thread(daemon.wait_for, "/readyz")
                assert await says(daemon, DB, [HERE], "NOERROR", [])

    with upstream() as other:
        play(test)


def test_f3_it_stays_ready_answers_as_before_and_says_for_how_long(tmp_path: Path) -> None:
    async def test(api: FakeApiServer) -> None:
        async with contextlib.AsyncExitStack() as opened:
            async with api:
                options = ("--kubeconfig", api.kubeconfig(tmp_path), "--set", "forward.resolv_conf=")
                daemon = await opened.enter_async_context(started(*options))
                assert await says(daemon, DB, [HERE], "NOERROR", [])
            before = age(daemon)
            while age(daemon) < before + 0.1:
                assert await says(daemon, DB, [HERE], "NOERROR", [])
            assert await says(daemon, NOBODY, [], "NXDOMAIN", [])
            assert (daemon.get("/readyz")[0], daemon.get("/livez")[0]) == (200, 200)
            api.put(endpoint_slice("db", "10.0.0.2"))
            async with api:
                while not await says(daemon, DB, ["10.0.0.2"], "NOERROR", []):
                    pass

    play(test)


def age(daemon: Daemon) -> float:
    """Seconds since the API server was last heard of EndpointSlices."""
    lines = daemon.get("/metrics")[1].splitlines()
    name = 'hsdnsd_watch_age_seconds{kind="EndpointSlice"}'
    return float(next(line for line in lines if line.startswith(name)).split()[1])
