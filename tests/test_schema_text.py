from __future__ import annotations

import tomllib
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.schema import Form, Key, read
from hsdnsd.schema_text import apply_setting, reference, to_toml, toml_value

ANY = Form("a text", str)


class Inner(msgspec.Struct, frozen=True):
    """What is inside, over
    two lines."""

    name: Annotated[str, Key("Its name.", why="short", form=ANY)] = "inner"
    count: Annotated[int, Key("How many.", why="few", low=0, high=10)] = 2
    limit: Annotated[int | None, Key("At most.", why="none", low=0, high=9)] = None
    free: Annotated[dict[str, tuple[str, ...]], Key("Free.", why="none", form=ANY, name_form=ANY)] = {}
    names: Annotated[dict[str, str], Key("Names.", why="none", form=ANY, name_form=ANY)] = {}


class Root(msgspec.Struct, frozen=True):
    texts: Annotated[tuple[str, ...], Key("Texts.", why="none", form=ANY)] = ("a",)
    switch: Annotated[bool, Key("A switch.", why="off", at_start=True)] = False
    inner: Inner = Inner()


def applied(*settings: str, given: dict[str, Any] | None = None) -> dict[str, Any]:
    table = given if given is not None else {}
    for setting in settings:
        assert apply_setting(Root, table, setting) == []
    return table


@pytest.mark.parametrize(
    ("setting", "given"),
    [
        ("switch=true", {"switch": True}),
        ("switch=yes", {"switch": "yes"}),
        ("inner.count=5", {"inner": {"count": 5}}),
        ("inner.count=5s", {"inner": {"count": "5s"}}),
        ("inner.count=", {"inner": {"count": ""}}),
        ("inner.name=shop", {"inner": {"name": "shop"}}),
        ("inner.name=5", {"inner": {"name": "5"}}),
        ("inner.name=true", {"inner": {"name": "true"}}),
        ("inner.name=", {"inner": {"name": ""}}),
        ("inner.name=app=web,tier", {"inner": {"name": "app=web,tier"}}),
        ('inner.name="a\\tb"', {"inner": {"name": "a\tb"}}),
        ("inner.name=1\ncount=9", {"inner": {"name": "1\ncount=9"}}),
        ("texts=a,b", {"texts": ["a", "b"]}),
        ("texts=a, b", {"texts": ["a", "b"]}),
        ("texts=a", {"texts": ["a"]}),
        ("texts=5", {"texts": ["5"]}),
        ("texts=", {"texts": []}),
        ("texts=[]", {"texts": []}),
        ('texts=["a,b", "c"]', {"texts": ["a,b", "c"]}),
        ('texts="a,b"', {"texts": ["a", "b"]}),
        ("texts=a,,b", {"texts": ["a", "", "b"]}),
        ("inner.free.corp.example=x,y", {"inner": {"free": {"corp.example": ["x", "y"]}}}),
        ('inner.free."corp.example"=x', {"inner": {"free": {"corp.example": ["x"]}}}),
        ("inner.names.old.example=svc.cluster.local", {"inner": {"names": {"old.example": "svc.cluster.local"}}}),
        ('inner.names."old.example"="a,b"', {"inner": {"names": {"old.example": "a,b"}}}),
        ("inner.names.old.example=5", {"inner": {"names": {"old.example": "5"}}}),
        ('inner.names={ab = "x"}', {"inner": {"names": {"ab": "x"}}}),
        ('inner.free={ab = ["x"]}', {"inner": {"free": {"ab": ["x"]}}}),
        ("inner={count = 7}", {"inner": {"count": 7}}),
        ("\"inner\".'count'=7", {"inner": {"count": 7}}),
    ],
)
def test_a_setting(setting: str, given: dict[str, Any]) -> None:
    assert applied(setting) == given


def test_a_setting_replaces_what_the_file_says_and_the_last_one_counts() -> None:
    file = {"texts": ["file"], "inner": {"count": 1, "name": "file"}}
    assert applied("inner.count=2", "inner.count=3", "texts=x", given=file) == {
        "texts": ["x"],
        "inner": {"count": 3, "name": "file"},
    }


@pytest.mark.parametrize(
    ("setting", "path", "problem"),
    [
        ("switch", "switch", "expected KEY=VALUE"),
        ("", "", "expected KEY=VALUE"),
        ("=5", "=5", "expected KEY=VALUE"),
        ("a b=5", "a b=5", "expected KEY=VALUE"),
        ("a\nb=5", "a\nb=5", "expected KEY=VALUE"),
        ("swich=true", "swich", "unknown key; did you mean switch?"),
        ("inner.cont=1", "inner.cont", "unknown key; did you mean inner.count?"),
        ("count=1", "count", "unknown key; did you mean inner.count?"),
        ("nothing.like=1", "nothing", "unknown key; known here: texts, switch, inner"),
        ("switch.on=true", "switch.on=true", "switch is no table"),
    ],
)
def test_a_wrong_key(setting: str, path: str, problem: str) -> None:
    assert apply_setting(Root, {}, setting) == [(path, problem)]


@pytest.mark.parametrize("setting", ["inner.count=5", "inner.free.x=y"])
def test_where_the_file_is_wrong_it_is_left_for_the_reader_to_say_so(setting: str) -> None:
    for wrong in ({"inner": 5}, {"inner": {"free": 5}}):
        table = applied(setting, given=wrong)
        assert table == wrong


@given(st.text())
def test_toml_reads_every_text_as_it_was(text: str) -> None:
    assert tomllib.loads(f"value = {toml_value(text)}") == {"value": text}


trees = st.builds(
    Root,
    texts=st.lists(st.text()).map(tuple),
    switch=st.booleans(),
    inner=st.builds(
        Inner,
        name=st.text(),
        count=st.integers(0, 10),
        limit=st.none() | st.integers(0, 9),
        free=st.dictionaries(st.text(), st.lists(st.text()).map(tuple)),
        names=st.dictionaries(st.text(), st.text()),
    ),
)


@given(trees)
def test_a_tree_is_read_as_it_was_written(tree: Root) -> None:
    assert read(Root, tomllib.loads(to_toml(tree))) == (tree, [])


def test_a_tree_as_toml() -> None:
    tree = Root(("a", 'b"'), True, Inner(free={"x.y": ("z",)}, names={"a.b": "c"}))
    assert to_toml(tree) == (
        'texts = ["a", "b\\""]\n'
        "switch = true\n"
        "\n"
        "[inner]\n"
        'name = "inner"\n'
        "count = 2\n"
        "# limit is not set\n"
        "\n"
        "[inner.free]\n"
        '"x.y" = ["z"]\n'
        "\n"
        "[inner.names]\n"
        '"a.b" = "c"\n'
    )


def test_the_reference_names_range_default_meaning_and_reason() -> None:
    page = reference(Root)
    assert "## `[inner]`\n\nWhat is inside, over two lines.\n" in page
    assert (
        "### `inner.count`\n\na whole number from 0 to 10; default: `2`\n\nHow many.\n\n*Why this default:* few.\n"
        in page
    )
    assert "### `inner.limit`\n\na whole number from 0 to 9; default: not set\n" in page
    assert "### `inner.free`\n\ntable; each key a text, each value an array, each a text; default: `{}`\n" in page
    assert "### `inner.names`\n\ntable; each key a text, each value a text; default: `{}`\n" in page
    assert "### `switch`\n\ntrue or false; default: `false`\n" in page
    assert "*Why this default:* off.\n\n*A change takes effect at the next start.*\n" in page
    assert page.count("next start") == 1
