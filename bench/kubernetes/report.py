"""The stored figures as Markdown: a table for each section, and below it which goals are met."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bench.kubernetes.lab import COREDNS, HSDNSD, TITLES
from bench.kubernetes.measure import SNAPSHOT
from bench.kubernetes.rounds import CALM, STOLEN, TRIES

Figures = Mapping[str, Any]
Goal = tuple[str, bool]

IDLE_MOST = 45.0  # MiB
LARGE_MOST = 100.0  # MiB
RELIST_MOST = 1.3  # of the memory before
FROM_SNAPSHOT = 0.3  # seconds
TENTH = 0.1
NODES, CHANGES = 5000, 100  # of a large cluster; a second

_SCOPES = {"scoped": "as hsdnsd does (scoped)", "all": 'everything (`zone.endpoints = "all"`)'}

_OF_ROUNDS = "Medians of the rounds that count, and in brackets the least and the most of them."
_ROUNDS = "rounds, and stolen, %"

_TITLES = TITLES | {SNAPSHOT: "hsdnsd from its snapshot"}


def markdown(document: Figures) -> str:
    """All of it."""
    parts = [_head(document), *(write(document[name]) for name, write in _SECTIONS.items() if name in document)]
    return "\n\n".join(parts) + "\n"


def _head(document: Figures) -> str:
    facts, method = document["facts"], document["method"]
    servers = ", ".join(f"{TITLES[name]} {version}" for name, version in document["versions"].items())
    notes = "".join(f"\n- {note}" for note in document["notes"])
    return f"""# hsdnsd and CoreDNS on a real API server

{servers}; kube-apiserver and etcd as `tests/cluster/` builds them; all on one machine, on any core.

- Commit {facts["commit"]}; {facts["date"]}.
- {facts["cpu"]}, {facts["cores"]} cores; Linux {facts["kernel"]}; load average at the start {facts["load"]}.
- `{document["command"]}`; how it is measured: [bench/README.md](../README.md).
- One server at a time watches, in turns, another one first in each round, so that what else the machine does falls on
  both. {method["rounds"]} x {method["updates"]:,} updates at each rate, {method["starts"]} starts, {method["outages"]}
  outages; {method["services"]:,} Services in the large cluster. Ratios hold better than milliseconds.
- Where the hypervisor has stolen more than {CALM:g} % of the CPU time of a round, another is made, up to {TRIES} times
  as many as count; of each server those count from which least was stolen, whatever came out of them.{notes}"""


def _idle(found: Figures) -> str:
    rows = [[_TITLES[name], f"{each['resident']:.1f}", f"{each['peak']:.1f}"] for name, each in found.items()]
    goals = [(f"at most {IDLE_MOST:g} MiB", found[HSDNSD]["resident"] <= IDLE_MOST)]
    return _section(
        "At rest in a small cluster", "", ["", "MiB resident", "most since the start"], rows, goals
    )  # fmt: skip


def _freshness(found: Figures) -> str:
    head = ["", "updates/s", "p50", "p90", "p99", "p99.9", "max", "lost", "API's reply p50 / p99", "CPU an update, us",
            _ROUNDS]  # fmt: skip
    rows = []
    for name, rates in found.items():
        for rate, each in rates.items():
            late = [_spread(each, share, "{:.2f}") for share in ("p50", "p90", "p99", "p999", "max")]
            api = f"{each['api_p50']:.1f} / {each['api_p99']:.1f}"
            lost = f"{each['lost']} of {each['updates']:,}"
            rows.append([_TITLES[name], rate, *late, lost, api, f"{each['cpu']:.0f}", _rounds(each)])
    own, peer = found[HSDNSD], found.get(COREDNS)
    goals = [("no update lost", not any(each["lost"] for each in own.values()))]
    if peer:
        goals += [(f"p99 no later than CoreDNS's at {rate}/s", own[rate]["p99"] <= peer[rate]["p99"]) for rate in own]
    intro = f"""Milliseconds from the API server's reply to an update of an EndpointSlice until the answer is the new
address. {_OF_ROUNDS} CPU time is the server's, for the event and for the questions that waited for it."""
    return _section("Freshness", intro, head, rows, goals)


