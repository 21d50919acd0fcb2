"""What docs/names.md says that a cluster's names answer: written down once more, from the API's objects, to be read
beside the document and not to be fast. Shares nothing with hsdnsd.records.

Only what the model asks for is here: A, AAAA, SRV, PTR, CNAME and TXT, default options, no pods.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, NamedTuple

Object = dict[str, Any]
Key = tuple[str, str]  # (namespace, name); of a Namespace ("", name)

ZONE = "cluster.local."
MAX_LINKS = 8


class Question(NamedTuple):
    """A folded absolute name, and a type's mnemonic."""

    name: str
    type: str


class Answer(NamedTuple):
    """What is to be told, order and TTLs aside; records are `owner type rdata`. ELSEWHERE: an upstream has to say."""

    rcode: str
    records: frozenset[str] = frozenset()
    additional: frozenset[str] = frozenset()


NXDOMAIN, NODATA, SERVFAIL, ELSEWHERE = map(Answer, ("NXDOMAIN", "NOERROR", "SERVFAIL", "ELSEWHERE"))


@dataclass
class State:
    """The objects that exist at a time."""

    services: dict[Key, Object] = field(default_factory=dict)
    endpointslices: dict[Key, Object] = field(default_factory=dict)
    namespaces: dict[Key, Object] = field(default_factory=dict)


class _Endpoint(NamedTuple):
    label: str  # its name below the Service, as spelled
    address: str  # canonical
    labels: frozenset[str]  # the names that it is found by
    ports: tuple[tuple[str, str, int | None], ...]  # of its slice: name, protocol, number


def answers(question: Question, state: State) -> list[Answer]:
    """The right answers: mostly one; several where the rules leave a choice."""
    if question.name.endswith(".arpa."):
        return _reverse(question, state)
    return [_forward(question.name, question.type, state)]


def _forward(name: str, rtype: str, state: State) -> Answer:
    chain: list[str] = []
    seen: set[str] = set()
    while True:
        seen.add(name.lower())
        labels = name.lower().removesuffix(f".svc.{ZONE}").split(".")
        service = state.services.get((labels[-1], labels[-2])) if len(labels) > 1 else None
        if service is None or service["spec"].get("type") != "ExternalName":
            end = _namespace(labels[0], state) if len(labels) == 1 else _service(name, labels, service, rtype, state)
            return end._replace(records=end.records | frozenset(chain))
        target = service["spec"]["externalName"].rstrip(".") + "."
        if len(labels) > 2 or _is_address(target[:-1]):
            return NXDOMAIN._replace(records=frozenset(chain))
        chain.append(f"{name} CNAME {target}")
        if rtype == "CNAME":
            return NODATA._replace(records=frozenset(chain[:1]))
        if not target.lower().endswith(f".{ZONE}"):
            return ELSEWHERE
        if len(chain) > MAX_LINKS or target.lower() in seen:
            return SERVFAIL
        name = target


def _namespace(name: str, state: State) -> Answer:
    """A10."""
    there = ("", name) in state.namespaces or any(namespace == name for namespace, _ in state.services)
    return NODATA if there else NXDOMAIN


