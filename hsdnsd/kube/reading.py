"""The documents of manifests -> facts by kind: what is read, selected and skipped, and what is wrong where."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from hsdnsd.kube import objects
from hsdnsd.kube.convert import to_fact
from hsdnsd.kube.documents import Document, Step, read_documents
from hsdnsd.kube.selector import Selector
from hsdnsd.records.model import Fact, Key, Kind

API_VERSION: dict[Kind, str] = {
    Kind.SERVICE: "v1",
    Kind.ENDPOINT_SLICE: "discovery.k8s.io/v1",
    Kind.NAMESPACE: "v1",
    Kind.POD: "v1",
}

_KIND_OF_NAME = {kind.value: kind for kind in Kind}
_MISSING = re.compile(r"Object missing required field `(.+)`")
_FIELD = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")


class _Labels(msgspec.Struct):
    labels: dict[str, str | None] | None = None  # Go reads a null value as ""


class _Labelled(msgspec.Struct):
    metadata: _Labels


class _Found(msgspec.Struct):
    fact: Fact | None
    place: str


class Reading:
    """What a set of manifests holds.

    Attributes:
        skipped: objects of kinds that are not read, by what they call themselves ("apps/v1 StatefulSet").
        warnings: one line for each object that stands in two documents.
    """

    def __init__(self, labels: Selector, namespace_labels: Selector) -> None:
        """`labels` selects Services, EndpointSlices and Pods; `namespace_labels` Namespaces."""
        self.skipped: Counter[str] = Counter()
        self.warnings: list[str] = []
        self._selectors = {kind: namespace_labels if kind is Kind.NAMESPACE else labels for kind in Kind}
        self._found: dict[Kind, dict[Key, _Found]] = {kind: {} for kind in Kind}

    def facts(self, kind: Kind) -> tuple[Fact, ...]:
        """In the order of reading; of an object that stands in two documents the later one counts, as with kubectl."""
        return tuple(found.fact for found in self._found[kind].values() if found.fact is not None)

    def read(self, path: str, data: bytes) -> None:
        """Take in one file.

        Raises:
            ManifestError: it can't be parsed, or an object of a kind that is read is wrong.
        """
        for document in read_documents(path, data):
            for steps, value in _unwrapped(document):
                self._take(document, steps, value)

    def _take(self, document: Document, steps: tuple[Step, ...], value: dict[str, object]) -> None:
        version, name = value.get("apiVersion"), value.get("kind")
        kind = _KIND_OF_NAME.get(name) if isinstance(name, str) else None
        if kind is not None and version is None:
            raise document.fault(steps, f"{_dotted((*steps, 'apiVersion'))}: missing ({name}: {API_VERSION[kind]})")
        if kind is None or version != API_VERSION[kind]:
            self.skipped[" ".join(str(part) for part in (version, name) if part is not None) or "no kind"] += 1
            return
        try:
            obj = msgspec.convert(value, objects.OBJECT_OF[kind])
            labels = msgspec.convert(value, _Labelled).metadata.labels or {}
        except msgspec.ValidationError as error:
            problem, at = _explained(str(error))
            raise document.fault((*steps, *at), f"{_dotted((*steps, *at))}: {problem}") from None
        key = objects.key_of(kind, obj.metadata.namespace, obj.metadata.name)
        selected = self._selectors[kind].matches({name: text or "" for name, text in labels.items()})
        found = _Found(to_fact(obj) if selected else None, _place(document))
        if earlier := self._found[kind].pop(key, None):
            told = f"{kind.value} {key.namespace}/{key.name}".replace(" /", " ")
            self.warnings.append(f"{told} is in {earlier.place} and in {found.place}: the later one counts")
        self._found[kind][key] = found


def _unwrapped(document: Document) -> Iterator[tuple[tuple[Step, ...], dict[str, object]]]:
    """The objects of a document, each with the way to it: itself, or the items of a List (of a ServiceList, ...,
    whose items need not repeat their kind)."""
    value = document.value
    if not isinstance(value, dict):
        raise document.fault((), f"expected an object, got {_json_type(value)}")
    name = value.get("kind")
    if not isinstance(name, str) or not name.endswith("List") or "items" not in value:
        yield (), value
        return
    items = value["items"]
    if not isinstance(items, list | None):
        raise document.fault(("items",), f"items: expected array, got {_json_type(items)}")
    for index, item in enumerate(items or ()):
        steps = ("items", index)
        if not isinstance(item, dict):
            raise document.fault(steps, f"{_dotted(steps)}: expected an object, got {_json_type(item)}")
        inherited = {"apiVersion": value.get("apiVersion"), "kind": name.removesuffix("List")} if name != "List" else {}
        yield steps, {**inherited, **item}


def _explained(message: str) -> tuple[str, tuple[Step, ...]]:
    """msgspec's message -> what is wrong, and the way to the field."""
    problem, _, where = message.partition(" - at `$")
    steps: list[Step] = []
    for name, index in _FIELD.findall(where.rstrip("`")):
        if index == "...":  # some value of a mapping: which one is not told
            break
        steps.append(name or int(index))
    if missing := _MISSING.fullmatch(problem):
        return "missing", (*steps, missing[1])
    problem = problem.replace("`", "")
    return problem[:1].lower() + problem[1:], tuple(steps)


def _dotted(steps: Sequence[Step]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")


def _place(document: Document) -> str:
    return f"{document.path}, document {document.number}, line {document.line}"


def _json_type(value: object) -> str:
    names = {dict: "object", list: "array", str: "str", bool: "bool", int: "int", float: "float"}
    return names.get(type(value), "null")
