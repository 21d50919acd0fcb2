"""What may happen to a cluster, its API server and those who watch it: lists of it, made from a seed.

An operation is data that says all that it does, and does nothing where there is nothing to do it to: whatever is left
out of a list, the rest is still one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from random import Random
from typing import Any

from tests.model.oracle import ZONE, Object, Question

NAMESPACES = ("a", "b", "c")
SERVICES = ("s", "t", "u", "v")
SLICES = ("x0", "x1", "x2", "x3", "x4")
HOSTS = ("h0", "h1", "h2")
ADDRESSES = (*(f"10.1.0.{host}" for host in range(1, 11)), "fd00::1", "FD00:0::2", "fd00:3::")
TARGETS = (*(f"{name}.{home}.svc.cluster.local" for name in ("s", "t") for home in "ab"), "t.b.svc.cluster.local.")
OUTSIDE = ("example.com", "10.0.0.9")
PLURALS = ("services", "endpointslices", "endpointslices", "namespaces")

_HTTP = {"name": "http", "port": 80, "protocol": "TCP"}
_DNS = {"name": "dns", "port": 53, "protocol": "UDP"}
PORTS: tuple[list[dict[str, Any]], ...] = (
    [],
    [_HTTP],
    [_HTTP],
    [_HTTP, _DNS],
    [{"name": "HTTP", "port": 8080, "protocol": "TCP"}],
    [{"port": 7}],
    [{"name": "http"}],
)
# Seconds; 0: the daemon gets some turns of the loop, and no time passes.
PAUSES = (0, 0, 0, 0, 0.01, 0.05, 0.2, 0.2, 0.5, 1, 1, 3, 10, 40, 100)


@dataclass(frozen=True)
class Operation:
    """
    Attributes:
        what: a method of tests.model.play.Game, called with `how`.
        pause: seconds that pass after it. asks: what is asked before and after them.
        luck: seed of all that is left to chance while it lasts, so that it stays the same when others are left out.
    """

    what: str
    how: tuple[Any, ...] = ()
    pause: float = 0
    asks: tuple[Question, ...] = ()
    luck: int = 0


def operations(seed: int, count: int, *, scoped: bool = False) -> list[Operation]:
    """As many operations as that; the same for the same seed."""
    return _Maker(seed, scoped).make(count)


class _Maker:
    def __init__(self, seed: int, scoped: bool) -> None:
        self._random = Random(seed)
        self._scoped = scoped
        self._addresses = 0
        self._changes: list[tuple[Callable[[], Operation], int]] = [
            (self._put_service, 14),
            (self._remove_service, 5),
            (self._put_slice, 22),
            (self._remove_slice, 5),
            (self._move, 10),
            (self._flip, 8),
            (self._relabel, 5),
            (self._put_namespace, 3),
            (self._remove_namespace, 1),
            (self._odd, 1),
        ]
        self._faults: list[tuple[Callable[[], Operation], int]] = [
            (lambda: Operation("cut", (self._plural(), self._chance(0.5))), 6),
            (lambda: Operation("end", (self._plural(),)), 3),
            (lambda: Operation("gone", (self._plural(), self._pick(("status", "event", "body")))), 3),
            (lambda: Operation("compact"), 3),
            (lambda: Operation("refuse", (self._plural(), self._pick((429, 500, 503, 504, 403)), self._up_to(4))), 4),
            (lambda: Operation("stall", (self._plural(),)), 2),
            (lambda: Operation("silence", (self._chance(0.3),)), 2),
            (lambda: Operation("junk", (self._plural(), self._pick(("html", "error", "half", "type")))), 3),
            (lambda: Operation("again", (self._plural(), self._up_to(5))), 4),
            (lambda: Operation("bookmark", (self._plural(),)), 4),
            (lambda: Operation("crash", (self._pick((0.2, 2, 20)), self._chance(0.4))), 3),
            (lambda: Operation("streams", (self._chance(0.5), self._chance(0.8))), 2),
            (lambda: Operation("breaks", (self._plural(), self._up_to(2))), 3),
            (lambda: Operation("ambush", (self._plural(), self._up_to(3), self._change())), 8),
            (self._miss, 10),
            (lambda: Operation("restart"), 1),
        ]

    def make(self, count: int) -> list[Operation]:
        made = []
        for at in range(count):
            fault = at > 10 and self._chance(0.12)
            done = self._weighted(self._faults) if fault else self._change()
            asks = tuple(self._question(done) for _ in range(2))
            made.append(Operation(done.what, done.how, self._pick(PAUSES), asks, self._random.getrandbits(32)))
        return made

    def _change(self) -> Operation:
        return self._weighted(self._changes)

    def _put_service(self) -> Operation:
        spec: Object = {"ports": self._pick(PORTS[:-1])}
        kind = self._pick(("headless", "headless", "headless", "unready", "cluster", "cluster", "dual", "external"))
        if kind == "external":
            spec |= {"type": "ExternalName", "externalName": self._pick((*TARGETS, *OUTSIDE))}
        elif kind in ("headless", "unready"):
            spec |= {"clusterIP": "None", "clusterIPs": ["None"], "publishNotReadyAddresses": kind == "unready"}
        else:
            # Given out once: nobody has it any more when it comes again.
            self._addresses += 1
            given = [f"10.96.{self._addresses // 250 % 250}.{self._addresses % 250}"]
            given += [f"fd96::{self._addresses:x}"] if kind == "dual" else []
            spec |= {"clusterIP": given[0], "clusterIPs": given}
        metadata = {"namespace": self._home(), "name": self._pick(SERVICES)}
        return Operation("put", ({"kind": "Service", "apiVersion": "v1", "metadata": metadata, "spec": spec},))

    def _put_slice(self) -> Operation:
        family = self._pick((4, 4, 6))
        labels = {"kubernetes.io/service-name": self._pick(SERVICES)} if self._chance(0.97) else {}
        if self._scoped:
            if self._chance(0.7):
                labels["endpointslice.kubernetes.io/managed-by"] = "endpointslice-controller.k8s.io"
            if self._chance(0.7):
                labels["service.kubernetes.io/headless"] = ""
        obj = {
            "kind": "EndpointSlice",
            "apiVersion": "discovery.k8s.io/v1",
            "metadata": {"namespace": self._home(), "name": self._pick(SLICES), "labels": labels},
            "addressType": "FQDN" if self._chance(0.02) else f"IPv{family}",
            "endpoints": [self._endpoint(family) for _ in range(self._random.randrange(4))] or None,
            "ports": self._pick(PORTS) or None,
        }
        return Operation("put", (obj,))

    def _endpoint(self, family: int) -> Object:
        texts = [text for text in ADDRESSES if ip_address(text).version == family]
        endpoint: Object = {"addresses": self._random.sample(texts, 2 if self._chance(0.1) else 1)}
        if self._chance(0.4):
            endpoint["hostname"] = self._pick(HOSTS)
        if self._chance(0.8):
            endpoint["conditions"] = {"ready": self._pick((True, True, True, False, None))}
        return endpoint

    def _remove_service(self) -> Operation:
        return Operation("remove", ("services", (self._home(), self._pick(SERVICES))))

    def _remove_slice(self) -> Operation:
        return Operation("remove", ("endpointslices", (self._home(), self._pick(SLICES))))

    def _move(self) -> Operation:
        return Operation("move", (self._home(), *self._random.sample(SLICES, 2)))

    def _flip(self) -> Operation:
        return Operation("flip", (self._home(), self._pick(SLICES), self._up_to(3)))

    def _relabel(self) -> Operation:
        return Operation("relabel", (self._home(), self._pick(SLICES), self._pick(SERVICES)))

    def _miss(self) -> Operation:
        """Above all endpoints that go from slice to slice: nobody may see them in neither."""
        plural, home = self._pick(("endpointslices", "endpointslices", "services")), self._home()
        moves = [Operation("move", (home, *self._random.sample(SLICES, 2))) for _ in range(6)]
        return Operation("miss", (plural, (*moves, *(self._change() for _ in range(self._up_to(3))))))

    def _put_namespace(self) -> Operation:
        return Operation("put", ({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": self._home()}},))

    def _remove_namespace(self) -> Operation:
        return Operation("remove_namespace", (self._home(),))

    def _odd(self) -> Operation:
        metadata = {"namespace": self._home(), "name": "odd"}
        obj = {"kind": "Service", "apiVersion": "v1", "metadata": metadata, "spec": {"ports": self._pick(("x", [{}]))}}
        return Operation("put_odd", (obj,))

    def _question(self, done: Operation) -> Question:
        """Often about what was just changed."""
        home, name = self._home(), self._pick((*SERVICES, "ghost")) if self._chance(0.1) else self._pick(SERVICES)
        subject = done.how[0] if done.what == "put" else None
        if subject is not None and self._chance(0.6):
            home = subject["metadata"].get("namespace", home)
            labels = subject["metadata"].get("labels", {})
            name = labels.get("kubernetes.io/service-name", subject["metadata"]["name"])
            return question_of(self._random, home, name, subject)
        return question_of(self._random, home, name, None)

    def _home(self) -> str:
        return self._random.choice(NAMESPACES[:1] * 3 + NAMESPACES)

    def _plural(self) -> str:
        return self._random.choice(PLURALS)

    def _up_to(self, most: int) -> int:
        return self._random.randint(1, most)

    def _chance(self, chance: float) -> bool:
        return self._random.random() < chance

    def _pick(self, choices: Any) -> Any:
        return self._random.choice(choices)

    def _weighted(self, choices: list[tuple[Callable[[], Operation], int]]) -> Operation:
        makers, weights = [maker for maker, _ in choices], [weight for _, weight in choices]
        return self._random.choices(makers, weights)[0]()


def question_of(random: Random, home: str, name: str, subject: Object | None) -> Question:
    """A question about a Service, its namespace, its endpoints or their addresses."""
    base = f"{name}.{home}.svc.{ZONE}"
    way = random.random()
    if way < 0.35:
        return Question(base, random.choice(("A", "A", "AAAA", "SRV", "SRV", "CNAME", "TXT")))
    if way < 0.45:
        port = random.choice(("_http._tcp", "_dns._udp", "http.tcp", "_._tcp", "_http._udp"))
        return Question(f"{port}.{base}", random.choice(("SRV", "SRV", "A")))
    if way < 0.5:
        return Question(f"_tcp.{base}", "A")
    if way < 0.65:
        label = random.choice((*HOSTS, dashed(random.choice(ADDRESSES))))
        return Question(f"{label}.{base}", random.choice(("A", "A", "AAAA", "SRV")))
    if way < 0.7:
        return Question(f"{home}.svc.{ZONE}", "A")
    texts = list(ADDRESSES)
    if subject is not None and subject["kind"] == "Service":
        texts = [text for text in subject["spec"].get("clusterIPs") or texts if text != "None"] or texts
    pointer = ip_address(random.choice(texts)).reverse_pointer
    return Question(f"{pointer}.", random.choice(("PTR", "PTR", "PTR", "A")))


def dashed(text: str) -> str:
    """The canonical spelling of an address as a label."""
    label = str(ip_address(text)).replace(".", "-").replace(":", "-")
    return f"{label}0" if label.endswith("-") else label


def everything(addresses: list[str]) -> list[Question]:
    """Every name that these clusters can make, and some that they can't; `addresses`: cluster IPs."""
    asked = []
    for home in (*NAMESPACES, "ghost"):
        asked.append(Question(f"{home}.svc.{ZONE}", "A"))
        for name in (*SERVICES, "odd2"):
            base = f"{name}.{home}.svc.{ZONE}"
            asked += [Question(base, rtype) for rtype in ("A", "AAAA", "SRV", "CNAME")]
            asked += [Question(f"{port}.{base}", "SRV") for port in ("_http._tcp", "_dns._udp")]
            asked += [Question(f"{label}.{base}", "A") for label in ("_tcp", *HOSTS, *map(dashed, ADDRESSES))]
    for text in (*ADDRESSES, *addresses):
        pointer = f"{ip_address(text).reverse_pointer}."
        asked += [Question(pointer, "PTR"), Question(pointer, "A")]
    return asked
