"""Trees of settings as text: one setting from the command line, the whole as TOML, the page that explains it."""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Mapping
from typing import Any, get_origin

import msgspec

from hsdnsd.schema import Fault, Field, fields, join, number_range, quote, unknown_key


def apply_setting(root: type[msgspec.Struct], given: dict[str, Any], setting: str) -> list[Fault]:
    """Put `KEY=VALUE` into what was given, in place of what is there; returns what is wrong with the key.

    KEY is dotted. VALUE is TOML where the key takes that, else a text as it stands; an array of texts may also be
    written with commas between them. A value of the wrong type is left to `schema.read` to find.
    """
    dotted, equals, text = setting.partition("=")
    parts = _key_parts(dotted)
    if not equals or not parts:
        return [(setting, "expected KEY=VALUE")]
    tree, table, path = root, given, ""
    for depth, name in enumerate(parts, 1):
        field = next((field for field in fields(tree) if field.name == name), None)
        if field is None:
            return [unknown_key(root, tree, path, name)]
        path, rest = join(path, name), parts[depth:]
        if field.key is not None and rest:
            if get_origin(field.type) is not dict:
                return [(setting, f"{path} is no table")]
            # Free keys are names with dots in them: the rest is one key, without quotes too.
            table, name = table.setdefault(name, {}), ".".join(rest)
            value: object = _free_value(field, text)
        elif field.key is not None or not rest:
            value = _value(field, text)
        else:
            tree, table = field.type, table.setdefault(name, {})
            if not isinstance(table, dict):
                break
            continue
        if isinstance(table, dict):
            table[name] = value
        break
    return []


def toml_value(value: object) -> str:
    """A text, number, truth or array of them as TOML writes it."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return quote(value)
        case list() | tuple():
            return f"[{', '.join(map(toml_value, value))}]"
        case _:
            return str(value)


def to_toml(tree: msgspec.Struct, path: str = "") -> str:
    """Every key with its value; reading the text again gives the same tree. Keys that are left out are comments."""
    lines: list[str] = []
    tables: list[str] = []
    for field in fields(type(tree)):
        value = getattr(tree, field.name)
        here = join(path, field.name)
        if field.key is None:
            tables.append(f"\n[{here}]\n{to_toml(value, here)}")
        elif get_origin(field.type) is dict:
            tables.append(f"\n[{here}]\n" + "".join(f"{join('', k)} = {toml_value(v)}\n" for k, v in value.items()))
        elif value is None:
            lines.append(f"# {field.name} is not set\n")
        else:
            lines.append(f"{field.name} = {toml_value(value)}\n")
    return "".join(lines + tables)


def reference(tree: type[msgspec.Struct], path: str = "") -> str:
    """A page in Markdown, a section for each table and key: type, range, default, meaning, reason."""
    keys: list[str] = []
    tables: list[str] = []
    for field in fields(tree):
        here = join(path, field.name)
        if field.key is None:
            tables.append(f"\n## `[{here}]`\n\n{_prose(field.type)}\n{reference(field.type, here)}")
        else:
            keys.append(f"\n### `{here}`\n\n{_kind(field)}; default: {_default(field)}\n\n{field.key.meaning}\n\n")
            keys.append(f"*Why this default:* {field.key.why}.\n")
            keys.append("\n*A change takes effect at the next start.*\n" if field.key.at_start else "")
    return "".join(keys + tables)


def _key_parts(dotted: str) -> list[str]:
    try:
        table: object = tomllib.loads(f"{dotted} = 0")
    except tomllib.TOMLDecodeError:
        return []
    parts = []
    while isinstance(table, Mapping):
        [(name, table)] = table.items()
        parts.append(name)
    return parts


def _value(field: Field, text: str) -> object:
    value = _toml(text)
    if field.type is str or field.choices:
        return value if isinstance(value, str) else text
    return _array(text) if get_origin(field.type) is tuple else value


def _free_value(field: Field, text: str) -> object:
    """The value of one key of a table with free keys."""
    if field.value_type is not str:
        return _array(text)
    value = _toml(text)
    return value if isinstance(value, str) else text


def _array(text: str) -> object:
    value = _toml(text)
    if isinstance(value, list):
        return value
    listed = value if isinstance(value, str) else text
    return [item.strip() for item in listed.split(",")] if listed.strip() else []


def _toml(text: str) -> object:
    try:
        table = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    # A line break in the text may have made it two settings.
    return table["value"] if len(table) == 1 else text


def _kind(field: Field) -> str:
    key = field.key
    form = key.form.name if key and key.form else "a text"
    if field.type is bool:
        return "true or false"
    if field.type in (int, float):
        return number_range(field)
    if field.choices:
        return "one of " + ", ".join(f"`{toml_value(choice)}`" for choice in field.choices)
    if get_origin(field.type) is tuple:
        return f"array, each {form}"
    if get_origin(field.type) is dict:
        name = key.name_form.name if key and key.name_form else "a text"
        value = form if field.value_type is str else f"an array, each {form}"
        return f"table; each key {name}, each value {value}"
    return f'{form}, or ""' if key and key.empty else form


def _default(field: Field) -> str:
    if field.default is None:
        return "not set"
    if isinstance(field.default, Mapping):
        return "`{}`"
    return f"`{toml_value(field.default)}`"


def _prose(tree: type) -> str:
    return " ".join((inspect.getdoc(tree) or "").split())
