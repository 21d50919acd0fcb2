"""What the comments in examples/ and the README tell a person to type is answered, out of examples/, as they say."""

from __future__ import annotations

import asyncio
import re
import shlex
from pathlib import Path
from typing import NamedTuple

import dns.message
import dns.reversename
import pytest

from hsdnsd import config
from hsdnsd.kube.manifests import Manifests
from hsdnsd.records.model import Change
from hsdnsd.settings import zone_options
from tests.support.world import World, rcode, records

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
CONFIGURATION = config.load((EXAMPLES / "hsdnsd.toml").read_text())
ZONE = "svc.cluster.local."


class Dig(NamedTuple):
    """What a line of dig asks, and which of its options change what is printed."""

    name: str
    rtype: str
    options: frozenset[str]


def parse_dig(line: str) -> Dig:
    """A line `dig @127.0.0.1 -p 5353 ...` as the documents write them."""
    words = iter(shlex.split(line))
    assert [next(words) for _ in range(4)] == ["dig", "@127.0.0.1", "-p", "5353"], line
    name, rtype, options = "", "A", set()
    for word in words:
        if word == "-x":
            name, rtype = str(dns.reversename.from_address(next(words))), "PTR"
        elif word.startswith("+"):
            options.add(word)
        elif word in {"A", "AAAA", "SRV", "CNAME", "PTR"}:
            rtype = word
        else:
            name = word
    return Dig(name, rtype, frozenset(options))


def dig_lines(text: str) -> list[str]:
    """The lines of dig in an example's header or in examples/try.txt, without the remark that follows two spaces."""
    return [match[1].strip() for match in re.finditer(r"^(?:#\s+|\s+)(dig @\S+(?: \S+)+)", text, re.MULTILINE)]


@pytest.fixture(scope="module")
def changes() -> list[Change]:
    """What the daemon's reader makes of examples/."""
    told: list[Change] = []
    asyncio.run(Manifests([str(EXAMPLES)]).start(told.append))
    return told


@pytest.fixture
def world(changes: list[Change]) -> World:
    """The daemon's core that was told so, under the configuration that lies beside them."""
    world = World(options=zone_options(CONFIGURATION))
    for change in changes:
        world.engine.records_changed(world.table.apply(change, unix_time=int(world.now)), world.now)
    return world


def ask(world: World, name: str, rtype: str) -> dns.message.Message:
    return world.answer(name, rtype, tcp=True)


def rdatas(message: dns.message.Message, section: str = "answer") -> set[str]:
    lines = [line.split(None, 3) for line in records(message, section)]
    assert len({tuple(line) for line in lines}) == len(lines), "a record stands there twice"
    return {line[3] for line in lines}


def srv(weight: int, service: str, ports: tuple[int, ...], pods: tuple[str, ...]) -> set[str]:
    return {f"0 {weight} {port} {pod}.{service}.{ZONE}" for port in ports for pod in pods}


POSTGRES = ("postgres-0", "postgres-1", "postgres-2")
KAFKA = ("kafka-0", "kafka-1", "kafka-2")
WEB = ("web-0", "web-1", "web-2")
CONSUL = ("consul-server-0", "consul-server-1", "consul-server-2")

ANSWERS: list[tuple[str, str, set[str]]] = [
    (f"postgres.database.{ZONE}", "A", {"10.244.1.12", "10.244.2.9", "10.244.3.15"}),
    (f"postgres-0.postgres.database.{ZONE}", "A", {"10.244.1.12"}),
    (f"postgres-1.postgres.database.{ZONE}", "A", {"10.244.2.9"}),
    (f"postgres-2.postgres.database.{ZONE}", "A", {"10.244.3.15"}),
    (f"_postgresql._tcp.postgres.database.{ZONE}", "SRV", srv(33, "postgres.database", (5432,), POSTGRES)),
    ("12.1.244.10.in-addr.arpa.", "PTR", {f"postgres-0.postgres.database.{ZONE}"}),
    (f"kafka-headless.streaming.{ZONE}", "A", {"10.244.1.30", "10.244.2.31", "10.244.3.32"}),
    (f"kafka-1.kafka-headless.streaming.{ZONE}", "A", {"10.244.2.31"}),
    (f"_broker._tcp.kafka-headless.streaming.{ZONE}", "SRV", srv(33, "kafka-headless.streaming", (9092,), KAFKA)),
    (f"_controller._tcp.kafka-headless.streaming.{ZONE}", "SRV", srv(33, "kafka-headless.streaming", (9093,), KAFKA)),
    (f"kafka-headless.streaming.{ZONE}", "SRV", srv(16, "kafka-headless.streaming", (9092, 9093), KAFKA)),
    (f"web-headless.default.{ZONE}", "A", {"10.244.1.21", "10.244.2.22", "10.244.3.23"}),
    (f"web-2.web-headless.default.{ZONE}", "A", {"10.244.3.23"}),
    (f"_http._tcp.web-headless.default.{ZONE}", "SRV", srv(33, "web-headless.default", (80,), WEB)),
    (f"postgres.default.{ZONE}", "A", {"10.96.142.7"}),
    (f"_postgresql._tcp.postgres.default.{ZONE}", "SRV", {f"0 100 5432 postgres.default.{ZONE}"}),
    ("7.142.96.10.in-addr.arpa.", "PTR", {f"postgres.default.{ZONE}"}),
    (f"kubernetes.default.{ZONE}", "A", {"10.96.0.1"}),
    (f"consul-server.consul.{ZONE}", "A", {"10.244.1.50", "10.244.2.51", "10.244.3.52"}),
    (f"consul-server.consul.{ZONE}", "SRV", srv(4, "consul-server.consul", (8300, 8301, 8302, 8500, 8600), CONSUL)),
    (f"_serflan-udp._udp.consul-server.consul.{ZONE}", "SRV", srv(33, "consul-server.consul", (8301,), CONSUL)),
    (f"_dns-tcp._tcp.consul-server.consul.{ZONE}", "SRV", srv(33, "consul-server.consul", (8600,), CONSUL)),
    (f"db.legacy.{ZONE}", "CNAME", {f"postgres.database.{ZONE}"}),
    (f"db.legacy.{ZONE}", "A", {f"postgres.database.{ZONE}", "10.244.1.12", "10.244.2.9", "10.244.3.15"}),
    (f"api.legacy.{ZONE}", "CNAME", {"api.example.com."}),
    (f"cache.dual.{ZONE}", "A", {"10.96.77.4"}),
    (f"cache.dual.{ZONE}", "AAAA", {"fd00:10:96::4d04"}),
    (f"cache-nodes.dual.{ZONE}", "A", {"10.244.1.60", "10.244.2.61"}),
    (f"cache-nodes.dual.{ZONE}", "AAAA", {"fd00:10:244:1::3c", "fd00:10:244:2::3d"}),
    (f"10-244-1-60.cache-nodes.dual.{ZONE}", "A", {"10.244.1.60"}),
    (f"fd00-10-244-1--3c.cache-nodes.dual.{ZONE}", "AAAA", {"fd00:10:244:1::3c"}),
]


