"""The limits of the protocol hold together."""

from __future__ import annotations

import dns.rcode
import dns.rdatatype
import pytest

from hsdnsd.wire import const
from hsdnsd.wire.const import Rcode, RRType


@pytest.mark.parametrize("rtype", [rtype for rtype in RRType if rtype is not RRType.NXNAME])
def test_types_have_their_registered_numbers(rtype: RRType) -> None:
    assert dns.rdatatype.from_text(rtype.name) == rtype


@pytest.mark.parametrize("rcode", Rcode)
def test_rcodes_have_their_registered_numbers(rcode: Rcode) -> None:
    # 16 is BADVERS and BADSIG both (RFC 6895 section 2.3); dnspython knows it by the first.
    assert dns.rcode.from_text(rcode.name) == rcode


def test_sizes_are_in_order() -> None:
    assert const.PLAIN_UDP_SIZE < const.EDNS_UDP_SIZE < const.MAX_UDP_QUERY < const.MAX_MESSAGE


def test_an_error_always_fits_without_edns() -> None:
    longest_question = const.MAX_NAME + 4
    opt_with_options = 11 + 6 + 6
    assert const.HEADER_SIZE + longest_question + opt_with_options <= const.PLAIN_UDP_SIZE
