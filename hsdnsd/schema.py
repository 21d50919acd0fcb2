"""Frozen trees of settings, described where they are declared and read with every fault reported at once.

A tree is a msgspec Struct whose fields are tables (Structs again) or keys. A key's annotation carries a `Key`: what it
means, why its default is what it is, its unit, and what values are right. Knows nothing of what is being set.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, get_args, get_origin

import msgspec

Fault = tuple[str, str]
"""(dotted path of the key, what is wrong with it)"""

T = TypeVar("T", bound=msgspec.Struct)

_BARE = re.compile(r"[A-Za-z0-9_-]+")  # a key that TOML takes without quotes
_SPECIAL = re.compile(r'[\x00-\x1f"\\\x7f]')
_ESCAPES = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
_SHOWN = 60  # characters of a wrong value that are repeated to the person who wrote it


class Form(NamedTuple):
    """What a text has to be.

    Attributes:
        name: with its article, as in "expected a domain name".
        parse: raises ValueError, saying what is wrong with the text.
    """

    name: str
    parse: Callable[[str], object]


class Key(msgspec.Struct, frozen=True):
    """What there is to know of one key, beside its type and default.

    Attributes:
        meaning: one or two sentences for the person who sets it.
        why: the reason for the default.
        unit: of a number; "" for a plain count.
        low, high: the least and greatest number that is right.
        form: what a text, or each text of an array, or each text in a table or in its arrays, has to be.
        name_form: what the keys of a table with free keys have to be.
        empty: whether "" is right besides.
        at_start: a change takes effect when the program is started again, and not before.
    """

    meaning: str
    why: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    form: Form | None = None
    name_form: Form | None = None
    empty: bool = False
    at_start: bool = False


class Field(NamedTuple):
    """One field of a tree: a table, or a key.

    Attributes:
        type: the plain type; without None if None (the key is left out) is allowed.
        key: None for a table.
    """

    name: str
    type: Any
    default: Any
    key: Key | None

    @property
    def choices(self) -> tuple[str, ...]:
        """The texts that are right, if they are a fixed list."""
        return get_args(self.type) if get_origin(self.type) is Literal else ()

    @property
    def value_type(self) -> Any:
        """What the values of a table with free keys are: a text each, or an array of texts."""
        return get_args(self.type)[1]


def fields(tree: type[msgspec.Struct]) -> Iterator[Field]:
    """The fields of one table in the order of their declaration.

    Raises:
        TypeError: a key is not described, a number has no range, or a text no form: a mistake in the declaration.
    """
    for info in msgspec.structs.fields(tree):
        default = info.default if info.default is not msgspec.NODEFAULT else info.default_factory()
        if isinstance(info.type, type) and issubclass(info.type, msgspec.Struct):
            yield Field(info.name, info.type, default, None)
            continue
        plain, *notes = get_args(info.type) if get_origin(info.type) is Annotated else (info.type,)
        key = next((note for note in notes if isinstance(note, Key)), None)
        if isinstance(plain, UnionType):
            [plain] = [option for option in get_args(plain) if option is not NoneType]
        field = Field(info.name, plain, default, key)
        _demand_description(tree, field, key)
        yield field


def read(tree: type[T], given: Mapping[str, object]) -> tuple[T, list[Fault]]:
    """The tree with these values, and every fault in them.

    Where there is a fault the tree holds something of the right type (the default, or the text as it was given), so
    that what depends on other keys can still be looked at.
    """
    reader = _Reader(tree)
    return reader.table(tree, given, ""), reader.faults


def join(path: str, name: str) -> str:
    """The dotted path of a key in a table, quoted as TOML does where it has to be."""
    bare = name if _BARE.fullmatch(name) else quote(name)
    return f"{path}.{bare}" if path else bare


def quote(text: str) -> str:
    """A text as TOML writes it."""
    return f'"{_SPECIAL.sub(_escape, text)}"'


def unknown_key(root: type[msgspec.Struct], tree: type[msgspec.Struct], table: str, name: str) -> Fault:
    """The fault of a key that the tree at path `table` does not have, with the key that was probably meant."""
    import difflib  # only who has mistyped something pays for it

    known = [field.name for field in fields(tree)]
    near = difflib.get_close_matches(name, known, 1)
    meant = join(table, near[0]) if near else _elsewhere(root, name)
    problem = f"unknown key; did you mean {meant}?" if meant else f"unknown key; known here: {', '.join(known)}"
    return join(table, name), problem


class _Reader:
    def __init__(self, root: type[msgspec.Struct]) -> None:
        self.root = root
        self.faults: list[Fault] = []

    def table(self, tree: type[T], given: object, path: str) -> T:
        if not isinstance(given, Mapping):
            self._expected(path, "a table", given)
            return tree()
        known = {field.name: field for field in fields(tree)}
        values: dict[str, Any] = {}
        for name, value in given.items():
            here = join(path, name)
            field = known.get(name)
            if field is None:
                self.faults.append(unknown_key(self.root, tree, path, name))
            elif field.key is None:
                values[name] = self.table(field.type, value, here)
            else:
                values[name] = self._value(field, field.key, value, here)
        return tree(**values)

    def _value(self, field: Field, key: Key, value: object, path: str) -> object:
        if field.type is bool:
            return value if isinstance(value, bool) else self._wrong(field, path, "true or false", value)
        if field.type in (int, float):
            return self._number(field, key, value, path)
        if field.choices:
            if value in field.choices:
                return value
            listed = ", ".join(choice or '""' for choice in field.choices)
            self.faults.append((path, f"{show(value)} is not one of {listed}"))
            return field.default
        if field.type is str:
            return self._text(key, value, path)
        if get_origin(field.type) is tuple:
            return self._texts(key, value, path)
        return self._free_table(field, key, value, path)

    def _number(self, field: Field, key: Key, value: object, path: str) -> object:
        right = isinstance(value, int) if field.type is int else isinstance(value, (int, float))
        # bool is an int in Python, and not in TOML; TOML has inf and nan.
        if not right or isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            return self._wrong(field, path, number_range(field), value)
        if (key.low is not None and value < key.low) or (key.high is not None and value > key.high):
            return self._wrong(field, path, number_range(field), value)
        return value if field.type is int else float(value)

    def _text(self, key: Key, value: object, path: str, *, empty: bool | None = None) -> str:
        form = key.form
        if not isinstance(value, str):
            self._expected(path, form.name if form else "a text", value)
            return ""
        if form is not None and not (value == "" and (key.empty if empty is None else empty)):
            self._try(form, value, path)
        return value

    def _texts(self, key: Key, value: object, path: str) -> tuple[str, ...]:
        if not isinstance(value, (list, tuple)):
            self._expected(path, f"an array, each {key.form.name if key.form else 'a text'}", value)
            return ()
        return tuple(self._text(key, item, f"{path}[{index}]", empty=False) for index, item in enumerate(value))

    def _free_table(self, field: Field, key: Key, value: object, path: str) -> dict[str, object]:
        if not isinstance(value, Mapping):
            self._expected(path, "a table", value)
            return {}
        arrays = field.value_type is not str
        result: dict[str, object] = {}
        for name, items in value.items():
            here = join(path, name)
            if key.name_form is not None:
                self._try(key.name_form, name, here)
            if isinstance(items, Mapping):
                expected = "an array" if arrays else "a text"
                self.faults.append((here, f"expected {expected}, got a table; a name with dots in it needs quotes"))
            else:
                result[name] = self._texts(key, items, here) if arrays else self._text(key, items, here)
        return result

    def _try(self, form: Form, value: str, path: str) -> None:
        try:
            form.parse(value)
        except ValueError as error:
            self.faults.append((path, f"{show(value)} is not {form.name}: {error}"))

    def _expected(self, path: str, expected: str, value: object) -> None:
        self.faults.append((path, f"expected {expected}, got {show(value)}"))

    def _wrong(self, field: Field, path: str, expected: str, value: object) -> object:
        self._expected(path, expected, value)
        return field.default


def number_range(field: Field) -> str:
    """What a number has to be, in words: "a whole number from 0 to 3600 (seconds)"."""
    key = field.key
    if key is None or key.low is None or key.high is None:
        raise TypeError(f"{field.name} is not a number with a range")
    kind = "a whole number" if field.type is int else "a number"
    return f"{kind} from {key.low:.15g} to {key.high:.15g}" + (f" ({key.unit})" if key.unit else "")


def _demand_description(tree: type, field: Field, key: Key | None) -> None:
    where = f"{tree.__name__}.{field.name}"
    if key is None:
        raise TypeError(f"{where} has no Key in its annotation")
    if field.type in (int, float) and (key.low is None or key.high is None):
        raise TypeError(f"{where} is a number without a range")
    if field.type not in (bool, int, float) and not field.choices and key.form is None:
        raise TypeError(f"{where} is a text without a form")


def _escape(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[0]) or f"\\u{ord(match[0]):04x}"


def _elsewhere(root: type[msgspec.Struct], name: str, path: str = "") -> str:
    for field in fields(root):
        here = join(path, field.name)
        if field.key is None and (found := _elsewhere(field.type, name, here)):
            return found
        if path and field.name == name:
            return here
    return ""


def show(value: object) -> str:
    """A wrong value as it is repeated to the person who wrote it: short, in one line, as TOML writes it."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            text = quote(value)
            return text if len(text) <= _SHOWN else f'{text[:_SHOWN]}..."'
        case int() | float():
            return str(value)
        case list() | tuple():
            return "an array"
        case Mapping():
            return "a table"
        case _:
            return f"a {type(value).__name__}"
