from __future__ import annotations

import pytest

from hsdnsd.records.addresses import AddressRange
from hsdnsd.records.held import HeldNamespace, HeldService, HeldSlice
from hsdnsd.records.reverse_index import Holder, ReverseIndex
from tests.support.facts import packed

SERVICE = HeldService(HeldNamespace("shop", configured=True), "web")
ONE, TWO = HeldSlice(SERVICE), HeldSlice(SERVICE)
V4, OTHER, V6 = packed("10.0.0.1"), packed("10.0.0.2"), packed("fd00::1")


def test_an_address_has_any_number_of_holders() -> None:
    index = ReverseIndex()
    assert index.holders(V4) == ()
    for holder in (ONE, SERVICE, TWO):
        index.link([V4], holder)
    assert index.holders(V4) == (ONE, SERVICE, TWO)
    index.unlink([V4], SERVICE)
    assert index.holders(V4) == (ONE, TWO)
    index.unlink([V4], ONE)
    assert index.holders(V4) == (TWO,)
    index.unlink([V4], TWO)
    assert index.holders(V4) == ()


def test_an_address_that_a_holder_names_twice_is_held_once() -> None:
    index = ReverseIndex()
    index.link([V4, V4], ONE)
    index.link([V4, OTHER, V4], TWO)
    assert index.holders(V4) == (ONE, TWO)
    index.unlink([V4], TWO)
    assert index.holders(V4) == (ONE,)


@pytest.mark.parametrize("there", [[], [([OTHER], SERVICE)]], ids=["empty", "held already"])
@pytest.mark.parametrize(
    "links",
    [
        pytest.param([([V4], ONE), ([V6, OTHER], TWO), ([], SERVICE)], id="each address once"),
        pytest.param([([V4, OTHER], ONE), ([V4], TWO), ([V6], TWO)], id="two share one"),
        pytest.param([([V4, V4], ONE), ([V6], TWO)], id="one names it twice"),
    ],
)
def test_all_at_once_is_as_one_by_one(
    there: list[tuple[list[bytes], Holder]], links: list[tuple[list[bytes], Holder]]
) -> None:
    one_by_one, at_once = ReverseIndex(), ReverseIndex()
    for addresses, holder in (*there, *links):
        one_by_one.link(addresses, holder)
    for addresses, holder in there:
        at_once.link(addresses, holder)
    at_once.link_all(links)
    for address in (V4, V6, OTHER):
        assert at_once.holders(address) == one_by_one.holders(address)
    assert at_once.holders(V4)


def test_a_range_is_of_one_family() -> None:
    index = ReverseIndex()
    index.link([V4, V6], ONE)
    assert index.any_within(AddressRange(bytes(4), b"\xff" * 4))
    assert index.any_within(AddressRange(bytes(16), b"\xff" * 16))
    index.unlink([V6], ONE)
    assert index.any_within(AddressRange(bytes(4), b"\xff" * 4))
    assert not index.any_within(AddressRange(bytes(16), b"\xff" * 16))


def test_a_range_is_kept_up_with() -> None:
    index = ReverseIndex()
    below = AddressRange(packed("10.0.0.0"), packed("10.0.0.255"))
    assert not index.any_within(below)
    index.link([V4], ONE)
    index.link([V4, OTHER], TWO)
    index.unlink([V4, OTHER], TWO)
    assert index.any_within(below)
    index.unlink([V4], ONE)
    assert not index.any_within(below)
