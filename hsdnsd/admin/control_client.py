"""The other side of `hsdnsd.admin.control`: gives a command to a running daemon."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

from hsdnsd.admin.control import PREFIX
from hsdnsd.errors import StartError

_TIMEOUT = 10.0


def running_daemons(table: str = "/proc/net/unix") -> list[str]:
    """Names under which daemons of this network namespace take commands."""
    lines = Path(table).read_text(encoding="utf-8", errors="replace").splitlines()[1:]
    paths = (line.split(None, 7)[-1] for line in lines)
    shown = PREFIX.replace("\0", "@")
    return sorted({path.removeprefix(shown) for path in paths if path.startswith(shown)})


def command(words: list[str], name: str | None = None) -> Iterator[str]:
    """Give a command, and yield the lines of the answer.

    Args:
        name: the daemon's first listening address; None: the only one that runs here.

    Raises:
        StartError: there is no such daemon, or none, or more than one; or it says that the command can't be done.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock, sock.makefile("r", encoding="utf-8") as lines:
        sock.settimeout(_TIMEOUT)
        try:
            sock.connect(PREFIX + (name or _only_one()))
            sock.sendall(" ".join(words).encode() + b"\n")
            first = next(lines, "").rstrip("\n")
            if first != "ok":
                raise StartError(first.removeprefix("error: ") or "the daemon did not answer (another user's?)")
            for line in lines:
                yield line.rstrip("\n")
        except OSError as error:
            raise StartError(f"no daemon takes commands as {name}: {error.strerror or error}") from None


def _only_one() -> str:
    names = running_daemons()
    if not names:
        raise StartError("no daemon runs here")
    if len(names) > 1:
        raise StartError(f"more than one daemon runs here; choose with --daemon: {', '.join(names)}")
    return names[0]
