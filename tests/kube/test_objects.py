"""hsdnsd.kube.objects: what is decoded, and what is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hsdnsd.kube import objects
from hsdnsd.records.model import Key, Kind


def decoded(kind: Kind, value: dict[str, Any]) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value), type=objects.OBJECT_OF[kind])


def test_every_kind_has_its_struct() -> None:
    assert set(objects.OBJECT_OF) == set(Kind)


@pytest.mark.parametrize("kind", Kind)
def test_null_means_absent_as_go_writes_it(kind: Kind) -> None:
    """kube-apiserver sends "endpoints": null for a slice without any."""
    bare = {"metadata": {"name": "a"}}
    nulls = {
        "metadata": {
            "name": "a",
            "namespace": None,
            "labels": None,
            "resourceVersion": None,
            "deletionTimestamp": None,
        },
        **dict.fromkeys(("spec", "status", "addressType", "endpoints", "ports")),
    }
    assert decoded(kind, nulls) == decoded(kind, bare)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (Kind.SERVICE, {"spec": dict.fromkeys(("type", "clusterIP", "clusterIPs", "externalName", "ports"))}),
        (Kind.SERVICE, {"spec": {"publishNotReadyAddresses": None, "ports": [{"port": 1, "name": None}]}}),
        (Kind.ENDPOINT_SLICE, {"endpoints": [dict.fromkeys(("addresses", "conditions", "hostname", "targetRef"))]}),
        (Kind.ENDPOINT_SLICE, {"endpoints": [{"conditions": {"ready": None}, "targetRef": {"kind": None}}]}),
        (Kind.ENDPOINT_SLICE, {"ports": [dict.fromkeys(("name", "port", "protocol"))]}),
        (Kind.POD, {"status": dict.fromkeys(("phase", "podIP", "podIPs"))}),
        (Kind.POD, {"status": {"podIPs": [{"ip": None}]}}),
    ],
)
def test_every_optional_field_may_be_null(kind: Kind, fields: dict[str, Any]) -> None:
    assert decoded(kind, {"metadata": {"name": "a"}, **fields})


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Kind.SERVICE, {}),
        (Kind.SERVICE, {"metadata": {}}),
        (Kind.SERVICE, {"metadata": {"name": ""}}),
        (Kind.SERVICE, {"metadata": {"name": "a"}, "spec": {"ports": [{}]}}),
        (Kind.SERVICE, {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 65536}]}}),
        (Kind.SERVICE, {"metadata": {"name": "a"}, "spec": {"ports": [{"port": -1}]}}),
        (Kind.SERVICE, {"metadata": {"name": "a"}, "spec": {"clusterIP": 10}}),
        (Kind.ENDPOINT_SLICE, {"metadata": {"name": "a"}, "endpoints": {}}),
        (Kind.ENDPOINT_SLICE, {"metadata": {"name": "a"}, "endpoints": [{"conditions": {"ready": "true"}}]}),
        (Kind.ENDPOINT_SLICE, {"metadata": {"name": "a"}, "ports": [{"port": 65536}]}),
        (Kind.NAMESPACE, {"metadata": {"name": 1}}),
        (Kind.POD, {"metadata": {"name": "a"}, "status": {"podIPs": [{"ip": 1}]}}),
    ],
)
def test_wrong_types_are_refused(kind: Kind, value: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        decoded(kind, value)


def test_what_is_not_read_may_be_anything() -> None:
    value = {"metadata": {"name": "a", "annotations": 3, "managedFields": [[]]}, "spec": {"selector": []}, "status": 1}
    assert decoded(Kind.SERVICE, value).metadata.name == "a"


def test_items_stay_undecoded() -> None:
    page = msgspec.json.decode(b'{"metadata":{"continue":"c"},"items":[{"a":1},[2]]}', type=objects.Page)
    assert [bytes(item) for item in page.items or ()] == [b'{"a":1}', b"[2]"]
    assert page.metadata.next_page == "c"


@pytest.mark.parametrize(
    ("kind", "namespace", "key"),
    [
        (Kind.SERVICE, "n", Key("n", "a")),
        (Kind.SERVICE, None, Key("default", "a")),
        (Kind.POD, "", Key("default", "a")),
        (Kind.NAMESPACE, None, Key("", "a")),
        (Kind.NAMESPACE, "n", Key("", "a")),
    ],
)
def test_identity(kind: Kind, namespace: str | None, key: Key) -> None:
    assert objects.key_of(kind, namespace, "a") == key


@pytest.mark.parametrize("kind", Kind)
def test_a_line_of_a_watch_is_its_kind_and_object(kind: Kind) -> None:
    line = msgspec.json.encode({"type": "ADDED", "object": {"metadata": {"name": "a", "managedFields": [{}]}}})
    told = msgspec.json.decode(line, type=objects.told_type(kind))
    assert told.type == "ADDED"
    assert told.object == decoded(kind, {"metadata": {"name": "a"}})
    assert isinstance(told.object, objects.OBJECT_OF[kind])
