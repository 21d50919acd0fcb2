from __future__ import annotations

import dns.name
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hsdnsd.errors import NameTextError
from hsdnsd.wire.name import Name, from_labels, from_text, is_within, labels, to_text
from tests.support.wire_strategies import names


@given(names())
def test_text_and_back(name: Name) -> None:
    assert from_text(to_text(name)) == name


@given(names())
def test_text_is_understood_by_others(name: Name) -> None:
    assert dns.name.from_text(to_text(name)).to_wire() == name


@given(names())
def test_labels_and_back(name: Name) -> None:
    assert from_labels(labels(name)) == name


@given(st.text(alphabet="ab.\\019 ", max_size=20))
def test_any_text_is_read_as_others_read_it(text: str) -> None:
    # dnspython takes no text for the root, and a backslash at the end for nothing.
    assume(text)
    try:
        expected = dns.name.from_text(text).to_wire()
    except dns.exception.DNSException:
        with pytest.raises(NameTextError):
            from_text(text)
    else:
        assert from_text(text) == expected


@given(st.text(max_size=80))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    try:
        name = from_text(text)
    except NameTextError:
        return
    assert from_labels(labels(name)) == name


@given(names(), names())
def test_is_within(name: Name, zone: Name) -> None:
    folded, folded_zone = Name(name.lower()), Name(zone.lower())
    parts, zone_parts = labels(folded), labels(folded_zone)
    expected = not zone_parts or parts[-len(zone_parts) :] == zone_parts
    assert is_within(folded, folded_zone) is expected
    below = labels(folded)[:1] + zone_parts
    assume(sum(len(part) + 1 for part in below) < 255)
    assert is_within(from_labels(below), folded_zone)
