"""How many descriptors there are, and what part of them is for upstreams."""

from __future__ import annotations

import resource

# Enough for everything that can be configured by default; select(2), for which more would be harmful, is not used.
WANTED = 16 << 10
# For watches, listening sockets, files, and whatever a library opens.
SPARE = 64


def raise_limit(wanted: int = WANTED) -> int:
    """Allow this process as many descriptors as are wanted and as it may have; returns how many that are.

    The soft limit is 1,024 in most places, for the sake of select(2); the hard limit is what is meant.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < target:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
        return target
    return WANTED if soft == resource.RLIM_INFINITY else soft


def for_upstreams(limit: int, max_connections: int, max_in_flight: int) -> int:
    """Sockets to upstreams that there is room for beside all connections of clients, at most two for each question.

    Where descriptors are scarce, clients and upstreams share them: a client that finds no place is told so, and tries
    again; a question that can't be asked is not answered.
    """
    left = max(limit - SPARE - max_connections, (limit - SPARE) // 2, 1)
    return min(left, 2 * max_in_flight)
