"""The configuration: one frozen tree; every fault reported at once, with its path; unknown keys refused.

`python -m hsdnsd.config` prints docs/configuration.md.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, TypeVar

import msgspec

from hsdnsd import forms
from hsdnsd.address import Endpoint, is_own, parse_endpoint
from hsdnsd.config_forward import Forward
from hsdnsd.config_local import Local
from hsdnsd.config_tables import Cache, Log, Source, Tcp, Zone
from hsdnsd.engine.upstreams import Upstream
from hsdnsd.errors import ConfigError
from hsdnsd.schema import Fault, Key, join, read, show
from hsdnsd.schema_changes import without_start
from hsdnsd.schema_text import apply_setting, reference

__all__ = [
    "Cache", "Config", "Forward", "Local", "Log", "Source", "Tcp", "Zone", "changed_while_running", "load", "parse",
    "reference_page",
]  # fmt: skip

T = TypeVar("T")


class Config(msgspec.Struct, frozen=True):
    """Everything that can be set."""

    listen: Annotated[
        tuple[str, ...],
        Key(
            "Where DNS is served, over UDP and TCP. Port 0: one that the kernel picks, told in the log.",
            why="nobody else's queries are taken before somebody says so",
            form=forms.LISTEN,
            at_start=True,
        ),
    ] = ("127.0.0.1:53",)
    admin: Annotated[
        str,
        Key(
            'Where metrics and health are served over HTTP: /metrics, /livez, /readyz; `""`: nowhere.',
            why="the port on which dashboards of NodeLocal DNSCache look for metrics",
            form=forms.LISTEN,
            empty=True,
            at_start=True,
        ),
    ] = "127.0.0.1:9253"
    threads: Annotated[
        int,
        Key(
            "Native threads for each address of `listen`, which give finished answers whatever the daemon is busy "
            "with, each with a spare one for when its core is taken from it; 0: none, the event loop does that too.",
            why="one costs no more CPU than none (3.3 us a hit either way, on one core), and 99 of 100 hits take 1 ms "
            "at most, not 8, while 10,000 Services are listed (docs/decisions.md); more than one is for nodes that ask "
            "more than 200,000 questions a second",
            low=0,
            high=64,
            at_start=True,
        ),
    ] = 1
    drain: Annotated[
        float,
        Key(
            "What SIGTERM leaves for the questions in hand; then the daemon ends.",
            why="longer than `forward.deadline`, so that whoever waits is answered",
            unit="seconds",
            low=0,
            high=300,
        ),
    ] = 5.0
    source: Source = Source()
    zone: Zone = Zone()
    forward: Forward = Forward()
    cache: Cache = Cache()
    local: Local = Local()
    tcp: Tcp = Tcp()
    log: Log = Log()


def load(text: str, settings: Sequence[str] = (), *, selector: Callable[[str], object] = str, file: str = "") -> Config:
    """The configuration in a TOML text, with `KEY=VALUE` settings put over it; the last setting of a key counts.

    Args:
        text: TOML; may be empty.
        settings: see `schema_text.apply_setting`.
        selector: see `parse`.
        file: where the text comes from, for the person who wrote it.

    Raises:
        ConfigError: every fault found. A text that is not TOML has one, whose path is file, line and column.
    """
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place, problem = _syntax_fault(text, str(error))
        raise ConfigError([(f"{file}, {place}" if file else place, problem)]) from None
    faults = [fault for setting in settings for fault in apply_setting(Config, given, setting)]
    return _checked(given, faults, selector)


def parse(given: Mapping[str, object], *, selector: Callable[[str], object] = str) -> Config:
    """The configuration in a mapping as tomllib makes it.

    Args:
        given: tables and keys; what is not there has its default.
        selector: raises ValueError if a text is no label selector; what one looks like is Kubernetes' matter.

    Raises:
        ConfigError: every fault found.
    """
    return _checked(given, [], selector)


def changed_while_running(running: Config, wanted: Config) -> Config:
    """What a running daemon goes on with where another configuration is wanted: all but what only a start changes.

    Raises:
        ConfigError: the rest of what is wanted can't be without that.
    """
    config = without_start(running, wanted)
    faults = list(_contradictions(config))
    if faults:
        later = "as it is wanted it can be only from the next start, with the other keys"
        raise ConfigError([(path, f"{problem}; {later}") for path, problem in faults])
    return config


def _checked(given: Mapping[str, object], faults: list[Fault], selector: Callable[[str], object]) -> Config:
    config, found = read(Config, given)
    faults += found
    faults += _selector_faults(config.zone, selector)
    # A key that is wrong by itself is not held against others.
    wrong = {path for path, _ in faults}
    faults += [fault for fault in _contradictions(config) if fault[0] not in wrong]
    if faults:
        raise ConfigError(faults)
    return config


def _selector_faults(zone: Zone, selector: Callable[[str], object]) -> Iterator[Fault]:
    for name in ("labels", "namespace_labels"):
        text = getattr(zone, name)
        try:
            selector(text)
        except ValueError as error:
            yield f"zone.{name}", f"{show(text)} is not {forms.SELECTOR.name}: {error}"


def _contradictions(config: Config) -> Iterator[Fault]:
    """What is wrong between keys that are each right."""
    source = config.source
    chosen = [name for name in ("manifests", "kubeconfig", "in_cluster") if getattr(source, name)]
    if len(chosen) > 1:
        yield "source", f"{' and '.join(chosen)} are both set; at most one source can be"
    if config.cache.min_ttl > config.cache.max_ttl:
        yield "cache.min_ttl", f"{config.cache.min_ttl} is more than cache.max_ttl ({config.cache.max_ttl})"
    listen = _parsed(config.listen, parse_endpoint)
    yield from _listening_faults(config, listen)
    yield from _own_faults("forward.upstreams", config.forward.upstreams, listen)
    yield from _own_faults("forward.cluster_dns", config.forward.cluster_dns, listen)
    for name, servers in config.forward.stub_zones.items():
        path = join("forward.stub_zones", name)
        if not servers:
            yield path, "at least one server is needed"
        yield from _own_faults(path, servers, listen)
    if not chosen:
        yield from _clusterless_faults("forward.upstreams", config.forward.upstreams)
        if config.forward.cluster_dns:
            yield "forward.cluster_dns", "there are no own zones that it could stand in for: no source is set"
        for name, servers in config.forward.stub_zones.items():
            yield from _clusterless_faults(join("forward.stub_zones", name), servers)
    yield from _same_zones("forward.stub_zones", config.forward.stub_zones)
    yield from _same_zones("local.rewrite", config.local.rewrite)


def _same_zones(path: str, names: Iterable[str]) -> Iterator[Fault]:
    """Keys of a table that differ only in how one zone is spelled."""
    zones: dict[bytes, str] = {}
    for name in names:
        for _, zone in _parsed((name,), forms.parse_zone):
            if zone in zones:
                yield join(path, name), f"the same zone as {join('', zones[zone])}"
            zones.setdefault(zone, name)


def _listening_faults(config: Config, listen: list[tuple[int, Endpoint]]) -> Iterator[Fault]:
    if not config.listen:
        yield "listen", "at least one address is needed"
    taken: set[Endpoint] = set()
    for index, endpoint in listen:
        # Port 0 is another one each time.
        if endpoint in taken and endpoint.port:
            yield f"listen[{index}]", f"{endpoint} is there twice"
        taken.add(endpoint)
    for _, admin in _parsed((config.admin,), parse_endpoint):
        if admin in taken and admin.port:
            yield "admin", f"{admin} is in listen too"


def _own_faults(path: str, servers: Iterable[str], listen: list[tuple[int, Endpoint]]) -> Iterator[Fault]:
    for index, server in _parsed(servers, forms.parse_upstream):
        if isinstance(server, Upstream) and any(is_own(server.endpoint, endpoint) for _, endpoint in listen):
            yield f"{path}[{index}]", f"{server} is this daemon's own listening address"


def _clusterless_faults(path: str, servers: Iterable[str]) -> Iterator[Fault]:
    for index, server in _parsed(servers, forms.parse_upstream):
        if not isinstance(server, Upstream):
            yield f"{path}[{index}]", f"{server} can't be followed: no source of Kubernetes objects is set"


def _parsed(texts: Iterable[str], parse_text: Callable[[str], T]) -> list[tuple[int, T]]:
    """What each text stands for, with its place; those that are wrong by themselves are left out."""
    parsed = []
    for index, text in enumerate(texts):
        try:
            parsed.append((index, parse_text(text)))
        except ValueError:
            continue
    return parsed


def _syntax_fault(text: str, message: str) -> Fault:
    problem, _, place = message.removesuffix(")").rpartition(" (at ")
    if place == "end of document":
        place = f"line {text.count(chr(10)) + 1}, column {len(text) - text.rfind(chr(10))}"
    return place, problem


def reference_page() -> str:
    """docs/configuration.md."""
    return f"""# Configuration

Made from hsdnsd/config*.py by `python -m hsdnsd.config > docs/configuration.md`; a test compares.

`hsdnsd serve --config FILE` reads TOML. Every key can be left out, and every key can be set on the command line too:
`--set zone.ttl=30`, `--set zone.namespaces=shop,billing`. `hsdnsd check-config` takes the same options, and prints the
whole configuration that comes of them, or everything that is wrong with it. A key that is not on this page is refused.

The file may be changed at any time. It is looked at every 5 seconds, and read at once on SIGHUP: if all is right, the
daemon goes by it from then on, without losing a question or an answer in the cache; if anything is wrong, nothing
changes, the log says what it is, and `hsdnsd_config_good` is 0 until it is mended. Where a change takes effect at the
next start, it is said here; the log says so too, and `hsdnsd_config_waiting_keys` counts them. On the command line a
key stays what it was given there.
{reference(Config)}"""


if __name__ == "__main__":
    sys.stdout.write(reference_page())
