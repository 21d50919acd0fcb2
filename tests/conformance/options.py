"""A data set's options -> the daemon's configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


class UnknownOptionError(Exception):
    """An option that the daemon has nothing for."""


def settings(options: Mapping[str, Any], variables: Mapping[str, str]) -> list[str]:
    """`--set` arguments that make the daemon the server which the data set describes.

    What a data set does not name is off, as in a CoreDNS with nothing else in its Corefile: no reverse zones, no
    fallthrough, no pod names, no cache.

    Args:
        variables: what stands for $SERVER_IP and $UPSTREAM.
    """
    chosen = {
        "zone.reverse_zones": "[]",
        "zone.fallthrough": "[]",
        "cache.positive_bytes": "0",
        "cache.negative_bytes": "0",
        "cache.failure_bytes": "0",
    }
    for option, value in options.items():
        if option not in _TRANSLATIONS:
            raise UnknownOptionError(f"option {option!r} is not known")
        chosen |= _TRANSLATIONS[option](_fill_in(value, variables))
    return [f"{key}={value}" for key, value in chosen.items()]


def _fill_in(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for name, text in variables.items():
            value = value.replace(f"${name}", text)
    elif isinstance(value, list):
        value = [_fill_in(item, variables) for item in value]
    return value


def _array(value: Any) -> str:
    items = value if isinstance(value, list) else [value]
    return "[" + ", ".join(f'"{item}"' for item in items) + "]"


def _list(key: str) -> Callable[[Any], dict[str, str]]:
    return lambda value: {key: _array(value)}


def _flag(key: str) -> Callable[[Any], dict[str, str]]:
    return lambda value: {key: "true" if value else "false"}


def _text(key: str) -> Callable[[Any], dict[str, str]]:
    return lambda value: {key: f'"{value}"'}


def _selector(key: str) -> Callable[[Any], dict[str, str]]:
    def translate(value: Any) -> dict[str, str]:
        if isinstance(value, dict):
            value = ",".join(f"{label}={wanted}" for label, wanted in value.items())
        elif isinstance(value, list):
            value = ",".join(value)
        return {key: f'"{value}"'}

    return translate


def _fallthrough(value: Any) -> dict[str, str]:
    return {"zone.fallthrough": _array(["."] if value is True else value or [])}


def _forward(value: Any) -> dict[str, str]:
    return {"forward.upstreams": _array(value)} if value else {}


def _cache(value: Any) -> dict[str, str]:
    """A cache of the default size; a number is the most seconds that anything is kept."""
    if value is False:
        return {}
    on = {"cache.positive_bytes": "1000000", "cache.negative_bytes": "1000000", "cache.failure_bytes": "1000000"}
    if value is True or value is None:
        return on
    if isinstance(value, int):
        return on | {"cache.max_ttl": str(value), "cache.max_negative_ttl": str(value)}
    if isinstance(value, dict) and value.keys() <= {"success", "denial", "ttl"}:
        most = value.get("ttl")
        success, denial = value.get("success", most), value.get("denial", most)
        if all(isinstance(ttl, int | None) for ttl in (success, denial)):
            limits = {"cache.max_ttl": success, "cache.max_negative_ttl": denial}
            return on | {key: str(ttl) for key, ttl in limits.items() if ttl is not None}
    raise UnknownOptionError(f"cache: {value!r} is not understood")


_TRANSLATIONS: dict[str, Callable[[Any], dict[str, str]]] = {
    "namespaces": _list("zone.namespaces"),
    "labels": _selector("zone.labels"),
    "namespace_labels": _selector("zone.namespace_labels"),
    "pods": _text("zone.pods"),
    "ttl": lambda value: {"zone.ttl": str(value)},
    "reverse_zones": _list("zone.reverse_zones"),
    "fallthrough": _fallthrough,
    "forward": _forward,
    "cache": _cache,
    "endpoint_pod_names": _flag("zone.endpoint_pod_names"),
    "ignore_empty_service": _flag("zone.ignore_empty_service"),
    "noendpoints": _flag("zone.noendpoints"),
    "own_addresses": _list("zone.own_addresses"),
    "cluster_unreachable": lambda _: {},
}
