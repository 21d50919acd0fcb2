from __future__ import annotations

import typing

import pytest

from hsdnsd.records.model import KIND_OF, EndpointSliceFact, Fact, Key, Kind, NamespaceFact, PodFact, ServiceFact


def test_every_fact_has_its_kind() -> None:
    assert set(KIND_OF) == set(typing.get_args(Fact))
    assert set(KIND_OF.values()) == set(Kind)


@pytest.mark.parametrize(
    ("fact", "key"),
    [
        (ServiceFact("shop", "web"), Key("shop", "web")),
        (EndpointSliceFact("shop", "web-1", "web"), Key("shop", "web-1")),
        (NamespaceFact("shop"), Key("", "shop")),
        (PodFact("shop", "web-0"), Key("shop", "web-0")),
    ],
)
def test_facts_are_values_with_a_key(fact: Fact, key: Key) -> None:
    assert fact.key == key
    assert fact == type(fact)(**{name: getattr(fact, name) for name in fact.__struct_fields__})
    assert hash(fact) == hash(type(fact)(**{name: getattr(fact, name) for name in fact.__struct_fields__}))
    with pytest.raises(AttributeError):
        fact.name = "other"  # type: ignore[misc]
