"""hsdnsd.kube.files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hsdnsd.kube import files
from hsdnsd.kube.files import look


def names(folder: Path, *paths: Path) -> list[str]:
    return [str(file.relative_to(folder)) for file in look(map(str, paths)).files]


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def signature(path: Path) -> object:
    return look([str(path)]).signature


def test_which_files_of_a_directory_are_manifests(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "c.json", "sub/d.yaml", "sub/deep/e.yml"):
        write(tmp_path / name)
    for name in ("f.txt", "g.yaml~", ".h.yaml", ".git/i.yaml", "..data/j.yaml", "yaml"):
        write(tmp_path / name)
    assert names(tmp_path, tmp_path) == ["a.yml", "b.yaml", "c.json", "sub/d.yaml", "sub/deep/e.yml"]


def test_a_file_that_is_named_counts_whatever_it_is_called(tmp_path: Path) -> None:
    file = write(tmp_path / ".hidden")
    assert names(tmp_path, file) == [".hidden"]


def test_paths_are_read_in_the_order_given(tmp_path: Path) -> None:
    last, first = write(tmp_path / "a.yaml"), write(tmp_path / "z" / "b.yaml")
    assert names(tmp_path, first.parent, last) == ["z/b.yaml", "a.yaml"]


def test_an_empty_directory_is_no_fault(tmp_path: Path) -> None:
    assert look([str(tmp_path)]).files == ()


def test_a_directory_that_links_to_itself_is_read_once(tmp_path: Path) -> None:
    write(tmp_path / "sub" / "a.yaml")
    (tmp_path / "sub" / "loop").symlink_to(tmp_path)
    assert names(tmp_path, tmp_path) == ["sub/a.yaml"]


def test_the_signature_stays_while_nothing_changes(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "x")
    assert signature(tmp_path) == signature(tmp_path)


@pytest.mark.parametrize("change", ["written", "replaced", "added", "removed", "renamed", "touched"])
def test_the_signature_shows_every_change(tmp_path: Path, change: str) -> None:
    file = write(tmp_path / "a.yaml", "x")
    before = signature(tmp_path)
    if change == "written":
        file.write_text("xy")
    elif change == "replaced":
        status = file.stat()
        other = write(tmp_path / "new", "y")
        os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
        other.rename(file)
    elif change == "added":
        write(tmp_path / "b.yaml")
    elif change == "removed":
        file.unlink()
    elif change == "renamed":
        file.rename(tmp_path / "b.yaml")
    else:
        os.utime(file, ns=(1, 1))
    assert signature(tmp_path) != before


def test_the_signature_shows_a_config_map_s_turn(tmp_path: Path) -> None:
    """kubelet writes the new files aside and turns one link; the names that are read stay."""
    write(tmp_path / "..1" / "a.yaml", "x")
    write(tmp_path / "..2" / "a.yaml", "x")
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    before = signature(tmp_path)
    assert names(tmp_path, tmp_path) == ["a.yaml"]
    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")
    assert names(tmp_path, tmp_path) == ["a.yaml"]
    assert signature(tmp_path) != before


def test_a_change_as_young_as_the_clock_s_tick_is_not_settled(tmp_path: Path) -> None:
    file = write(tmp_path / "a.yaml")
    assert not look([str(tmp_path)]).settled
    os.utime(file, ns=(1, 1))
    assert look([str(tmp_path)]).settled
    future = file.stat().st_ctime_ns + 3600 * 10**9
    os.utime(file, ns=(future, future))
    assert look([str(tmp_path)]).settled, "a clock that was set back must not make every look a reading"


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        look([str(tmp_path / "missing")])


def test_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("gone")
    with pytest.raises(FileNotFoundError, match=r"a\.yaml"):
        look([str(tmp_path)])


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    with pytest.raises(OSError, match="not a regular file"):
        look([str(tmp_path)])


def test_a_file_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 3)
    write(tmp_path / "a.yaml", "xyz")
    assert names(tmp_path, tmp_path) == ["a.yaml"]
    write(tmp_path / "b.yaml", "wxyz")
    with pytest.raises(OSError, match="larger than 3 octets"):
        look([str(tmp_path)])


def test_a_tree_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_ENTRIES", 4)
    for name in ("a.yaml", "sub/b.yaml", "sub/c.txt"):
        write(tmp_path / name)
    assert names(tmp_path, tmp_path) == ["a.yaml", "sub/b.yaml"]
    write(tmp_path / "sub" / "d.yaml")
    with pytest.raises(OSError, match="more than 4 files"):
        look([str(tmp_path)])
