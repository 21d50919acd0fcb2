"""hsdnsd.kube.reading: documents -> facts."""

from __future__ import annotations

import pytest

from hsdnsd.errors import ManifestError
from hsdnsd.kube.reading import Reading
from hsdnsd.kube.selector import parse_selector
from hsdnsd.records.model import (
    EndpointSliceFact,
    Fact,
    Kind,
    NamespaceFact,
    PodFact,
    Port,
    ServiceFact,
)

A = bytes([10, 0, 0, 1])

ALL_KINDS = """
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, labels: {app: web}}
spec:
  clusterIP: None
  ports: [{name: http, port: 80}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: web-x1
  namespace: shop
  labels: {kubernetes.io/service-name: web, app: web}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints:
- addresses: [10.0.0.1]
  hostname: web-0
---
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: shop, labels: {app: web}}
status: {podIP: 10.0.0.1}
"""

FACTS: dict[Kind, tuple[Fact, ...]] = {
    Kind.NAMESPACE: (NamespaceFact("shop"),),
    Kind.SERVICE: (ServiceFact("shop", "web", headless=True, ports=(Port("http", "tcp", 80),)),),
    Kind.ENDPOINT_SLICE: (
        EndpointSliceFact("shop", "web-x1", "web", (Port("http", "tcp", 8080),), (A,), 1, hostnames=("web-0",)),
    ),
    Kind.POD: (PodFact("shop", "web-0", (A,)),),
}


def reading(*texts: str, labels: str = "", namespace_labels: str = "", suffix: str = "yaml") -> Reading:
    found = Reading(parse_selector(labels), parse_selector(namespace_labels))
    for index, text in enumerate(texts):
        found.read(f"{chr(ord('a') + index)}.{suffix}", text.encode())
    return found


def facts(found: Reading) -> dict[Kind, tuple[Fact, ...]]:
    return {kind: found.facts(kind) for kind in Kind}


def service(name: str, more: str = "") -> str:
    return f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n{more}\n"


def test_the_four_kinds() -> None:
    assert facts(reading(ALL_KINDS)) == FACTS


def test_documents_and_files_add_up() -> None:
    found = reading(service("a") + "---\n" + service("b"), service("c"))
    assert [fact.key.name for fact in found.facts(Kind.SERVICE)] == ["a", "b", "c"]


def test_a_list_is_its_items() -> None:
    items = "\n".join("- " + text.strip().replace("\n", "\n  ") for text in ALL_KINDS.split("---"))
    assert facts(reading(f"apiVersion: v1\nkind: List\nmetadata: {{}}\nitems:\n{items}\n")) == FACTS


@pytest.mark.parametrize("items", ["[]", "null", "~"])
def test_a_list_may_be_empty(items: str) -> None:
    assert facts(reading(f"apiVersion: v1\nkind: List\nitems: {items}")) == dict.fromkeys(Kind, ())


def test_the_items_of_a_typed_list_need_not_say_their_kind() -> None:
    """As the API server lists them."""
    text = '{"kind": "ServiceList", "apiVersion": "v1", "items": [{"metadata": {"name": "a"}}]}'
    assert reading(text, suffix="json").facts(Kind.SERVICE) == (ServiceFact("default", "a"),)


def test_what_is_read_goes_by_kind_and_group() -> None:
    found = reading(
        "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: a}\n---\n"
        "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: b}\n---\n"
        "apiVersion: apps/v1\nkind: StatefulSet\nspec: [not looked at]\n---\n"
        "apiVersion: apps/v1\nkind: DeploymentList\nitems: [{}, {}]\n---\n"
        "resources: [a.yaml]\n"
    )
    assert facts(found) == dict.fromkeys(Kind, ())
    assert found.skipped == {
        "apps/v1 StatefulSet": 2,
        "serving.knative.dev/v1 Service": 1,
        "apps/v1 Deployment": 2,
        "no kind": 1,
    }


