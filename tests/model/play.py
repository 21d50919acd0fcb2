"""One game: a daemon's core follows the stand-in API server while operations happen, and every answer is judged."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from hsdnsd.kube.reflector import Reflector
from hsdnsd.records.model import (
    Amended,
    Change,
    Deleted,
    EndpointSliceFact,
    Fact,
    Listing,
    Memory,
    NamespaceFact,
    SliceMemory,
    Upserted,
)
from hsdnsd.records.options import ZoneOptions
from hsdnsd.records.table import Table
from tests.model.daemon import Daemon
from tests.model.history import RECOVERY, Truth, WrongError
from tests.model.loop import VirtualLoop
from tests.model.operations import SERVICES, Operation, everything, operations, question_of
from tests.model.oracle import Key, Object, Question
from tests.model.server import JUNK, WATCHED, ModelServer
from tests.support.fake_apiserver import Answer, status_body

_SHOWN = 40  # operations of a failure

GONE = status_body(410, "Expired", "too old resource version")
SCOPE = (
    "service.kubernetes.io/headless",
    "!service.kubernetes.io/headless,endpointslice.kubernetes.io/managed-by!=endpointslice-controller.k8s.io",
)


@dataclass(frozen=True)
class Rules:
    """How a game is played.

    Attributes:
        scoped: only the EndpointSlices are watched that names are commonly made from.
        table: what the daemon keeps its facts in.
    """

    scoped: bool = False
    table: Callable[[ZoneOptions], Table] = Table


@dataclass
class Score:
    """What a game came to.

    Attributes:
        operations: played. checked, unsure: answers. requests: that the server got. seconds: of the game's own time.
        wrong: what broke the rules, if anything did; `operations` counts the one at which it was found.
    """

    operations: int = 0
    checked: int = 0
    unsure: int = 0
    requests: int = 0
    seconds: float = 0.0
    wrong: Exception | None = None


def play(seed: int, played: list[Operation], rules: Rules) -> Score:
    """Play all operations, then let everything settle and ask for every name."""
    random = Random(seed)
    loop = VirtualLoop(cut=lambda data: _pieces(data, random))
    score = Score()
    with (
        tempfile.TemporaryDirectory() as folder,
        _own_time(loop, random),
        asyncio.Runner(loop_factory=lambda: loop) as on,
    ):
        game = Game(loop, random, Path(folder), rules)
        try:
            on.run(game.run(played, score))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told with the seed
            score.wrong = error
        score.seconds = loop.now - 1000.0
        score.checked, score.unsure = game.truth.checked, game.truth.unsure
        score.requests = len(game.server.requests)
    return score


class Game:
    """The methods that operations are named after, and what is needed to play them."""

    def __init__(self, loop: VirtualLoop, random: Random, folder: Path, rules: Rules) -> None:
        self.server = ModelServer()
        self.truth = Truth(self.server, SCOPE if rules.scoped else ("",))
        self._loop = loop
        self._random = random
        self._folder = folder
        self._rules = rules
        self._wrong: Exception | None = None
        self._daemon: Daemon

    async def run(self, played: list[Operation], score: Score) -> None:
        async with self.server:
            self._kubeconfig = Path(self.server.kubeconfig(self._folder))
            await self.restart()
            proofs = asyncio.create_task(self._prove_life())
            try:
                for operation in played:
                    score.operations += 1
                    await self._play(operation)
                await self._settle()
            finally:
                proofs.cancel()
                self.server.silent = False
                with contextlib.suppress(Exception):
                    await self._daemon.stop()

    async def _prove_life(self) -> None:
        """As kube-apiserver, about once a minute."""
        while True:
            await asyncio.sleep(60)
            for plural in WATCHED:
                self.server.bookmark(plural)

    async def _play(self, operation: Operation) -> None:
        self._random.seed(operation.luck)
        done = getattr(self, operation.what)(*operation.how)
        if done is not None:
            await done
        self.truth.look(self._loop.now)
        self._ask(operation.asks)
        if operation.pause:
            await asyncio.sleep(operation.pause)
        else:
            for _ in range(self._random.randrange(6)):
                await asyncio.sleep(0)
        self.truth.look(self._loop.now)
        self._ask(operation.asks)
        self._must_be_well()

    async def _settle(self) -> None:
        """No faults any more: once everything is watched again, every answer is that of now."""
        self._loop.refusing = self.server.silent = False
        self.server.scripts.clear()
        self.server.ambushes.clear()
        for plural in WATCHED:
            self.truth.trouble(plural, self._loop.now)
        for _ in range(20):
            await asyncio.sleep(RECOVERY / 20)
            self.truth.look(self._loop.now)
            self._must_be_well()
        await asyncio.sleep(1)
        self.truth.look(self._loop.now)
        if not self.truth.whole():
            raise WrongError(f"not watched {RECOVERY:.0f} s after the last fault")
        given = [text for obj in self.server.objects("services").values() for text in obj["spec"].get("clusterIPs", ())]
        self._ask(tuple(everything([text for text in given if text != "None"])))
        self._must_be_well()

    def _must_be_well(self) -> None:
        if self._wrong is not None:
            raise self._wrong
        self._daemon.must_run()

    def _ask(self, asks: tuple[Question, ...]) -> None:
        for question in asks:
            self.truth.check(question, self._daemon.ask(question, self._loop.now), self._loop.now)

    def _told(self, change: Change) -> None:
        """Ask in the midst of a list as well: at every change somebody may."""
        if self._wrong is not None or (not isinstance(change, Amended) and self._random.random() < 0.3):
            return
        homes = list(_told_of(change)) or [("a", "")]
        try:
            self.truth.look(self._loop.now)
            for home, name in homes:
                name = name or self._random.choice(SERVICES)
                self._ask((question_of(self._random, home, name, None),))
        except Exception as error:  # noqa: BLE001 - the daemon that called is not to blame; the game ends
            self._wrong = error

    # What the cluster's users and controllers do

    def put(self, obj: Object) -> None:
        self.server.put(obj)

    def put_odd(self, obj: Object) -> None:
        """An object that can't be understood; nobody asks for it."""
        super(ModelServer, self.server).put(obj)

    def remove(self, plural: str, key: Key) -> None:
        self.server.remove(plural, key)

    def remove_namespace(self, name: str) -> None:
        for plural in ("endpointslices", "services"):
            for key in [key for key in self.server.objects(plural) if key[0] == name and key[1] != "odd"]:
                self.server.remove(plural, key)
        self.server.remove("namespaces", ("", name))

    def move(self, home: str, source: str, target: str) -> None:
        """An endpoint goes from one slice to another of the same Service: it is in both for a moment, never in none."""
        old = self.server.object("endpointslices", (home, source))
        if old is None or not old["endpoints"]:
            return
        new = self.server.object("endpointslices", (home, target)) or {
            **old,
            "metadata": {**old["metadata"], "name": target},
            "endpoints": None,
        }
        if new["addressType"] != old["addressType"]:
            return
        moved = {**new, "metadata": {**new["metadata"], "labels": old["metadata"]["labels"]}, "ports": old["ports"]}
        self.server.put(moved | {"endpoints": [*(new["endpoints"] or ()), old["endpoints"][0]]})
        self.server.put(old | {"endpoints": old["endpoints"][1:] or None})

    def flip(self, home: str, name: str, at: int) -> None:
        """An endpoint's readiness changes."""
        obj = self.server.object("endpointslices", (home, name))
        if obj is None or not obj["endpoints"]:
            return
        endpoints = [dict(endpoint) for endpoint in obj["endpoints"]]
        chosen = endpoints[at % len(endpoints)]
        chosen["conditions"] = {"ready": (chosen.get("conditions") or {}).get("ready") is False}
        self.server.put(obj | {"endpoints": endpoints})

    def relabel(self, home: str, name: str, service: str) -> None:
        """A slice comes to belong to another Service; what selects its watch may change too."""
        obj = self.server.object("endpointslices", (home, name))
        if obj is None:
            return
        labels = dict(obj["metadata"]["labels"]) | {"kubernetes.io/service-name": service}
        if self._rules.scoped and self._random.random() < 0.5:
            label = "service.kubernetes.io/headless"
            labels = {text: value for text, value in labels.items() if text != label} | (
                {} if label in labels else {label: ""}
            )
        self.server.put(obj | {"metadata": {**obj["metadata"], "labels": labels}})

    # What happens to the server, and between it and the daemon

    def _trouble(self, *plurals: str) -> None:
        for plural in plurals or WATCHED:
            self.truth.trouble(plural, self._loop.now)

    def cut(self, plural: str, half: bool) -> None:
        self._trouble(plural)
        self.server.cut(plural, b'{"type":"DELETED","object":{"metadata":{"name":"s","namespace":"a"' if half else b"")

    def end(self, plural: str) -> None:
        self._trouble(plural)
        self.server.end(plural)

    def gone(self, plural: str, form: str) -> None:
        self._trouble(plural)
        if form == "event":
            self.server.junk(plural, json.dumps({"type": "ERROR", "object": GONE}).encode() + b"\n")
        else:
            self.server.scripts[plural].append(Answer(410 if form == "status" else 200, GONE))
            self.server.end(plural)

    def miss(self, plural: str, changes: tuple[Operation, ...]) -> None:
        """Nobody hears of these changes but from a list."""
        self._trouble(plural)
        self.server.cut(plural)
        for operation in changes:
            getattr(self, operation.what)(*operation.how)
        self.server.scripts[plural].append(Answer(410, GONE))

    def compact(self) -> None:
        self.server.compact()

    def refuse(self, plural: str, status: int, count: int) -> None:
        self._trouble(plural)
        message = "Too large resource version: 9, current: 7" if status == 504 else ""
        headers = {"Retry-After": str(self._random.randrange(20))} if status in (429, 503) else {}
        self.server.scripts[plural] += [Answer(status, status_body(status, "No", message), headers)] * count
        self.server.cut(plural)

    def stall(self, plural: str) -> None:
        self._trouble(plural)
        self.server.stall(plural)

    def silence(self, silent: bool) -> None:
        """Requests get no answer for a while, or until the next operation of this kind."""
        self._trouble()
        self.server.silent = silent

        def over() -> None:
            self.server.silent = False

        if silent:
            self._loop.call_later(30, over)

    def junk(self, plural: str, form: str) -> None:
        self._trouble(plural)
        error = status_body(500, "InternalError")
        data = {
            "html": JUNK,
            "error": json.dumps({"type": "ERROR", "object": error}).encode() + b"\n",
            "half": b'{"type":"ADDED","object":{"kind":"Service"\n',
            "type": b'{"type":"REPLACED","object":{"metadata":{"name":"s","namespace":"a"}}}\n',
        }
        self.server.junk(plural, data[form])

    def again(self, plural: str, count: int) -> None:
        self._trouble(plural)
        self.server.again(plural, count)

    def bookmark(self, plural: str) -> None:
        self.server.bookmark(plural)

    def crash(self, seconds: float, forgets: bool) -> None:
        """The server dies and comes back; `forgets`: without the history of events."""
        self._trouble()
        self._loop.refusing = True
        self.server.reset()
        if forgets:
            self.server.compact()

        def back() -> None:
            self._loop.refusing = False
            self._trouble()

        self._loop.call_later(seconds, back)

    def streams(self, streams_lists: bool, ends_lists: bool) -> None:
        """What kind of server answers from now on."""
        self._trouble()
        self.server.streams_lists = streams_lists
        self.server.ends_lists = ends_lists

    def breaks(self, plural: str, count: int) -> None:
        """So many of the next lists break off in their midst."""
        self._trouble()
        self.server.breaks[plural] = count

    def ambush(self, plural: str, nth: int, operation: Operation) -> None:
        """Something happens right when the server is asked, above all between a list and its watch."""
        self.server.ambushes[plural] += [lambda: None] * (nth - 1)
        self.server.ambushes[plural].append(lambda: getattr(self, operation.what)(*operation.how))

    async def restart(self) -> None:
        """The daemon is another one from now on, which knows nothing."""
        if hasattr(self, "_daemon"):
            await self._daemon.stop()
        self.truth.restarted()
        self._trouble()
        self._daemon = Daemon(self._kubeconfig, self._told, scoped=self._rules.scoped, table=self._rules.table)


