"""The same objects give the same facts, whether a manifest or the API server tells of them."""

from __future__ import annotations

import json
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.kube.intake import Intake
from hsdnsd.kube.reading import Reading
from hsdnsd.kube.selector import Selector
from hsdnsd.kube.source import WatchState
from hsdnsd.records.model import Change, Fact, Kind, Listed, Listing, Upserted
from tests.support.facts import nothing_held

Object = dict[str, Any]

# Among them what YAML would read as something else, were it not quoted.
names = st.sampled_from(["a", "web-0", "y", "no", "on", "1", "1e3", "0x1", "null", "2024-01-01", "1-20", "a.b"])
addresses = (
    st.ip_addresses().map(str)
    | st.ip_addresses(v=6).map(lambda address: address.exploded.upper())
    | st.sampled_from(["", "None", "1:2:3:4:5:6:7:8", "10.0.0.300", "a.example.com"])
)


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Object]:
    """Each field may be there, absent, or null."""
    return st.fixed_dictionaries({}, optional={name: st.none() | strategy for name, strategy in fields.items()})


labels = optional(**{"kubernetes.io/service-name": names, "app": names})
metadata = st.builds(
    lambda required, more: {**required, **more},
    st.fixed_dictionaries({"name": names}),
    optional(namespace=names, resourceVersion=st.just("7"), managedFields=st.just([{"f:x": {}}])),
)

labelled = st.builds(lambda meta, text: {**meta, "labels": text}, metadata, labels)
protocols = st.sampled_from(["TCP", "UDP", "SCTP"])
numbers = st.integers(0, 65535)

services = st.fixed_dictionaries(
    {"apiVersion": st.just("v1"), "kind": st.just("Service"), "metadata": metadata},
    optional={
        "spec": st.none()
        | optional(
            type=st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]),
            clusterIP=addresses,
            clusterIPs=st.lists(addresses, max_size=3),
            externalName=st.sampled_from(["", "Www.Example.com.", "a"]),
            publishNotReadyAddresses=st.booleans(),
            ports=st.lists(
                st.builds(
                    lambda number, more: {"port": number, **more}, numbers, optional(name=names, protocol=protocols)
                ),
                max_size=3,
            ),
            selector=st.just({"app": "web"}),
        )
    },
)
endpoints = optional(
    addresses=st.lists(addresses, max_size=3),
    conditions=optional(ready=st.booleans(), serving=st.booleans()),
    hostname=names,
    nodeName=names,
    targetRef=optional(kind=st.sampled_from(["Pod", "Node", ""]), name=names, uid=names),
)
slices = st.fixed_dictionaries(
    {"apiVersion": st.just("discovery.k8s.io/v1"), "kind": st.just("EndpointSlice"), "metadata": labelled},
    optional={
        "addressType": st.sampled_from(["IPv4", "IPv6", "FQDN"]),
        "endpoints": st.none() | st.lists(endpoints, max_size=3),
        "ports": st.none() | st.lists(optional(name=names, protocol=protocols, port=numbers), max_size=3),
    },
)
namespaces = st.fixed_dictionaries(
    {"apiVersion": st.just("v1"), "kind": st.just("Namespace"), "metadata": metadata},
    optional={"status": optional(phase=names)},
)
pods = st.fixed_dictionaries(
    {
        "apiVersion": st.just("v1"),
        "kind": st.just("Pod"),
        "metadata": st.builds(
            lambda meta, more: {**meta, **more}, metadata, optional(deletionTimestamp=st.just("2024-01-01T00:00:00Z"))
        ),
    },
    optional={
        "status": st.none()
        | optional(
            phase=st.sampled_from(["Running", "Succeeded"]),
            podIP=addresses,
            podIPs=st.lists(optional(ip=addresses), max_size=3),
        )
    },
)


def from_manifest(obj: Object, *, as_json: bool) -> dict[Kind, tuple[Fact, ...]]:
    reading = Reading(Selector(), Selector())
    if as_json:
        reading.read("a.json", json.dumps(obj).encode())
    else:
        reading.read("a.yaml", yaml.safe_dump(obj).encode())
    assert reading.skipped.total() == 0
    return {kind: reading.facts(kind) for kind in Kind}


def intake_of(kind: Kind, changes: list[Change]) -> Intake:
    return Intake(kind, WatchState(kind.value), changes.append, nothing_held())


@given(services | slices | namespaces | pods)
def test_both_sources_tell_the_same(obj: Object) -> None:
    kind = Kind(obj["kind"])
    facts = from_manifest(obj, as_json=False)
    assert facts == from_manifest(obj, as_json=True)
    assert all(not facts[other] for other in Kind if other is not kind)

    listed: list[Change] = []
    intake = intake_of(kind, listed)
    intake.begin_list()
    intake.read(json.dumps({"metadata": {"resourceVersion": "9"}, "items": [obj]}).encode())
    intake.read_end()
    assert [change.facts for change in listed if isinstance(change, Listing)] == ([facts[kind]] if facts[kind] else [])
    assert listed[-1] == Listed(kind, {fact.key for fact in facts[kind]})

    watched: list[Change] = []
    intake_of(kind, watched).take(json.dumps({"type": "ADDED", "object": obj}).encode())
    assert [change.fact for change in watched if isinstance(change, Upserted)] == list(facts[kind])
