from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.address import Endpoint, is_own, parse_address, parse_endpoint


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:53", "127.0.0.1", 53),
        ("0.0.0.0:0", "0.0.0.0", 0),
        ("[::1]:5353", "::1", 5353),
        ("[2001:DB8:0::1]:65535", "2001:db8::1", 65535),
        ("[fe80::1%lo]:53", "fe80::1%lo", 53),
    ],
)
def test_address_with_port(text: str, host: str, port: int) -> None:
    assert parse_endpoint(text) == Endpoint(host, port)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("10.0.0.10", "10.0.0.10", 53),
        ("10.0.0.10:5353", "10.0.0.10", 5353),
        ("::1", "::1", 53),
        ("[::1]", "::1", 53),
        ("[::1]:5353", "::1", 5353),
        ("2001:db8::53", "2001:db8::53", 53),
    ],
)
def test_a_default_port_is_taken_where_none_is_given(text: str, host: str, port: int) -> None:
    assert parse_endpoint(text, 53) == Endpoint(host, port)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "'' is not a numeric"),
        ("127.0.0.1", "the port is missing"),
        ("::1", r"the port is missing \(\[ADDR\]:PORT\)"),
        ("[::1]", "the port is missing"),
        ("localhost:53", "'localhost' is not a numeric"),
        ("127.0.0.1:", "'' is not a port"),
        ("127.0.0.1:dns", "'dns' is not a port"),
        ("127.0.0.1:65536", "'65536' is not a port"),
        ("127.0.0.1:-1", "'-1' is not a port"),
        ("127.0.0.1:000053", "'000053' is not a port"),
        ("127.0.0.1:٥٣", "is not a port"),
        ("127.0.0.1 :53", "is not a numeric"),
        ("127.1:53", "is not a numeric"),
        ("010.0.0.1:53", "is not a numeric"),
        ("[127.0.0.1]:53", "only an IPv6 address is put in brackets"),
        ("[::1:53", r"is written \[ADDR\]:PORT"),
        ("[::1]53", r"is written \[ADDR\]:PORT"),
        ("127.0.0.1:53:53", "is not a numeric"),
        (":53", "'' is not a numeric"),
    ],
)
def test_what_is_no_address_with_port_says_why(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_endpoint(text)


@given(st.ip_addresses(), st.integers(0, 65535))
def test_an_endpoint_is_read_as_it_is_written(address: object, port: int) -> None:
    endpoint = Endpoint(str(address), port)
    assert parse_endpoint(str(endpoint)) == endpoint


@given(st.text())
def test_whatever_the_text_only_value_error_comes_of_it(text: str) -> None:
    try:
        endpoint = parse_endpoint(text, 53)
    except ValueError:
        return
    assert parse_address(endpoint.host)
    assert 0 <= endpoint.port <= 65535


@pytest.mark.parametrize(
    ("upstream", "listen", "own"),
    [
        ("127.0.0.1:53", "127.0.0.1:53", True),
        ("127.0.0.1:53", "127.0.0.1:5353", False),
        ("127.0.0.2:53", "127.0.0.1:53", False),
        ("[::1]:53", "[0:0::1]:53", True),
        ("[::ffff:127.0.0.1]:53", "127.0.0.1:53", True),
        ("127.0.0.53:53", "0.0.0.0:53", True),
        ("127.0.0.53:53", "[::]:53", False),
        ("[::1]:53", "[::]:53", True),
        ("10.0.0.10:53", "0.0.0.0:53", False),
    ],
)
def test_own_address(upstream: str, listen: str, own: bool) -> None:
    assert is_own(parse_endpoint(upstream), parse_endpoint(listen)) is own