def _start(found: Figures) -> str:
    head = ["", "first right answer, s", "all right, s", "MiB after 5 s", "most, MiB", "CPU, s", _ROUNDS]
    digits = {"first": 2, "all": 2, "resident": 0, "peak": 0, "cpu": 2}
    rows = [
        [_TITLES[name], *(f"{each[figure]:.{places}f}" for figure, places in digits.items()), _rounds(each)]
        for name, each in found.items()
    ]
    own, peer = found[HSDNSD], found.get(COREDNS)
    goals = [
        (f"{FROM_SNAPSHOT:g} s from the snapshot", found[SNAPSHOT]["first"] <= FROM_SNAPSHOT),
        (f"at most {LARGE_MOST:g} MiB", own["resident"] <= LARGE_MOST),
    ]
    if peer:
        goals += [
            ("first right answer no later than CoreDNS's", own["first"] <= peer["first"]),
            ("all right no later than CoreDNS's", own["all"] <= peer["all"]),
            ("at most half of CoreDNS's memory", own["resident"] <= peer["resident"] / 2),
        ]
    intro = "Headless Services with ten endpoints each. Medians; from the start of the process."
    return _section("Start, and what is then held", intro, head, rows, goals)


def _outage(found: Figures) -> str:
    head = ["", "lost", "wrong", "p50", "p99", "p99.9", "max", "quiet p99.9 / max", "followed again, s",
            "MiB before / most / after", _ROUNDS]  # fmt: skip
    rows = []
    for name, each in found.items():
        late = [_spread(each, share, "{:,.0f}") for share in ("p50", "p99", "p999", "max")]
        wrong = f"{each['wrong']} of {each['answered'] + each['checked']:,}"
        quiet = f"{each['quiet_p999']:,.0f} / {each['quiet_max']:,.0f}"
        late_ones = len(each["runs"]) - each["in_load"]
        followed = _spread(each, "followed", "{:.1f}") + (f"; {late_ones}x after the load" if late_ones else "")
        memory = " / ".join(f"{each[when]:.0f}" for when in ("before", "peak", "after"))
        rows.append([_TITLES[name], str(each["lost"]), wrong, *late, quiet, followed, memory, _rounds(each)])
    own, peer = found[HSDNSD], found.get(COREDNS)
    goals = [
        ("none lost or wrong", not own["lost"] and not own["wrong"]),
        (f"in a re-list at most {RELIST_MOST:g} times the memory", own["peak"] <= RELIST_MOST * own["before"]),
    ]
    if peer:
        shares = {"p999": "p99.9", "max": "maximum"}
        goals += [(f"{title} below CoreDNS's", own[share] < peer[share]) for share, title in shares.items()]
    intro = f"""Hits at 1,000/s on the large cluster, microseconds. The API server is away for 3 s and for the time that
its start takes; the time until a change is followed counts from when it is ready. A server that follows after the load
has listed after it too. {_OF_ROUNDS}"""
    return _section("The API server is killed, comes back and is listed again", intro, head, rows, goals)


def _fleet(found: Figures) -> str:
    watchers = found["watchers"]
    rows = []
    for scope, title in _SCOPES.items():
        costs = (an_event(found, scope, sort) for sort in ("headless", "cluster_ip"))
        began = _began(found[scope]["start"], watchers)
        rows.append([title, *began, *(f"{octets:,.0f} / {cpu:.0f}" for octets, cpu in costs)])
        few = found[scope]["streamed"]
        title = f"the same, {few['watchers']} watchers, lists as streams"
        rows.append([title, *_began(few, few["watchers"])[:-1], "", "", ""])  # the peak is that of all before
    scoped, everything = (found[scope]["start"]["octets"] / watchers for scope in ("scoped", "all"))
    as_lists = scoped / everything
    begun = scoped / (found["all"]["streamed"]["octets"] / found["all"]["streamed"]["watchers"])
    steady = _mixed(found, "scoped")[0] / _mixed(found, "all")[0]
    head = ["one watcher sees", "MB a start", "API server's CPU a start, ms", "all have listed after, s",
            "API server's peak, MiB", "an event of a headless Service: octets / CPU us", "of a ClusterIP"]  # fmt: skip
    intro = f"""{watchers} watchers that send what hsdnsd was heard to send, and start at once.
Services: {found["headless"]} headless with ten pods each, {found["cluster_ips"]:,} with a ClusterIP and three.
Octets on the wire, TLS included; CPU time for an event is what it costs the API server more than without
watchers. hsdnsd asks for whole lists, which the API server compresses; a streaming list it does not. What it means for
a large cluster: [docs/fleet.md](../../docs/fleet.md)."""
    goals = [
        (f"in steady state {steady:.1%} of the octets of watching everything (at most a tenth)", steady <= TENTH),
        (
            f"at a start {begun:.1%} of those of streaming everything, {as_lists:.0%} of those of its lists",
            begun <= TENTH,
        ),
    ]
    costs = _section("What a fleet costs the API server", intro, head, rows, goals)
    return f"{costs}\n\n{_reckoned(found)}"


