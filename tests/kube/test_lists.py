"""hsdnsd.kube.lists: however a list is cut on the way, its objects come out, and little of it is held."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.kube.lists import ListReader, NotAListError

LIMIT = 1 << 16
ANY = msgspec.json.Decoder(list[dict[str, Any]])
NONE = msgspec.json.Decoder(list[int])  # no object is of that type

_texts = st.sampled_from(["", "a", '},{"metadata":{', '"items":[', "\\", '"', "é\u2028", "]}"])
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)
# Objects that begin alike, and objects within them that do so too.
_objects = st.fixed_dictionaries(
    {"metadata": _values},
    optional={"spec": st.lists(st.fixed_dictionaries({"metadata": _values}), max_size=3) | _values},
)
# As Go writes JSON, as others do, and as people read it.
LAYOUTS: dict[str, dict[str, Any]] = {
    "compact": {"separators": (",", ":")},
    "spaced": {},
    "indented": {"indent": 2},
}
_layouts = st.sampled_from(list(LAYOUTS.values()))


def listed(objects: Any, **more: Any) -> dict[str, Any]:
    return {"kind": "ServiceList", "apiVersion": "v1", "metadata": {"resourceVersion": "7"}, "items": objects, **more}


def read(
    pieces: list[bytes], limit: int = LIMIT, decoder: msgspec.json.Decoder[list[Any]] = ANY
) -> tuple[str | None, list[Any], list[int]]:
    """The version, the objects, and how many came with each piece."""
    reader = ListReader(decoder, limit)
    objects, counts = [], []
    for piece in pieces:
        found = reader.feed(piece)
        objects += found
        counts.append(len(found))
    metadata, last = reader.end()
    return metadata.resource_version, [plain(found) for found in (*objects, *last)], counts


def plain(found: Any) -> Any:
    return json.loads(bytes(found)) if isinstance(found, msgspec.Raw) else found


def cut(body: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(body) + 1) for place in places} | {len(body)})
    return [body[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


@given(
    st.lists(_objects, max_size=6),
    _layouts,
    st.lists(st.integers(min_value=0), max_size=8),
    st.booleans(),
    st.sampled_from([ANY, NONE]),
)
def test_every_object_comes_out_once_and_in_order(
    objects: list[Any],
    layout: dict[str, Any],
    places: list[int],
    first: bool,
    decoder: msgspec.json.Decoder[list[Any]],
) -> None:
    whole = listed(objects)
    if not first:  # metadata may stand behind the objects
        whole["metadata"] = whole.pop("metadata")
    body = json.dumps(whole, **layout, ensure_ascii=False).encode()
    assert read(cut(body, places), decoder=decoder)[:2] == ("7", objects)


def test_where_one_can_not_be_decoded_all_that_come_with_it_are_raw() -> None:
    reader = ListReader(msgspec.json.Decoder(list[dict[str, int]]), LIMIT)
    assert reader.feed(b'{"metadata":{},"items":[{"a":1},{"a":2},{"a":') == [{"a": 1}, {"a": 2}]
    found = reader.feed(b'"x"},{"a":4},{"a":5}')
    assert [bytes(raw) for raw in found] == [b'{"a":"x"}', b'{"a":4}']


@pytest.mark.parametrize("sort_keys", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_objects_come_out_with_the_piece_that_they_end_in(layout: dict[str, Any], sort_keys: bool) -> None:
    """An object has ended when the next one has begun. (With sorted keys metadata stands behind the objects.)"""
    objects = [{"metadata": {"name": f"s{number}"}} for number in range(100)]
    body = json.dumps(listed(objects), **layout, sort_keys=sort_keys).encode()
    version, found, counts = read([body[at : at + 50] for at in range(0, len(body), 50)], limit=250)
    assert (version, found) == ("7", objects)
    assert sum(counts) == 99


class Counting:
    """Counts the octets that are decoded."""

    def __init__(self) -> None:
        self.octets = 0

    def decode(self, body: bytes) -> list[Any]:
        self.octets += len(body)
        return ANY.decode(body)


def test_what_is_no_place_to_cut_is_not_tried_again_and_again() -> None:
    """However small the pieces are: an object may hold many that begin as it does."""
    odd = {"metadata": {}, "spec": [{"metadata": {}}] * 1000}
    body = json.dumps(listed([odd, odd]), separators=(",", ":")).encode()
    counting = Counting()
    pieces = [body[at : at + 7] for at in range(0, len(body), 7)]
    assert read(pieces, decoder=counting)[:2] == ("7", [odd, odd])  # type: ignore[arg-type]
    assert 0 < counting.octets < 3 * len(body)


@pytest.mark.parametrize("items", [None, []])
def test_a_list_of_nothing(items: Any) -> None:
    assert read([json.dumps(listed(items)).encode()])[:2] == ("7", [])


def test_a_list_without_items() -> None:
    assert read([b'{"metadata":{"resourceVersion":"7"}}'])[:2] == ("7", [])


def test_what_lies_within_an_object_is_no_place_to_cut() -> None:
    """Nor does it cost the others."""
    inner = [{"metadata": {"name": "b"}}, {"metadata": {"name": "c"}}]
    objects = [{"metadata": {"name": "a"}, "spec": {"items": inner}}, {"metadata": {"name": "d"}}]
    body = json.dumps(listed(objects), separators=(",", ":")).encode()
    for place in range(len(body)):
        assert read([body[:place], body[place:]])[:2] == ("7", objects)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"items":[]}',
        b'{"metadata":{},"items":{}}',
        b'{"metadata":{},"items":[{"a":1}',
        b'{"metadata":{},"items":[{"a":1},{"a":2}',
        b'{"metadata":{},"items":[{"a":1},{"a":2]}}',
        b'{"metadata":{},"items":[{"a":1}]}x',
        b'{"metadata":{},"items":' + b"[" * 5000,
    ],
)
def test_what_is_no_list_or_not_the_whole_of_one(body: bytes) -> None:
    for place in (0, len(body) // 2, len(body)):
        with pytest.raises(NotAListError, match=r"^not a list: "):
            read([body[:place], body[place:]])


@pytest.mark.parametrize("begin", [b"", b'{"metadata":{},"items":[', b'{"metadata":{},"items":[{"a":1},{"a":"'])
def test_what_is_held_has_a_limit(begin: bytes) -> None:
    reader = ListReader(ANY, 1000)
    reader.feed(begin)
    reader.feed(b"x" * 900)
    with pytest.raises(NotAListError, match="no end of an object is to be seen in 1000 octets"):
        reader.feed(b"x" * 150)