def _service(name: str, labels: list[str], service: Object | None, rtype: str, state: State) -> Answer:
    if service is None or len(labels) > 4:
        return NXDOMAIN
    key, below = (labels[-1], labels[-2]), labels[:-2]
    own = f"{key[1]}.{key[0]}.svc.{ZONE}"
    headless = service["spec"].get("clusterIP") == "None"
    port, protocol = (below[0].removeprefix("_"), below[1].removeprefix("_")) if len(below) == 2 else ("", "")

    def chosen(ports: Iterable[tuple[str, str, int | None]]) -> list[int | None]:
        ports = tuple(ports) or (("", "", None),)  # C6, H15
        return [
            number for text, proto, number in ports if port in ("", text.lower()) and protocol in ("", proto.lower())
        ]

    # (target, address, port number) for each pair: duplicates count for the weight.
    pairs: list[tuple[str, str, int | None]] = []
    declared: set[tuple[str, str]] = set()
    found = False
    if headless or len(below) == 1:
        for endpoint in _published(key, state):
            declared |= {(text, proto) for text, proto, _ in endpoint.ports}
            if len(below) == 1 and below[0] not in endpoint.labels:
                continue
            pairs += [(f"{endpoint.label}.{own}", endpoint.address, number) for number in chosen(endpoint.ports)]
        found = bool(pairs)
        if not headless:
            declared = {(text, proto) for text, proto, _ in _ports(service["spec"])}
    else:
        numbers = chosen(_ports(service["spec"]))
        pairs = [(own, canonical(address), number) for address in _cluster_ips(service) for number in numbers]
        declared = {(text, proto) for text, proto, _ in _ports(service["spec"])}
        found = bool(numbers)
    if not found:
        # A13
        between = len(below) == 1 and any(text and f"_{proto}".lower() == below[0] for text, proto in declared)
        return NODATA if between else NXDOMAIN
    if rtype in ("A", "AAAA"):
        return NODATA._replace(records=_addresses(name, rtype, (address for _, address, _ in pairs)))
    if rtype != "SRV":
        return NODATA
    weight = max(100 // max(len(pairs), 1), 1)
    told = [pair for pair in pairs if pair[2] is not None]
    records = frozenset(f"{name} SRV 0 {weight} {number} {target}" for target, _, number in told)
    additional = [_addresses(target, rtype, [address]) for target, address, _ in told for rtype in ("A", "AAAA")]
    return NODATA._replace(records=records, additional=frozenset().union(*additional))


def _reverse(question: Question, state: State) -> list[Answer]:
    address = address_of(question.name)
    services = [key for key, service in state.services.items() if address in map(canonical, _cluster_ips(service))]
    if services:
        # C8: one of them, and endpoints are not looked at.
        sets = [[f"{name}.{namespace}.svc.{ZONE}"] for namespace, name in services]
    else:
        owners = {(key[0], _service_of(obj)) for key, obj in state.endpointslices.items() if _service_of(obj)}
        sets = [
            [
                f"{endpoint.label}.{name}.{namespace}.svc.{ZONE}"
                for namespace, name in owners
                for endpoint in _published((namespace, name), state)
                if endpoint.address == address
            ]
        ]
    if not sets[0]:
        return [NXDOMAIN]
    if question.type != "PTR":
        return [NODATA]
    return [NODATA._replace(records=frozenset(f"{question.name} PTR {target}" for target in told)) for told in sets]


def _published(key: Key, state: State) -> list[_Endpoint]:
    """H1, H2, H5, H7, H9, H21: the endpoints of all slices of a Service, whether it is there or not."""
    service = state.services.get(key)
    everybody = service is not None and service["spec"].get("publishNotReadyAddresses", False)
    found = []
    for (namespace, _), obj in state.endpointslices.items():
        if (namespace, _service_of(obj)) != key or obj["addressType"] == "FQDN":
            continue
        for endpoint in obj["endpoints"] or ():
            ready = (endpoint.get("conditions") or {}).get("ready")
            if ready is False and not everybody:
                continue
            for text in endpoint["addresses"]:
                label, address = endpoint.get("hostname") or _dashed(text), canonical(text)
                by = {label.lower()} if endpoint.get("hostname") else {label.lower(), _dashed(address)}
                found.append(_Endpoint(label, address, frozenset(by), _ports(obj)))
    return found


def _service_of(obj: Object) -> str:
    return str((obj["metadata"].get("labels") or {}).get("kubernetes.io/service-name", ""))


def _ports(of: Object) -> tuple[tuple[str, str, int | None], ...]:
    return tuple((port.get("name", ""), port.get("protocol", "TCP"), port.get("port")) for port in of["ports"] or ())


def _cluster_ips(service: Object) -> list[str]:
    if service["spec"].get("type") == "ExternalName" or service["spec"].get("clusterIP") == "None":
        return []
    return list(service["spec"]["clusterIPs"])


def _addresses(name: str, rtype: str, addresses: Iterable[str]) -> frozenset[str]:
    return frozenset(f"{name} {rtype} {address}" for address in addresses if (":" in address) is (rtype == "AAAA"))


def _dashed(text: str) -> str:
    label = text.replace(".", "-").replace(":", "-")
    return f"{label}0" if label.endswith("-") else label


@functools.lru_cache(maxsize=10_000)
def canonical(text: str) -> str:
    """The one spelling of an address."""
    return str(ip_address(text))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


@functools.lru_cache(maxsize=10_000)
def address_of(name: str) -> str:
    """The address that a complete name of a reverse zone stands for."""
    labels = name.split(".")[:-3][::-1]
    if name.endswith(".in-addr.arpa."):
        return ".".join(labels)
    digits = "".join(labels)
    return canonical(":".join(digits[at : at + 4] for at in range(0, 32, 4)))
