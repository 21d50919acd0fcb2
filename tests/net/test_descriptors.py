from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from hsdnsd.net.descriptors import SPARE, for_upstreams, raise_limit


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    """The limits of this process, which are as they were afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_soft_limit_is_raised_as_far_as_it_may_be(limits: tuple[int, int]) -> None:
    _, hard = limits
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    assert raise_limit(300) == 300
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (300, hard)


def test_it_is_never_lowered(limits: tuple[int, int]) -> None:
    _, hard = limits
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, hard))
    assert raise_limit(300) == 400
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (400, hard)


def test_no_further_than_the_hard_limit(limits: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 200))
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: asked.append(both))
    assert raise_limit(300) == 200
    assert asked == [(200, 200)]


@pytest.mark.parametrize(
    ("limit", "connections", "in_flight", "sockets"),
    [
        (16384, 1024, 4096, 8192),  # two for each question
        (4096, 1024, 4096, 4096 - 1024 - SPARE),  # what the clients leave
        (1024, 1024, 4096, (1024 - SPARE) // 2),  # half and half
        (32, 1024, 4096, 1),
        (16384, 1024, 1, 2),
    ],
)
def test_what_there_is_for_upstreams(limit: int, connections: int, in_flight: int, sockets: int) -> None:
    assert for_upstreams(limit, connections, in_flight) == sockets