def _reckoned(found: Figures) -> str:
    """The same for a large fleet: every figure above times as many."""
    share = found["headless"] / (found["headless"] + found["cluster_ips"])
    rows = []
    for scope, title in _SCOPES.items():
        begun, times = found[scope]["start"], NODES / found["watchers"]
        octets, cpu = _mixed(found, scope)
        rows.append([
            title, f"{times * begun['octets'] / 1e9:,.1f}", f"{times * begun['cpu']:,.0f}",
            f"{CHANGES * NODES * octets / 1e6:,.0f}", f"{CHANGES * NODES * cpu / 1e6:.1f}",
        ])  # fmt: skip
    head = ["", "all start: GB", "core seconds", "in steady state: MB/s", "cores"]
    intro = f"""What that comes to for all API servers together; {CHANGES} changes of slices a second,
{share:.0%} of them of headless Services."""
    return _section(f"Reckoned for {NODES:,} nodes", intro, head, rows, ())


def _began(started: Figures, watchers: int) -> list[str]:
    return [
        f"{started['octets'] / watchers / 1e6:.2f}", f"{started['cpu'] / watchers * 1e3:.0f}",
        f"{started['seconds']:.1f}", f"{started['resident']:.0f}",
    ]  # fmt: skip


def an_event(found: Figures, scope: str, sort: str) -> tuple[float, float]:
    """Octets, and the API server's CPU time in microseconds, that an event costs for one watcher."""
    each, alone = found[scope][sort], found["nobody"][sort]
    times = each["events"] * found["watchers"]
    return each["octets"] / times, max(0.0, each["cpu"] - alone["cpu"]) / times * 1e6


def _mixed(found: Figures, scope: str) -> tuple[float, float]:
    """The same where every Service's slice changes as often as any other's."""
    counts = {"headless": found["headless"], "cluster_ip": found["cluster_ips"]}
    costs = {sort: an_event(found, scope, sort) for sort in counts}
    octets, cpu = (sum(counts[sort] * costs[sort][which] for sort in counts) for which in (0, 1))
    return octets / sum(counts.values()), cpu / sum(counts.values())


def _rounds(found: Figures) -> str:
    return f"{len(found['runs'])} of {found['made']}; {_spread(found, STOLEN, '{:.1f}')}"


def _spread(found: Figures, figure: str, form: str) -> str:
    """The median of the runs, with the least and the most where there are several."""
    each = [run[figure] for run in found["runs"]]
    if len(each) == 1:
        return form.format(found[figure])
    return f"{form.format(found[figure])} ({form.format(min(each))} - {form.format(max(each))})"


def _section(title: str, intro: str, head: Sequence[str], rows: Iterable[Sequence[str]], goals: Iterable[Goal]) -> str:
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    verdicts = "\n".join(f"- {'met' if met else 'NOT MET'}: {what}" for what, met in goals)
    return "\n\n".join(filter(None, (f"## {title}", intro, table, verdicts)))


_SECTIONS: dict[str, Callable[[Figures], str]] = {
    "idle": _idle, "freshness": _freshness, "start": _start, "outage": _outage, "fleet": _fleet,
}  # fmt: skip