def test_a_slice_of_no_service_and_a_pod_that_ended_are_known_and_no_facts() -> None:
    found = reading(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a}\naddressType: IPv4\nendpoints: []\n"
        "---\napiVersion: v1\nkind: Pod\nmetadata: {name: a}\nstatus: {phase: Succeeded, podIP: 10.0.0.1}\n"
    )
    assert facts(found) == dict.fromkeys(Kind, ())
    assert found.skipped.total() == 0


@pytest.mark.parametrize(
    ("labels", "namespace_labels", "left"),
    [
        ("app=web", "", {Kind.SERVICE, Kind.ENDPOINT_SLICE, Kind.POD, Kind.NAMESPACE}),
        ("app!=web", "", {Kind.NAMESPACE}),
        ("", "env=prod", {Kind.SERVICE, Kind.ENDPOINT_SLICE, Kind.POD}),
        ("", "!env", set(Kind)),
    ],
)
def test_selectors(labels: str, namespace_labels: str, left: set[Kind]) -> None:
    found = reading(ALL_KINDS, labels=labels, namespace_labels=namespace_labels)
    assert {kind for kind in Kind if found.facts(kind)} == left


def test_the_later_of_two_documents_counts_and_both_are_named() -> None:
    found = reading(
        service("a") + "---\n" + service("b"), service("a", "spec: {clusterIP: 10.0.0.1}") + "---\n" + service("c")
    )
    assert found.facts(Kind.SERVICE)[1] == ServiceFact("default", "a", (A,))
    assert [fact.key.name for fact in found.facts(Kind.SERVICE)] == ["b", "a", "c"]
    assert found.warnings == [
        "Service default/a is in a.yaml, document 1, line 1 and in b.yaml, document 1, line 1: the later one counts"
    ]


def test_a_later_document_that_is_not_selected_takes_the_earlier_one_away() -> None:
    labelled = "apiVersion: v1\nkind: Service\nmetadata: {name: a, labels: {app: web}}\n"
    assert reading(labelled, service("a"), labels="app").facts(Kind.SERVICE) == ()
    assert reading(service("a"), labelled, labels="app").facts(Kind.SERVICE) == (ServiceFact("default", "a"),)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            service("ok") + "---\n" + service("a", 'spec:\n  ports:\n  - port: 1\n  - name: x\n    port: "80"'),
            "a.yaml, document 2, line 13: spec.ports[1].port: expected int, got str",
        ),
        (service("a", "spec: {ports: [{}]}"), "line 4: spec.ports[0].port: missing"),
        (service("a", "spec: {ports: [{port: 70000}]}"), "line 4: spec.ports[0].port: expected int <= 65535"),
        (service("12"), "line 3: metadata.name: expected str, got int"),
        ("apiVersion: v1\nkind: Service\nspec: {}", "line 1: metadata: missing"),
        ("kind: Service\nmetadata: {name: a}", "line 1: apiVersion: missing (Service: v1)"),
        (
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  labels:\n    app: 1",
            "line 5: metadata.labels: expected str | null, got int",
        ),
        (
            "apiVersion: v1\nkind: PodList\nitems:\n- metadata: {name: a}\n  status:\n    podIPs: [{ip: 1}]",
            "line 6: items[0].status.podIPs[0].ip: expected str | null, got int",
        ),
        ("apiVersion: v1\nkind: List\nitems: {}", "line 3: items: expected array, got object"),
        ("apiVersion: v1\nkind: List\nitems:\n- 1\n", "line 4: items[0]: expected an object, got int"),
        ("- apiVersion: v1\n  kind: Service\n", "line 1: expected an object, got array"),
        ("just text", "line 1: expected an object, got str"),
    ],
)
def test_what_is_wrong_is_told_with_file_document_line_and_field(text: str, told: str) -> None:
    with pytest.raises(ManifestError) as caught:
        reading(text)
    assert str(caught.value).endswith(told)
    assert str(caught.value).startswith("a.yaml, document ")
