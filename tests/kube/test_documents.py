"""hsdnsd.kube.documents: YAML as Kubernetes reads it, JSON, and where things are in them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hsdnsd.errors import ManifestError
from hsdnsd.kube.documents import MAX_DEPTH, Document, Step, read_documents


def read(text: str, path: str = "a.yaml") -> list[Document]:
    return list(read_documents(path, text.encode()))


def value_of(text: str) -> object:
    (document,) = read(text)
    return document.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("80", 80),
        ("-12", -12),
        ("+3", 3),
        ("0", 0),
        ("0x1F", 31),
        ("0b101", 5),
        ("0b_1", 1),
        ("0x_F", 15),
        ("010", 8),
        ("1_000", 1000),
        ("1.5", 1.5),
        ("1.5e3", 1500.0),
        (".5", 0.5),
        ("true", True),
        ("Yes", True),
        ("off", False),
        ("~", None),
        ("null", None),
        ("y", "y"),
        ("n", "n"),
        ("0x", "0x"),
        ("0b2", "0b2"),
        ("08", "08"),
        ("0o17", "0o17"),
        ("1e3", "1e3"),
        (".", "."),
        ("-.", "-."),
        ("10.0.0.1", "10.0.0.1"),
        ("fd00::1", "fd00::1"),
        ("1:20:30", "1:20:30"),
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ("=", "="),
        ("1" * 70, "1" * 70),
        ("'80'", "80"),
        ('"true"', "true"),
        ("!!str 80", "80"),
        ("!!int '80'", 80),
        ("! 80", "80"),
        ("|\n  two\n  lines\n", "two\nlines\n"),
        ("[1, [a], {b: 2}]", [1, ["a"], {"b": 2}]),
        ("{}", {}),
    ],
)
def test_scalars_as_kubernetes_reads_them(text: str, value: object) -> None:
    got = value_of(f"x: {text}")
    assert got == {"x": value}
    assert isinstance(got, dict)
    assert type(got["x"]) is type(value)


def test_keys_are_text_whatever_they_look_like() -> None:
    assert value_of("1: a\non: b\nnull: c\n") == {"1": "a", "on": "b", "null": "c"}


def test_anchors_and_merges() -> None:
    text = """
base: &base {a: 1, b: 2}
same: *base
one: {<<: *base, b: 3}
many: {b: 4, <<: [{c: 5}, *base, {c: 6}]}
key: {&k q: *k}
"""
    assert value_of(text) == {
        "base": {"a": 1, "b": 2},
        "same": {"a": 1, "b": 2},
        "one": {"a": 1, "b": 3},
        "many": {"a": 1, "b": 4, "c": 5},
        "key": {"q": "q"},
    }


def test_documents_are_counted_and_empty_ones_left_out() -> None:
    found = read("# a comment\n---\n---\na: 1\n---\n# nothing\n---\n\nb: 2\n...\n---\nc: 3\n")
    assert [(document.number, document.line, document.value) for document in found] == [
        (2, 3, {"a": 1}),
        (4, 7, {"b": 2}),
        (5, 11, {"c": 3}),
    ]


def test_json_values_one_after_the_other() -> None:
    found = read('\ufeff{"a": 1}\n{"b":\n [2]}\n\nnull {"c": "\\u00e9"}\n', "a.json")
    assert [(document.number, document.line, document.value) for document in found] == [
        (1, 1, {"a": 1}),
        (2, 2, {"b": [2]}),
        (4, 5, {"c": "é"}),
    ]


@pytest.mark.parametrize("path", ["a.yaml", "a.json"])
def test_an_empty_file_has_no_documents(path: str) -> None:
    assert read("", path) == []
    assert read("\n \n", path) == []


@pytest.mark.parametrize(
    ("text", "number", "line", "problem"),
    [
        ("a: b: c", 1, 1, "mapping values are not allowed"),
        ("a: 1\n---\nb: 2\n---\nc: [1,\n\nd: 3", 3, 7, "did not find expected ',' or ']'"),
        ("a: 1\n\tb: 2", 1, 2, "tab"),
        ("a: 'b", 1, 1, "end of stream"),
        ("a: 1\nb: 2\na: 3", 1, 3, "the key 'a' is set twice"),
        ("a: *b", 1, 1, "no such anchor: b"),
        ("a: &b [*b]", 1, 1, "no such anchor: b"),
        ("a: &b {c: 1}\n---\nd: *b", 2, 3, "no such anchor: b"),
        ("? [a]\n: b", 1, 1, "a key must be a scalar"),
        ("a: &b [1]\n*b : c", 1, 2, "a key must be a scalar"),
        ("a: {<<: 1}", 1, 1, "<< must name mappings"),
        ("a: 1\nb: !secret x", 1, 2, "tag !secret is not supported"),
        ("a: 1\nb: \x07", 1, 2, "control characters"),
        ("[" * 100_000, 1, 1, f"nested deeper than {MAX_DEPTH}"),
        ("- " * 5_000, 1, 1, f"nested deeper than {MAX_DEPTH}"),
    ],
)
def test_what_is_wrong_with_yaml_is_told_with_its_place(text: str, number: int, line: int, problem: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read(text)
    assert (caught.value.path, caught.value.document, caught.value.line) == ("a.yaml", number, line)
    assert problem in caught.value.problem
    assert caught.value.problem.isprintable()


@pytest.mark.parametrize(
    ("text", "number", "line", "problem"),
    [
        ('{"a": 1}\n{"b":\n x}', 2, 3, "Expecting value"),
        ('{"a": 1', 1, 1, "delimiter"),
        ("[" * 100_000, 1, 1, "recursion"),
        ("1" * 5000, 1, 1, "digits"),
        ('{"a": "\\ud800"}', 1, 1, "surrogate"),
    ],
)
def test_what_is_wrong_with_json_is_told_with_its_place(text: str, number: int, line: int, problem: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read(text, "a.json")
    assert (caught.value.document, caught.value.line) == (number, line)
    assert problem in caught.value.problem


def test_text_that_is_not_utf_8() -> None:
    with pytest.raises(ManifestError, match=r"a.yaml, document 1, line 2: not UTF-8"):
        list(read_documents("a.yaml", b"a: 1\nb: \xff\n"))


YAML = """# first
a: 1
---
spec:
  ports:
  - name: a
    port: 1
  - {name: b,
     port: 2}
  empty: []