def judge(seed: int, count: int, rules: Rules) -> Score:
    """Play a seed's operations.

    Raises:
        AssertionError: something is wrong; with the seed, the fewest operations found that show it, and what they show.
    """
    made = operations(seed, count, scoped=rules.scoped)
    score = play(seed, made, rules)
    if score.wrong is None:
        return score
    shown, wrong = shrunk(seed, made[: score.operations], rules, score.wrong)
    lines = "\n".join(f"  {operation}," for operation in shown[-_SHOWN:])
    raise AssertionError(
        f"seed {seed}, operation {score.operations} of {count} (HSDNSD_MODEL_SEED={seed} repeats it)\n"
        f"{type(wrong).__name__}: {wrong}\n{len(shown)} operations show it, the last of them:\n{lines}"
    ) from wrong


def shrunk(
    seed: int, played: list[Operation], rules: Rules, wrong: Exception, budget: int = 12_000
) -> tuple[list[Operation], Exception]:
    """Fewer operations that show something of the kind, and what they show; `budget`: operations played for that."""
    size = len(played) // 2
    while size and budget > 0:
        at = 0
        while at < len(played) and budget > 0:
            less = played[:at] + played[at + size :]
            budget -= len(less)
            score = play(seed, less, rules)
            if type(score.wrong) is type(wrong):
                assert score.wrong is not None
                played, wrong = less[: score.operations], score.wrong
            else:
                at += size
        size //= 2
    return played, wrong


