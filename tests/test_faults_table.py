"""docs/faults.md: every fault has a test of its number, and every test that it names exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "faults.md"
OF_UPSTREAMS = range(16, 22)
ROW = re.compile(r"^\| F(?P<number>\d+) \| [^|]+ \| [^|]+ \| (?P<tests>[^|]+) \|$", re.MULTILINE)
NUMBERED = re.compile(r"def test((?:_f\d+)+)_")


def rows() -> dict[int, list[str]]:
    """The tests that each row names."""
    return {int(row["number"]): re.findall(r"`([^`]+)`", row["tests"]) for row in ROW.finditer(TABLE.read_text())}


def numbers(name: str) -> set[int]:
    """The faults that a test says it is about: "test_f3_f4_an_outage" is about two."""
    return {int(number) for number in re.findall(r"_f(\d+)", name)}


def test_every_fault_of_the_api_server_has_its_row() -> None:
    found = rows()
    assert set(found) == set(range(1, 26)) - set(OF_UPSTREAMS)
    assert all(found.values())


def test_every_test_that_the_table_names_exists_and_each_row_has_one_of_its_number() -> None:
    for number, tests in rows().items():
        for test in tests:
            path, name = test.split("::")
            assert f"\ndef {name}(" in (ROOT / path).read_text(), test
        assert any(number in numbers(test) for test in tests), f"F{number}"


def test_every_numbered_test_is_of_a_fault_in_the_table() -> None:
    known = set(rows())
    for path in ROOT.glob("tests/**/test_*.py"):
        for match in NUMBERED.finditer(path.read_text()):
            assert numbers(match[1]) <= known, f"{path.name}: {match[0]}"
