"""A daemon that is started again while the API server is away."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import dns.edns
import dns.message
import dns.query
import dns.rcode

from tests.support.daemon import START_TIMEOUT, Daemon, running
from tests.support.fake_apiserver import FakeApiServer
from tests.support.followed import endpoint_slice, service

NAMESPACE = {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "n"}}


def ask(daemon: Daemon, name: str) -> tuple[list[str], str, list[int]]:
    """Addresses, RCODE and codes of Extended DNS Errors."""
    query = dns.message.make_query(f"{name}.n.svc.cluster.local", "A", use_edns=0)
    reply = dns.query.udp(query, daemon.server[0], port=daemon.server[1], timeout=5)
    addresses = [str(rdata) for rrset in reply.answer for rdata in rrset]
    errors = [int(option.code) for option in reply.options if isinstance(option, dns.edns.EDEOption)]
    return addresses, dns.rcode.to_text(reply.rcode()), errors


def metric(daemon: Daemon, name: str) -> float:
    lines = daemon.get("/metrics")[1].splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])


def hears(daemon: Daemon) -> None:
    """Wait until it has heard the API server."""
    end = time.monotonic() + START_TIMEOUT
    while metric(daemon, "hsdnsd_serving_snapshot"):
        assert time.monotonic() < end, daemon.log
        time.sleep(0.02)


def test_it_answers_from_the_snapshot_until_the_api_server_is_heard(tmp_path: Path) -> None:
    async def body() -> None:
        api = FakeApiServer()
        for each in (NAMESPACE, service("db"), endpoint_slice("db", "10.0.0.1"), service("web", clusterIP="10.96.0.1")):
            api.put(each)
        async with api:
            path = api.kubeconfig(tmp_path)
            settings = (
                f"source.kubeconfig={path}",
                f"source.snapshot={tmp_path}/state/snapshot",
                "forward.resolv_conf=",
            )
            await asyncio.to_thread(first, settings)
        await asyncio.to_thread(without, settings)
        with running(settings=settings) as daemon:
            async with api:
                await asyncio.to_thread(hears, daemon)
                assert await asyncio.to_thread(ask, daemon, "db") == (["10.0.0.1"], "NOERROR", [])
                assert await asyncio.to_thread(ask, daemon, "nobody") == ([], "NXDOMAIN", [])

    def first(settings: tuple[str, ...]) -> None:
        with running(settings=settings) as daemon:
            assert ask(daemon, "db") == (["10.0.0.1"], "NOERROR", [])
            assert daemon.stop() == 0
            assert "serving the snapshot" not in daemon.log

    def without(settings: tuple[str, ...]) -> None:
        with running(settings=settings) as daemon:
            assert ask(daemon, "db") == (["10.0.0.1"], "NOERROR", [3])
            assert ask(daemon, "web") == (["10.96.0.1"], "NOERROR", [3])
            assert ask(daemon, "nobody") == ([], "SERVFAIL", [14])
            assert metric(daemon, "hsdnsd_serving_snapshot") == 1
            assert 0 <= metric(daemon, "hsdnsd_snapshot_age_seconds") < 300
            assert daemon.stop() == 0
            assert daemon.log.count("serving the snapshot of") == 1

    asyncio.run(body())
