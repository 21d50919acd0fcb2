"""The text of a manifest -> its documents as plain values, with the line of anything in them.

YAML is built from the parser's events, not by PyYAML's loaders: those recurse in C (30,000 opening brackets end the
process), and read `1:20:30` as a number and `2024-01-01` as a date, where Kubernetes reads text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from hsdnsd.errors import ManifestError
from hsdnsd.kube.oneline import one_line

# Deeper than any schema of Kubernetes (a CustomResourceDefinition's reaches some 40).
MAX_DEPTH = 256

Step = str | int

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE = frozenset(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"))
_FALSE = frozenset(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"))
# Numbers are what all that write YAML for Kubernetes take for numbers, and put quotes around if they mean text; not
# 1e3, 08 or 0o17, which some write bare as names.
_INTEGER = re.compile(r"([-+]?)(0b[01_]*[01]|0x[0-9a-fA-F_]*[0-9a-fA-F]|0[0-7_]*|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_MAX_DIGITS = 64
_TAG = "tag:yaml.org,2002:"
_RESOLVED_TAGS = frozenset(_TAG + name for name in ("int", "float", "bool", "null"))
_TEXT_TAGS = frozenset(("!", _TAG + "str", _TAG + "timestamp", _TAG + "binary"))
_BLANK = re.compile(r"[ \t\r\n]*")


class Document(msgspec.Struct, frozen=True):
    """One document of a manifest.

    Attributes:
        path: the file, as it was named.
        number: from 1, within the file.
        line: from 1, its first line.
        value: dict with str keys, list, str, int, float, bool or None.
        text, index, lines_before: where it can be parsed again to find a line: document `index` (from 1) of `text`,
            which begins after so many lines of the file.
    """

    path: str
    number: int
    line: int
    value: object
    text: str
    index: int
    lines_before: int

    def fault(self, steps: Sequence[Step], problem: str) -> ManifestError:
        """An error about the field that `steps` lead to, at its line or that of the nearest thing above it."""
        line = self.lines_before + _find_line(self.text, self.index, steps)
        return ManifestError(self.path, self.number, max(line, self.line), problem)


def read_documents(path: str, data: bytes) -> Iterator[Document]:
    """The documents of a file, empty ones left out. What ends in .json is JSON (one value or several), else YAML.

    Raises:
        ManifestError: it can't be read further.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ManifestError(path, 1, data.count(b"\n", 0, error.start) + 1, "not UTF-8") from None
    return _json_documents(path, text) if path.endswith(".json") else _yaml_documents(path, text)


def _json_documents(path: str, text: str) -> Iterator[Document]:
    decoder = json.JSONDecoder()
    number, line, start = 0, 1, 0
    while True:
        begin = _BLANK.match(text, start).end()  # type: ignore[union-attr]  # it matches nothing, too
        if begin == len(text):
            return
        line += text.count("\n", start, begin)
        number += 1
        try:
            value, end = decoder.raw_decode(text, begin)
        except json.JSONDecodeError as error:
            raise ManifestError(path, number, error.lineno, one_line(error.msg)) from None
        except (ValueError, RecursionError) as error:  # a number of thousands of digits; brackets without end
            raise ManifestError(path, number, line, one_line(str(error))) from None
        if "\\u" in text[begin:end] and not _is_unicode(value):
            raise ManifestError(path, number, line, "half a surrogate pair in a string")
        if value is not None:
            yield Document(path, number, line, value, text[begin:end], 1, line - 1)
        line += text.count("\n", begin, end)
        start = end


