from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.records.ordered import OrderedAddresses


def address(number: int) -> bytes:
    return number.to_bytes(4, "big")


@given(
    st.sets(st.integers(0, 60)),
    st.lists(st.integers(0, 60)),
    st.integers(0, 60),
    st.integers(0, 60),
)
def test_it_knows_what_lies_in_a_range(begun: set[int], toggled: list[int], first: int, last: int) -> None:
    held = set(begun)
    ordered = OrderedAddresses(map(address, begun))
    for number in toggled:
        if number in held:
            held.remove(number)
            ordered.discard(address(number))
        else:
            held.add(number)
            ordered.add(address(number))
    expected = any(first <= number <= last for number in held)
    assert ordered.any_within(address(first), address(last)) is expected


def test_chunks_split_and_vanish() -> None:
    ordered = OrderedAddresses(map(address, range(0, 4000, 2)))
    for number in range(1, 4000, 2):
        ordered.add(address(number))
    assert all(ordered.any_within(address(number), address(number)) for number in range(4000))
    for number in range(100, 3900):
        ordered.discard(address(number))
    assert [number for number in range(4000) if ordered.any_within(address(number), address(number))] == [
        *range(100),
        *range(3900, 4000),
    ]
    assert not ordered.any_within(address(100), address(3899))
    assert ordered.any_within(address(100), address(3900))
