"""Whether an answer was true within the bound, and no older than what the same objects answered before."""

from __future__ import annotations

import bisect
import itertools
import math
from collections import defaultdict
from collections.abc import Iterator

from tests.model.oracle import (
    NXDOMAIN,
    SERVFAIL,
    ZONE,
    Answer,
    Key,
    Object,
    Question,
    State,
    address_of,
    answers,
    canonical,
)
from tests.model.server import WATCHED, ModelServer
from tests.support.fake_apiserver import Request, _selected

CONNECTED = 0.1  # seconds within which a change is in the answers while its watch is open
RECOVERY = 400.0  # seconds after its last fault until a server is watched again: time-outs, back-off and a list

# Combinations of states that an answer may come from: so many are all tried, which tells how far the daemon is at
# least; so many are tried until one fits; and where there are more, an answer is given up as unsure.
_FEW = 48
_MOST = 3000

Place = tuple[str, Key]  # (resource, object)


class WrongError(AssertionError):
    """An answer that no state within the bound explains."""


class Truth:
    """All that was true, as far as it may still be told.

    Attributes:
        checked, unsure: answers; those of them for which too many states were possible.
        selectors: those with which EndpointSlices are watched; "" alone is all of them.
    """

    def __init__(self, server: ModelServer, selectors: tuple[str, ...]) -> None:
        self.checked = 0
        self.unsure = 0
        self._server = server
        self._selectors = {plural: {""} for plural in WATCHED} | {"endpointslices": set(selectors)}
        self._whole_since: dict[str, float | None] = dict.fromkeys(WATCHED)
        self._watches: dict[str, dict[str, int]] = {plural: {} for plural in WATCHED}
        self._trouble = dict.fromkeys(WATCHED, 0.0)
        self._floor = dict.fromkeys(WATCHED, 0)
        self._seen: dict[Place, int] = {}
        self._known: set[str] = set()  # resources that have been listed
        self._of_service: dict[Key, set[Key]] = defaultdict(set)
        self._of_address: dict[str, set[Place]] = defaultdict(set)
        self._indexed = dict.fromkeys(WATCHED, 0)

    def restarted(self) -> None:
        """The daemon begins anew; what it lists first is what is true now, or will be."""
        self._known.clear()
        self._seen.clear()
        self._floor = dict.fromkeys(WATCHED, self._server.version)
        self._whole_since = dict.fromkeys(WATCHED)

    def trouble(self, plural: str, now: float) -> None:
        """The server does something to the watches of a resource, or refuses them."""
        self._trouble[plural] = now

    def look(self, now: float) -> None:
        """Take note of which watches are open. To be called whenever time has passed."""
        for plural in WATCHED:
            self._index(plural)
            watches = self._server.told_by(plural)
            if watches != self._watches[plural]:
                # Another watch: what lies between the two may be told only now.
                self._watches[plural] = watches
                self._whole_since[plural] = None
            if watches.keys() < self._selectors[plural]:
                self._whole_since[plural] = None
                if self._server.silent or self._server.scripts[plural]:
                    self._trouble[plural] = now
                if now - self._trouble[plural] > RECOVERY:
                    raise WrongError(f"{plural} are not watched {RECOVERY:.0f} s after the last fault")
                continue
            self._trouble[plural] = now
            since = self._whole_since[plural]
            if since is None:
                self._whole_since[plural] = since = now
            if now - since >= CONNECTED:
                self._known.add(plural)
                changes = self._server.changes[plural]
                heard = bisect.bisect_right(changes, now - CONNECTED, key=lambda change: change.time)
                if heard:
                    self._floor[plural] = max(self._floor[plural], changes[heard - 1].version)

    def whole(self) -> bool:
        """Whether all watches are open and have told everything."""
        return None not in self._whole_since.values()

    @property
    def synced(self) -> bool:
        return len(self._known) == len(WATCHED)

    def check(self, question: Question, told: Answer, now: float) -> None:
        """
        Raises:
            WrongError: no state explains the answer.
        """
        self.checked += 1
        for plural in WATCHED:
            self._index(plural)
        groups = list(self._groups(question))
        services = {key for group in groups for plural, key in group if plural == "services"}
        ranges = [self._versions(question, group, services) for group in groups]
        count = math.prod(map(len, ranges))
        newest = tuple(versions[-1] for versions in ranges)
        if count > _FEW and told in self._right(question, groups, newest):
            return
        if count > _MOST:
            self.unsure += 1
            return
        fitting = (choice for choice in itertools.product(*ranges) if told in self._right(question, groups, choice))
        oldest = next(fitting, None)
        if oldest is None:
            if told == SERVFAIL and not self.synced:
                return
            raise WrongError(self._problem(question, told, groups, ranges, now))
        if count > _FEW:
            return
        for choice in fitting:
            oldest = tuple(map(min, oldest, choice))
        for group, version in zip(groups, oldest, strict=True):
            for place in group:
                if version > self._seen.get(place, 0):
                    self._seen[place] = version

    def _right(self, question: Question, groups: list[list[Place]], choice: tuple[int, ...]) -> list[Answer]:
        state = State()
        for group, version in zip(groups, choice, strict=True):
            for plural, key in group:
                if version >= 0 and (obj := self._at(plural, key, version)) is not None:
                    getattr(state, plural)[key] = obj
        right = answers(question, state)
        if self.synced:
            return right
        return [SERVFAIL if answer.rcode == NXDOMAIN.rcode and -1 in choice else answer for answer in right]

    def _groups(self, question: Question) -> Iterator[list[Place]]:
        """The objects that an answer may hang on; those of one group are told at one and the same version."""
        places = dict.fromkeys(self._relevant(question))
        for plural in WATCHED:
            group = [place for place in places if place[0] == plural]
            if len(self._selectors[plural]) > 1:
                yield from ([place] for place in group)
            elif group:
                yield group

    def _relevant(self, question: Question) -> Iterator[Place]:
        if question.name.endswith(".arpa."):
            for place in self._of_address[address_of(question.name)]:
                yield place
                if place[0] == "endpointslices":
                    yield from (("services", service) for service in self._services_of(place[1]))
            return
        labels = question.name.removesuffix(f".svc.{ZONE}").split(".")
        if len(labels) == 1:
            yield "namespaces", ("", labels[0])
            yield from (("services", key) for key in self._server.history["services"] if key[0] == labels[0])
            return
        waiting, seen = [(labels[-1], labels[-2])], set()
        while waiting:
            key = waiting.pop()
            if key in seen:
                continue
            seen.add(key)
            yield "services", key
            yield from (("endpointslices", of) for of in self._of_service[key])
            for obj in self._states("services", key):
                target = (obj or {}).get("spec", {}).get("externalName", "").rstrip(".") + "."
                if target.endswith(f".svc.{ZONE}"):
                    rest = target.removesuffix(f".svc.{ZONE}").split(".")
                    waiting.append((rest[-1], rest[-2]))

    def _services_of(self, key: Key) -> set[Key]:
        return {service for service, slices in self._of_service.items() if key in slices}

    def _versions(self, question: Question, group: list[Place], services: set[Key]) -> list[int]:
        """The versions at which a group may be told, the oldest first; -1: nothing has been listed yet. Of those that
        make no difference to the question only the oldest."""
        plural = group[0][0]
        floor = max(self._floor[plural], *(self._seen.get(place, 0) for place in group))
        later = {
            version.version
            for _, key in group
            for version in itertools.takewhile(
                lambda version: version.version > floor, reversed(self._server.history[plural][key])
            )
        }
        if not later:
            return [floor] if plural in self._known else [-1, floor]
        different: dict[str, int] = {}
        for version in (floor, *sorted(later)):
            gist = repr([_gist(question, place, self._at(*place, version), services) for place in group])
            different.setdefault(gist, version)
        parts = {self._part(plural, self._raw(*place, version)) for place in group for version in (floor, *later)}
        absent = plural not in self._known or len(parts - {None}) > 1
        return [*([-1] if absent else []), *different.values()]

    def _states(self, plural: str, key: Key) -> Iterator[Object | None]:
        """What an object was within the window."""
        for version in reversed(self._server.history[plural][key]):
            yield version.object
            if version.version <= self._floor[plural]:
                return

    def _at(self, plural: str, key: Key, version: int) -> Object | None:
        obj = self._raw(plural, key, version)
        return None if self._part(plural, obj) is None else obj

    def _raw(self, plural: str, key: Key, version: int) -> Object | None:
        history = self._server.history[plural][key]
        if history and history[-1].version <= version:
            return history[-1].object
        at = bisect.bisect_right(history, version, key=lambda known: known.version)
        return history[at - 1].object if at else None

    def _part(self, plural: str, obj: Object | None) -> str | None:
        """Which watch tells of an object; None: there is no such object, or no such watch."""
        if obj is None:
            return None
        for selector in self._selectors[plural]:
            if not selector or _selected(Request(plural, {"labelSelector": selector}, {}), obj):
                return selector
        return None

    def _index(self, plural: str) -> None:
        changes = self._server.changes[plural]
        for change in changes[self._indexed[plural] :]:
            obj = change.object
            if obj is None:
                continue
            key = (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
            texts: list[str] = []
            if plural == "endpointslices":
                service = (obj["metadata"].get("labels") or {}).get("kubernetes.io/service-name", "")
                self._of_service[key[0], service].add(key)
                texts = [text for endpoint in obj["endpoints"] or () for text in endpoint["addresses"]]
            elif plural == "services":
                texts = obj["spec"].get("clusterIPs") or []
            for text in texts:
                if text != "None" and obj.get("addressType") != "FQDN":
                    self._of_address[canonical(text)].add((plural, key))
        self._indexed[plural] = len(changes)

    def _problem(
        self, question: Question, told: Answer, groups: list[list[Place]], ranges: list[list[int]], now: float
    ) -> str:
        newest = tuple(versions[-1] for versions in ranges)
        lines = [
            f"{question.name} {question.type} at {now:.3f}: told {_text(told)}",
            f"true now: {' or '.join(map(_text, self._right(question, groups, newest)))}",
            f"synced: {self.synced}; watched since {self._whole_since}",
        ]
        for group, versions in zip(groups, ranges, strict=True):
            for plural, key in group:
                lines.append(f"  {plural} {key} seen at {self._seen.get((plural, key))}, possible {versions}:")
                lines += [
                    f"    {version.version} at {version.time:.3f}: {_brief(version.object)}"
                    for version in self._server.history[plural][key][-8:]
                ]
        return "\n".join(lines)


def _gist(question: Question, place: Place, obj: Object | None, services: set[Key]) -> object:
    """As much of an object as an answer can hang on."""
    plural, key = place
    if obj is None or plural == "namespaces":
        return obj is None
    backwards = question.name.endswith(".arpa.")
    if plural == "services":
        if question.name.count(".") == ZONE.count(".") + 2:
            return "there"
        spec = obj["spec"]
        return (spec.get("clusterIPs"), spec.get("publishNotReadyAddresses")) if backwards else spec
    service = (obj["metadata"].get("labels") or {}).get("kubernetes.io/service-name", "")
    endpoints = obj["endpoints"] or []
    if backwards:
        address = address_of(question.name)
        endpoints = [endpoint for endpoint in endpoints if address in map(canonical, endpoint["addresses"])]
        return (service, obj["addressType"], endpoints) if service and endpoints else None
    if (key[0], service) not in services or obj["addressType"] == "FQDN" or not endpoints:
        return None
    return service, endpoints, obj["ports"]


def _text(answer: Answer) -> str:
    return f"{answer.rcode} {sorted(answer.records)} + {sorted(answer.additional)}"


def _brief(obj: Object | None) -> object:
    if obj is None:
        return "deleted"
    return {name: value for name, value in obj.items() if name not in ("kind", "apiVersion", "metadata")} | (
        obj["metadata"].get("labels") or {}
    )