def _is_unicode(value: object) -> bool:
    """Python's json takes half a surrogate pair for a character; nothing that reads the string later would."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


class _Frame:
    """A collection that is being built."""

    __slots__ = ("anchor", "key", "merged", "value")

    def __init__(self, value: dict[str, object] | list[object], anchor: str | None) -> None:
        self.value = value
        self.anchor = anchor
        self.key: str | None = None  # a mapping: the key whose value is awaited
        self.merged: list[dict[str, object]] = []  # what "<<" named, in order


class _Builder:
    """YAML events of one document -> a value."""

    def __init__(self) -> None:
        self.value: object = None
        self._stack: list[_Frame] = []
        self._anchors: dict[str, object] = {}

    def begin(self, value: dict[str, object] | list[object], anchor: str | None) -> None:
        if len(self._stack) == MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")
        if self._expects_key():
            raise ValueError("a key must be a scalar")
        self._stack.append(_Frame(value, anchor))

    def end(self) -> None:
        frame = self._stack.pop()
        value = frame.value
        if frame.merged and isinstance(value, dict):
            for mapping in frame.merged:
                for key, item in mapping.items():
                    value.setdefault(key, item)
        self._place(value, frame.anchor)

    def scalar(self, text: str, plain: bool, tag: str | None, anchor: str | None) -> None:
        if self._expects_key():
            frame = self._stack[-1]
            if isinstance(frame.value, dict) and text in frame.value:
                raise ValueError(f"the key {text!r} is set twice (is a --- missing?)")
            frame.key = text
            if anchor is not None:
                self._anchors[anchor] = text
            return
        self._place(_resolve(text, plain, tag), anchor)

    def alias(self, anchor: str) -> None:
        if anchor not in self._anchors:
            raise ValueError(f"no such anchor: {anchor}")
        if self._expects_key():
            raise ValueError("a key must be a scalar")
        self._place(self._anchors[anchor], None)

    def _expects_key(self) -> bool:
        return bool(self._stack) and isinstance(self._stack[-1].value, dict) and self._stack[-1].key is None

    def _place(self, value: object, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = value
        if not self._stack:
            self.value = value
            return
        frame = self._stack[-1]
        if isinstance(frame.value, list):
            frame.value.append(value)
            return
        key, frame.key = frame.key or "", None
        if key == "<<":
            for mapping in value if isinstance(value, list) else [value]:
                if not isinstance(mapping, dict):
                    raise ValueError("<< must name mappings")
                frame.merged.append(mapping)
        else:
            frame.value[key] = value


def _resolve(text: str, plain: bool, tag: str | None) -> object:
    if tag in _TEXT_TAGS or (tag is None and not plain):
        return text
    if tag is not None and tag not in _RESOLVED_TAGS:
        raise ValueError(f"tag {tag} is not supported")
    if text[:1] in "0123456789+-." and 0 < len(text) <= _MAX_DIGITS:
        if integer := _INTEGER.fullmatch(text):
            digits = integer[2].replace("_", "")
            base = {"0x": 16, "0b": 2}.get(digits[:2], 8 if digits[0] == "0" else 10)
            return int(integer[1] + digits, base)
        return float(text) if _FLOAT.fullmatch(text) else text
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    return False if text in _FALSE else text


def _events(text: str) -> Iterator[Any]:
    import yaml  # 2 MiB that only manifests need

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.parse(text, Loader=loader)


def _yaml_documents(path: str, text: str) -> Iterator[Document]:
    import yaml

    number, line, at = 1, 1, 1
    builder = _Builder()
    try:
        for event in _events(text):
            at = event.start_mark.line + 1
            if isinstance(event, yaml.ScalarEvent):
                builder.scalar(event.value, event.implicit[0], event.tag, event.anchor)
            elif isinstance(event, yaml.MappingStartEvent):
                builder.begin({}, event.anchor)
            elif isinstance(event, yaml.SequenceStartEvent):
                builder.begin([], event.anchor)
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                builder.end()
            elif isinstance(event, yaml.AliasEvent):
                builder.alias(event.anchor or "")
            elif isinstance(event, yaml.DocumentStartEvent):
                builder, line = _Builder(), at
            elif isinstance(event, yaml.DocumentEndEvent):
                if builder.value is not None:
                    yield Document(path, number, line, builder.value, text, number, 0)
                number += 1
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(filter(None, (error.problem, error.context)))
        last = text.count("\n") + 1  # at the end of a file the parser's mark stands below it
        raise ManifestError(path, number, min(mark.line + 1 if mark else at, last), one_line(problem)) from None
    except yaml.reader.ReaderError as error:
        at_line = text.count("\n", 0, error.position) + 1
        raise ManifestError(path, number, at_line, one_line(str(error.reason))) from None
    except ValueError as error:  # _Builder's
        raise ManifestError(path, number, at, str(error)) from None


def _find_line(text: str, number: int, steps: Sequence[Step]) -> int:
    """Line (from 1) of the field at `steps` in a document of YAML (or JSON) that has been read before."""
    import yaml

    found, current = 1, 0
    here: list[list[Any]] = []  # for each open collection: [is it a mapping, key or index, is that key's value next]

    def reached(line: int) -> None:
        nonlocal found
        if [frame[1] for frame in here] == list(steps[: len(here)]):
            found = line

    def entered(line: int) -> bool:
        """A node begins: count it in its parent. True if it is a key."""
        if not here:
            reached(line)
            return False
        frame = here[-1]
        if frame[0]:
            frame[2] = not frame[2]
            return bool(frame[2])
        frame[1] += 1
        reached(line)
        return False

    try:
        for event in _events(text):
            line = event.start_mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent):
                current += 1
            elif current != number:
                if current > number:
                    break
            elif isinstance(event, yaml.ScalarEvent):
                if entered(line):
                    here[-1][1] = event.value
                    reached(line)
            elif isinstance(event, yaml.AliasEvent):
                entered(line)
            elif isinstance(event, yaml.CollectionStartEvent):
                entered(line)
                mapping = isinstance(event, yaml.MappingStartEvent)
                here.append([mapping, None if mapping else -1, False])
            elif isinstance(event, yaml.CollectionEndEvent):
                here.pop()
    except yaml.YAMLError:  # JSON may hold what YAML does not allow; the line is that of what came before
        return found
    return found