@pytest.mark.parametrize(("name", "rtype", "expected"), ANSWERS, ids=[f"{name} {rtype}" for name, rtype, _ in ANSWERS])
def test_the_objects_give_these_records(world: World, name: str, rtype: str, expected: set[str]) -> None:
    message = ask(world, name, rtype)
    assert rcode(message) == "NOERROR"
    assert rdatas(message) == expected


def test_consul_has_fifteen_records_out_of_eight_ports_and_their_addresses_beside_them(world: World) -> None:
    message = ask(world, f"consul-server.consul.{ZONE}", "SRV")
    assert len(records(message)) == 15
    assert rdatas(message, "additional") == {"10.244.1.50", "10.244.2.51", "10.244.3.52"}


def test_a_target_outside_is_asked_of_the_upstream(world: World) -> None:
    client = world.ask(f"api.legacy.{ZONE}", "A", tcp=True)
    world.upstream_says("api.example.com. 60 A 192.0.2.80")
    assert rdatas(world.reply_to(client)) == {"api.example.com.", "192.0.2.80"}


@pytest.mark.parametrize("name", [f"postgres-3.postgres.database.{ZONE}", f"_postgres._tcp.postgres.database.{ZONE}"])
def test_what_no_object_says_does_not_exist(world: World, name: str) -> None:
    assert rcode(ask(world, name, "SRV")) == "NXDOMAIN"


COMMENTS = [
    (path.name, line)
    for path in [*sorted(EXAMPLES.glob("*.yaml")), EXAMPLES / "try.txt"]
    for line in dig_lines(path.read_text())
]


def test_every_example_says_what_to_try() -> None:
    assert {name for name, _ in COMMENTS} == {path.name for path in EXAMPLES.glob("*.yaml")} | {"try.txt"}


@pytest.mark.parametrize(("file", "line"), COMMENTS, ids=[f"{file}: {line}" for file, line in COMMENTS])
def test_what_an_example_says_to_try_is_answered(world: World, file: str, line: str) -> None:
    asked = parse_dig(line)
    client = world.ask(asked.name, asked.rtype, tcp=True)
    if asked.name in {"example.com", f"api.legacy.{ZONE.rstrip('.')}"} and asked.rtype == "A":
        assert world.sent.pop().wire, "asked of the upstream"
        return
    message = world.reply_to(client)
    assert rcode(message) == "NOERROR"
    assert rdatas(message)


def transcripts() -> list[tuple[str, list[str]]]:
    """README's lines `$ dig ...` with what it shows below each."""
    blocks = re.findall(r"^    \$ (dig .*)\n((?:    [^$\s].*\n)*)", (ROOT / "README.md").read_text(), re.MULTILINE)
    return [(line, [" ".join(shown.split()) for shown in output.splitlines()]) for line, output in blocks]


def test_the_readme_shows_transcripts() -> None:
    assert len(transcripts()) >= 4


@pytest.mark.parametrize(("line", "shown"), transcripts(), ids=[line for line, _ in transcripts()])
def test_the_readme_shows_what_is_answered(world: World, line: str, shown: list[str]) -> None:
    asked = parse_dig(line)
    message = ask(world, asked.name, asked.rtype)
    if "+short" in asked.options:
        assert set(shown) == rdatas(message)
    else:
        assert asked.options == {"+noall", "+answer"}
        whole = (record.split(None, 2) for record in records(message))
        assert set(shown) == {f"{name} {ttl} IN {rest}" for name, ttl, rest in whole}
    assert len(set(shown)) == len(shown)


def test_the_example_configuration_is_the_one_that_is_told() -> None:
    assert (CONFIGURATION.listen, CONFIGURATION.admin) == (("127.0.0.1:5353",), "127.0.0.1:9253")
    assert CONFIGURATION.source.manifests == ("examples",)
    assert CONFIGURATION.forward == config.Forward()
    told = (EXAMPLES / "try.txt").read_text()
    assert CONFIGURATION.listen[0] in told
    assert f"http://{CONFIGURATION.admin}/metrics" in told
