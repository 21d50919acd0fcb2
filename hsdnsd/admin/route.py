"""What a path of the HTTP server is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple


class Response(NamedTuple):
    """What a path gives."""

    status: int
    content_type: str
    body: bytes


# A route is given the header fields of the request, names in lower case.
Route = Callable[[Mapping[str, str]], Response]
