from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest

from hsdnsd.schema import Form, Key, fields, join, number_range, read


def _even(text: str) -> None:
    if len(text) % 2:
        raise ValueError("its length is odd")


EVEN = Form("an even text", _even)


class Inner(msgspec.Struct, frozen=True):
    """A table."""

    count: Annotated[int, Key("How many.", why="few", low=1, high=10)] = 2
    share: Annotated[float, Key("How much.", why="half", unit="parts", low=0, high=1)] = 0.5
    limit: Annotated[int | None, Key("At most.", why="none", low=0, high=9)] = None


class Root(msgspec.Struct, frozen=True):
    text: Annotated[str, Key("A text.", why="none", form=EVEN, empty=True)] = ""
    texts: Annotated[tuple[str, ...], Key("Texts.", why="none", form=EVEN)] = ("ab",)
    free: Annotated[dict[str, tuple[str, ...]], Key("Free.", why="none", form=EVEN, name_form=EVEN)] = {}
    names: Annotated[dict[str, str], Key("Names.", why="none", form=EVEN, name_form=EVEN)] = {}
    switch: Annotated[bool, Key("A switch.", why="off")] = False
    choice: Annotated[Literal["", "one"], Key("A choice.", why="none")] = ""
    inner: Inner = Inner()


def faults(given: dict[str, Any]) -> list[tuple[str, str]]:
    return read(Root, given)[1]


def test_nothing_given_is_all_defaults() -> None:
    assert read(Root, {}) == (Root(), [])


def test_everything_given() -> None:
    given = {
        "text": "four",
        "texts": ["", "four"][1:],
        "free": {"ab": ["cd", "ef"], "gh": []},
        "names": {"ab": "cd"},
        "switch": True,
        "choice": "one",
        "inner": {"count": 10, "share": 1, "limit": 0},
    }
    tree, found = read(Root, given)
    assert found == []
    assert tree == Root("four", ("four",), {"ab": ("cd", "ef"), "gh": ()}, {"ab": "cd"}, True, "one", Inner(10, 1.0, 0))
    assert isinstance(tree.inner.share, float)


@pytest.mark.parametrize(
    ("given", "path", "problem"),
    [
        ({"text": 5}, "text", "expected an even text, got 5"),
        ({"text": "odd"}, "text", '"odd" is not an even text: its length is odd'),
        ({"texts": "ab"}, "texts", 'expected an array, each an even text, got "ab"'),
        ({"texts": ["ab", 5]}, "texts[1]", "expected an even text, got 5"),
        ({"texts": ["a", "ab"]}, "texts[0]", '"a" is not an even text: its length is odd'),
        ({"free": []}, "free", "expected a table, got an array"),
        ({"free": {"ab": "cd"}}, "free.ab", 'expected an array, each an even text, got "cd"'),
        ({"free": {"ab": ["c"]}}, "free.ab[0]", '"c" is not an even text: its length is odd'),
        ({"free": {"a.b": []}}, 'free."a.b"', '"a.b" is not an even text: its length is odd'),
        (
            {"free": {"ab": {"cd": []}}},
            "free.ab",
            "expected an array, got a table; a name with dots in it needs quotes",
        ),
        ({"names": []}, "names", "expected a table, got an array"),
        ({"names": {"ab": ["cd"]}}, "names.ab", "expected an even text, got an array"),
        ({"names": {"ab": "c"}}, "names.ab", '"c" is not an even text: its length is odd'),
        (
            {"names": {"ab": {"cd": "ef"}}},
            "names.ab",
            "expected a text, got a table; a name with dots in it needs quotes",
        ),
        ({"switch": 1}, "switch", "expected true or false, got 1"),
        ({"switch": "true"}, "switch", 'expected true or false, got "true"'),
        ({"choice": "two"}, "choice", '"two" is not one of "", one'),
        ({"choice": 1}, "choice", '1 is not one of "", one'),
        ({"inner": 5}, "inner", "expected a table, got 5"),
        ({"inner": {"count": 0}}, "inner.count", "expected a whole number from 1 to 10, got 0"),
        ({"inner": {"count": 11}}, "inner.count", "expected a whole number from 1 to 10, got 11"),
        ({"inner": {"count": 2.0}}, "inner.count", "expected a whole number from 1 to 10, got 2.0"),
        ({"inner": {"count": True}}, "inner.count", "expected a whole number from 1 to 10, got true"),
        ({"inner": {"count": "2"}}, "inner.count", 'expected a whole number from 1 to 10, got "2"'),
        ({"inner": {"share": 1.5}}, "inner.share", "expected a number from 0 to 1 (parts), got 1.5"),
        ({"inner": {"share": float("nan")}}, "inner.share", "expected a number from 0 to 1 (parts), got nan"),
        ({"inner": {"share": float("inf")}}, "inner.share", "expected a number from 0 to 1 (parts), got inf"),
        ({"inner": {"share": {}}}, "inner.share", "expected a number from 0 to 1 (parts), got a table"),
        ({"inner": {"limit": -1}}, "inner.limit", "expected a whole number from 0 to 9, got -1"),
        ({"txet": ""}, "txet", "unknown key; did you mean text?"),
        ({"inner": {"cuont": 1}}, "inner.cuont", "unknown key; did you mean inner.count?"),
        ({"share": 1}, "share", "unknown key; did you mean inner.share?"),
        ({"inner": {"xyz": 1}}, "inner.xyz", "unknown key; known here: count, share, limit"),
        ({"in\nner": 1}, '"in\\nner"', "unknown key; did you mean inner?"),
    ],
)
def test_faults(given: dict[str, Any], path: str, problem: str) -> None:
    assert faults(given) == [(path, problem)]


def test_every_fault_is_found_at_once() -> None:
    given = {"text": 5, "texts": ["a", 1], "nope": 1, "inner": {"count": 0, "share": 2}}
    assert [path for path, _ in faults(given)] == ["text", "texts[0]", "texts[1]", "nope", "inner.count", "inner.share"]


def test_a_tree_with_faults_still_holds_the_right_types() -> None:
    tree, _ = read(
        Root, {"text": 5, "texts": ["odd", 5], "switch": 3, "choice": 0, "inner": 7, "free": 8, "names": {"ab": 9}}
    )
    assert tree == Root("", ("odd", ""), {}, {"ab": ""}, False, "", Inner())


def test_a_long_wrong_value_is_cut() -> None:
    [(_, problem)] = faults({"text": "x" * 99_999})
    assert len(problem) < 200


def test_paths_are_quoted_where_toml_would() -> None:
    assert join("", "a-b_1") == "a-b_1"
    assert join("a", "b.c") == 'a."b.c"'
    assert join("a", "") == 'a.""'


def test_a_number_without_a_range_cannot_be_declared() -> None:
    class NoRange(msgspec.Struct):
        count: Annotated[int, Key("How many.", why="")] = 0

    class NoForm(msgspec.Struct):
        text: Annotated[str, Key("A text.", why="")] = ""

    class NoKey(msgspec.Struct):
        switch: bool = False

    with pytest.raises(TypeError, match=r"NoRange\.count is a number without a range"):
        list(fields(NoRange))
    with pytest.raises(TypeError, match=r"NoForm\.text is a text without a form"):
        list(fields(NoForm))
    with pytest.raises(TypeError, match=r"NoKey\.switch has no Key"):
        list(fields(NoKey))


def test_a_range_in_words() -> None:
    count, share, _ = fields(Inner)
    assert number_range(count) == "a whole number from 1 to 10"
    assert number_range(share) == "a number from 0 to 1 (parts)"