@contextlib.contextmanager
def _own_time(loop: VirtualLoop, random: Random) -> Iterator[None]:
    """The daemon's clock and luck are the game's."""
    defaults: dict[str, Any] | None = Reflector.__init__.__kwdefaults__
    assert defaults is not None
    kept = dict(defaults)
    assert kept.keys() >= {"clock", "chance"}
    defaults.update(clock=loop.time, chance=random.random)
    proxies = {name: os.environ.pop(name) for name in list(os.environ) if name.lower().endswith("_proxy")}
    try:
        yield
    finally:
        defaults.update(kept)
        os.environ.update(proxies)


def _told_of(change: Change) -> Iterator[tuple[str, str]]:
    """Namespace and Service ("": any) of what has changed."""
    told: tuple[Fact | Memory, ...] = ()
    if isinstance(change, Amended):
        told = change.told
    elif isinstance(change, Listing):
        told = change.facts
    elif isinstance(change, Upserted):
        told = (change.fact,)
    for fact in told:
        if isinstance(fact, EndpointSliceFact | SliceMemory):
            yield fact.namespace, fact.service
        else:
            yield fact.key.namespace or fact.name, "" if isinstance(fact, NamespaceFact) else fact.name
    gone = change.gone if isinstance(change, Amended) else (change.key,) if isinstance(change, Deleted) else ()
    for key in gone:
        yield key.namespace or key.name, ""


def _pieces(data: bytes, random: Random) -> list[bytes]:
    """What one write comes as."""
    if len(data) < 2 or random.random() < 0.8:
        return [data]
    at = random.randrange(1, len(data))
    return [data[:at], data[at:]]
