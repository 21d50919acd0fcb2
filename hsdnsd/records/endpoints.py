"""The endpoints of one slice, boiled down to what names are made of: a hundred thousand of them have to fit."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Final

import msgspec

from hsdnsd.records.addresses import canonical_text, dashed
from hsdnsd.records.model import EndpointSliceFact, Port
from hsdnsd.wire.const import MAX_LABEL

# One address under the name that it is published with: address, name given to it, text that else makes its name.
Published = tuple[bytes, bytes | None, str | None]


class Endpoints(msgspec.Struct, frozen=True, gc=False):
    """A slice's endpoints, those that are ready first; an endpoint with several addresses stands there several times.

    Attributes:
        ports: the slice's.
        addresses: packed.
        names: for each address its endpoint's name in wire form, spelled as in the slice; None: it is called after
            the address. The whole is None if all are.
        folded: `names` in lower case; None if they are.
        texts: for each IPv6 address called after itself the slice's spelling of it; None if there is none.
        ready: how many of the addresses are ready.
    """

    ports: tuple[Port, ...] = ()
    addresses: tuple[bytes, ...] = ()
    names: tuple[bytes | None, ...] | None = None
    folded: tuple[bytes | None, ...] | None = None
    texts: tuple[str | None, ...] | None = None
    ready: int = 0

    def visible(self, unready: bool) -> int:
        """How many of the addresses, from the first, are published; `unready`: readiness is not looked at."""
        return len(self.addresses) if unready else self.ready

    def published(self, count: int) -> Iterator[Published]:
        """What the first `count` addresses are published as."""
        names = repeat(None) if self.names is None else self.names
        texts = repeat(None) if self.texts is None else self.texts
        return zip(self.addresses[:count], names, texts, strict=False)

    def label(self, place: int) -> bytes:
        """The name of the endpoint at a place in `addresses`, below its Service; in wire form."""
        name = None if self.names is None else self.names[place]
        return name or wire_label(dashed(self._text(place)))

    def named(self, label: bytes, address: bytes | None, count: int, canonical: bool) -> Iterator[int]:
        """The places, among the first `count`, of the endpoints with a name.

        Args:
            label: the name asked for, folded, one label without its length.
            address: what address the label spells, if it does.
            canonical: an endpoint called after its IPv6 address answers to the address's canonical spelling as well as
                to the slice's (H7).
        """
        names = self.names if self.folded is None else self.folded
        if names is not None:
            yield from _places(names, wire_label(label), count)
        if address is None:
            return
        for place in _places(self.addresses, address, count):
            if self.names is not None and self.names[place] is not None:
                continue
            if dashed(self._text(place)).lower() == label or (canonical and dashed(canonical_text(address)) == label):
                yield place

    def pointed_at(self, address: bytes, count: int, canonical: bool) -> Iterator[int]:
        """The places, among the first `count`, of a packed address; `canonical`: in no other spelling (H7)."""
        for place in _places(self.addresses, address, count):
            text = None if self.texts is None else self.texts[place]
            if not canonical or text is None or text == canonical_text(address):
                yield place

    def _text(self, place: int) -> str:
        text = None if self.texts is None else self.texts[place]
        return canonical_text(self.addresses[place]) if text is None else text


_LENGTHS: Final = tuple(bytes((length,)) for length in range(MAX_LABEL + 1))

NO_ENDPOINTS: Final = Endpoints()


def boil_down(fact: EndpointSliceFact, ports: tuple[Port, ...], pod_names: bool, dotted: bool) -> Endpoints:
    """The endpoints of a slice.

    Args:
        ports: the slice's, as an object that may be shared.
        pod_names: an endpoint without hostname is called after its pod.
        dotted: even if the pod's name has dots, and so is a name that nobody can ask for (CoreDNS).
    """
    names: list[bytes | None] = [
        _LENGTHS[len(name)] + name.encode() if 0 < len(name) <= MAX_LABEL and name.isascii() else None
        for name in fact.hostnames
    ]
    if pod_names and fact.pods:
        names = [name or _pod_name(pod, dotted) for name, pod in zip(names or repeat(None), fact.pods, strict=False)]
    given = tuple(names) if any(names) else None
    texts = tuple(map(_own_text, given or repeat(None), fact.texts)) if fact.texts else ()
    return Endpoints(
        ports,
        fact.addresses,
        given,
        None if given is None else _fold(given),
        texts if any(texts) else None,
        fact.ready,
    )


def renamed(old: Endpoints, old_count: int, new: Endpoints, new_count: int) -> set[bytes]:
    """The addresses that are published as something else, or only in one of the two; of each the first `count`."""
    if not (old.names or old.texts or new.names or new.texts):
        return set(old.addresses[:old_count]) ^ set(new.addresses[:new_count])
    return {address for address, _, _ in set(old.published(old_count)) ^ set(new.published(new_count))}


def is_label(text: str) -> bool:
    """Whether an object's name can be a label."""
    return 0 < len(text) <= MAX_LABEL and text.isascii()


def wire_label(label: bytes) -> bytes:
    """A label with its length before it."""
    return _LENGTHS[len(label)] + label


def _own_text(name: bytes | None, text: str) -> str | None:
    """What an address is called after: its text, unless it has a name or the text makes no label."""
    return text if name is None and 0 < len(text) < MAX_LABEL else None


def _pod_name(pod: str, dotted: bool) -> bytes | None:
    if not is_label(pod):
        return None
    if "." not in pod:
        return wire_label(pod.encode())
    labels = pod.encode().split(b".")
    return b"".join(map(wire_label, labels)) if dotted and all(labels) else None


def _fold(names: tuple[bytes | None, ...]) -> tuple[bytes | None, ...] | None:
    """Names in lower case; None where nothing is to be folded."""
    joined = b"".join(filter(None, names))
    return None if joined == joined.lower() else tuple(name and name.lower() for name in names)


def _places(values: tuple[bytes | None, ...], value: bytes, count: int) -> Iterator[int]:
    place = -1
    try:
        while (place := values.index(value, place + 1, count)) >= 0:
            yield place
    except ValueError:
        return
