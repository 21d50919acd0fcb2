"""A file is read again when it looks other than it did, and only then told as changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hsdnsd.net.watched_file import MAX_BYTES, WatchedFile

OLD = 1_600_000_000


def write(path: Path, text: str, when: int = OLD) -> None:
    """A change that was made `when`, long before it is looked at."""
    path.write_text(text)
    os.utime(path, (when, when))


def test_it_is_told_once_and_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    write(path, "a")
    file = WatchedFile(str(path))
    assert [file.read_if_changed() for _ in range(2)] == [b"a", None]
    write(path, "b", OLD + 1)
    assert [file.read_if_changed() for _ in range(2)] == [b"b", None]
    write(path, "bc", OLD + 1)
    assert file.read_if_changed() == b"bc"


def test_what_looks_the_same_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    write(path, "a")
    file = WatchedFile(str(path))
    assert file.read_if_changed() == b"a"
    write(path, "b")
    assert file.read_if_changed() is None


def test_what_was_written_just_now_is_read_again_even_if_it_looks_the_same(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    write(path, "a")
    now = [OLD * 10**9 + 20_000_000]
    file = WatchedFile(str(path), clock=lambda: now[0])
    assert file.read_if_changed() == b"a"
    write(path, "b")
    assert file.read_if_changed() == b"b"
    now[0] += 10**9
    assert file.read_if_changed() is None
    write(path, "c")
    assert file.read_if_changed() is None


def test_the_same_content_in_another_file_is_no_change(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    write(path, "a")
    file = WatchedFile(str(path))
    assert file.read_if_changed() == b"a"
    write(tmp_path / "new", "a", OLD + 5)
    (tmp_path / "new").replace(path)
    assert file.read_if_changed() is None


def test_a_link_that_is_turned_is_a_change(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "hosts", name)
    (tmp_path / "data").symlink_to("first")
    file = WatchedFile(str(tmp_path / "data" / "hosts"))
    assert file.read_if_changed() == b"first"
    (tmp_path / "new").symlink_to("second")
    (tmp_path / "new").replace(tmp_path / "data")
    assert file.read_if_changed() == b"second"


def test_a_file_that_goes_and_comes_back_as_it_was_is_no_change(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    file = WatchedFile(str(path))
    with pytest.raises(FileNotFoundError):
        file.read_if_changed()
    write(path, "a")
    assert file.read_if_changed() == b"a"
    path.unlink()
    with pytest.raises(FileNotFoundError):
        file.read_if_changed()
    write(path, "a", OLD + 1)
    assert file.read_if_changed() is None


def test_what_is_no_file_or_too_large_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(OSError, match="not a regular file"):
            WatchedFile(str(path)).read_if_changed()
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(OSError, match="larger than"):
        WatchedFile(str(large)).read_if_changed()
    with large.open("wb") as file:
        file.truncate(MAX_BYTES)
    assert WatchedFile(str(large)).read_if_changed() == bytes(MAX_BYTES)
