"""hsdnsd.kube.selector: the grammar of k8s.io/apimachinery/pkg/labels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.kube.selector import Requirement, Selector, parse_selector

LABELS = {"app": "web", "tier": "front", "empty": "", "n": "7", "example.com/part": "a"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "app",
        "app=web",
        "app==web",
        " app = web , tier = front ",
        "app!=db",
        "missing!=x",
        "app in (web,db)",
        "app in(web)",
        "app notin (db, x)",
        "missing notin (x)",
        "!missing",
        "! missing",
        "empty=",
        "empty==,app",
        "empty in (,x)",
        "empty",
        "n>6",
        "n < 8",
        "example.com/part=a",
        "app in (web),!missing,n>0,tier!=back",
    ],
)
def test_selects(text: str) -> None:
    assert parse_selector(text).matches(LABELS)


@pytest.mark.parametrize(
    "text",
    [
        "missing",
        "app=db",
        "app=",
        "app!=web",
        "app in (db,x)",
        "missing in (x)",
        "app notin (web)",
        "!app",
        "missing=",
        "n>7",
        "n<7",
        "app>1",
        "missing>1",
        "app=web,tier=back",
        "App=web",
    ],
)
def test_does_not_select(text: str) -> None:
    assert not parse_selector(text).matches(LABELS)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (",", "',' at 1 is not a label key"),
        ("a,", "a label key expected at 3, at the end"),
        ("a=b,,c=d", "',' at 5 is not a label key"),
        ("a b", "'b' at 3 is not an operator"),
        ("a=b c", r"',' expected at 5, not 'c'"),
        ("a!b", "'!' at 2 is not an operator"),
        ("!a=b", "',' expected at 3, not '='"),
        ("a in", r"'\(' expected at 5, at the end"),
        ("a in x", r"'\(' expected at 6, not 'x'"),
        ("a in ()", "no values between the brackets at 7"),
        ("a in (x", r"'\)' expected at 8, at the end"),
        ("a in (x y)", r"'\)' expected at 9, not 'y'"),
        ("a in ((x))", r"'\(' at 7 is not a label value"),
        ("in (x)", "'in' at 1 is not a label key"),
        ("a>b", "'b' at 3 is not an integer"),
        ("a>", "an integer expected at 3, at the end"),
        ("a=-b", "'-b' at 3 is not a label value"),
        ("a=b/c", "'b/c' at 3 is not a label value"),
        ("a=" + "x" * 64, "is not a label value"),
        ("x" * 64, "is not a label key"),
        ("/a", "'/a' at 1 is not a label key"),
        ("a/", "'a/' at 1 is not a label key"),
        ("UPPER.example/a", "is not a label key"),
        ("a/b/c", "is not a label key"),
        ("a===b", "'=' at 4 is not a label value"),
        ("ä=b", "'ä' at 1 is not a label key"),
    ],
)
def test_bad_text_is_refused_with_the_reason_and_the_place(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_selector(text)


keys = st.from_regex(r"[a-z]([a-z0-9-]{0,5}[a-z0-9])?", fullmatch=True).filter(lambda key: key not in ("in", "notin"))
values = st.from_regex(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,5}[A-Za-z0-9])?)?", fullmatch=True)
requirements = st.one_of(
    st.builds(Requirement, keys, st.sampled_from(["in", "notin"]), st.frozensets(values, min_size=1, max_size=3)),
    st.builds(Requirement, keys, st.sampled_from(["exists", "absent"])),
    st.builds(
        Requirement,
        keys,
        st.sampled_from(["gt", "lt"]),
        st.integers(-9, 9).map(lambda number: frozenset([str(number)])),
    ),
)


def written(requirement: Requirement) -> str:
    if requirement.operator in ("exists", "absent"):
        return ("!" if requirement.operator == "absent" else "") + requirement.key
    if requirement.operator in ("gt", "lt"):
        return requirement.key + (">" if requirement.operator == "gt" else "<") + next(iter(requirement.values))
    # An empty value alone can't stand between brackets; twice it can, and means the same.
    listed = sorted(requirement.values) if requirement.values != {""} else ["", ""]
    return f"{requirement.key} {requirement.operator} ({','.join(listed)})"


@given(st.lists(requirements, max_size=4))
def test_what_is_written_is_what_is_read(wanted: list[Requirement]) -> None:
    assert parse_selector(",".join(map(written, wanted))) == Selector(tuple(wanted))


@given(st.text(alphabet="ab=!(),<> in\tnot/.-_\N{LATIN SMALL LETTER A WITH DIAERESIS}", max_size=30))
def test_any_text_is_a_selector_or_a_value_error(text: str) -> None:
    try:
        selector = parse_selector(text)
    except ValueError:
        return
    assert selector.matches({}) in (True, False)
