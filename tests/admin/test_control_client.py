"""Which daemon a command goes to."""

from __future__ import annotations

from pathlib import Path

import pytest

from hsdnsd.admin import control_client
from hsdnsd.errors import StartError

HEADER = "Num       RefCount Protocol Flags    Type St Inode Path\n"
LINE = "0000000000000000: 00000002 00000000 00010000 0001 01 12345 {}\n"


def test_daemons_are_found_by_their_sockets(tmp_path: Path) -> None:
    table = tmp_path / "unix"
    lines = [LINE.format(path) for path in ("@hsdnsd/127.0.0.1:53", "/run/x.sock", "@hsdnsd/[::1]:53")]
    table.write_text(HEADER + "".join(lines) + LINE.format("").rstrip() + "\n")
    assert control_client.running_daemons(str(table)) == ["127.0.0.1:53", "[::1]:53"]


@pytest.mark.parametrize(
    ("names", "said"),
    [([], "no daemon runs here"), (["127.0.0.1:53", "127.0.0.2:53"], "choose with --daemon: 127.0.0.1:53, 127")],
)
def test_none_or_several_need_a_choice(names: list[str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_client, "running_daemons", lambda: names)
    with pytest.raises(StartError, match=said):
        list(control_client.command(["dump"]))