other:
  x
"""


@pytest.mark.parametrize(
    ("steps", "line"),
    [
        ((), 4),
        (("spec",), 4),
        (("spec", "ports"), 5),
        (("spec", "ports", 0), 6),
        (("spec", "ports", 0, "port"), 7),
        (("spec", "ports", 1), 8),
        (("spec", "ports", 1, "port"), 9),
        (("spec", "ports", 1, "missing"), 8),
        (("spec", "ports", 7, "port"), 5),
        (("spec", "empty", 0), 10),
        (("other",), 11),
        (("missing", "x"), 4),
    ],
)
def test_the_line_of_a_field_or_of_what_is_above_it(steps: tuple[Step, ...], line: int) -> None:
    _, document = read(YAML)
    error = document.fault(steps, "wrong")
    assert (error.document, error.line, error.problem) == (2, line, "wrong")


def test_the_line_of_a_field_in_json() -> None:
    _, document = read('{"a": 1}\n\n{"b":\n [1,\n\t{"c": 2}]}', "a.json")
    assert document.fault(("b", 1, "c"), "wrong").line == 5


def test_the_line_in_json_that_yaml_would_not_read() -> None:
    (document,) = read('\n{"a": 1, "b": "\x7f", "a": 2}', "a.json")
    assert document.fault(("c",), "wrong").line == 2


texts = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n\t:-#'\"{}[]&*!|>%@`,? "), max_size=12
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64) | texts,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(texts.filter(lambda key: key != "<<"), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(texts.filter(lambda key: key != "<<"), values, min_size=1, max_size=4), st.booleans())
def test_what_a_dumper_writes_is_what_is_read(value: dict[str, Any], flow: bool) -> None:
    assert value_of(yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True)) == value
    (document,) = read(json.dumps(value), "a.json")
    assert document.value == value


@given(st.text(st.sampled_from("ab1:-[]{}&*!|>'\"#,?%\n\t <~"), max_size=60), st.sampled_from(["a.yaml", "a.json"]))
def test_any_text_is_documents_or_a_manifest_error(text: str, path: str) -> None:
    try:
        faults = [document.fault(("a", 0, "b"), "x") for document in read(text, path)]
    except ManifestError as error:
        faults = [error]
    for fault in faults:
        assert 1 <= fault.line <= text.count("\n") + 1
        assert fault.document >= 1
