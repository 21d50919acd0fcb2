"""Kubernetes label selectors: text -> predicate, with the grammar and the meaning that the API server gives them.

a=b, a==b, a!=b, e in (x,y), e notin (x,y), f, !f, n>1, n<1; all of them must hold
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

_TOKEN = re.compile(r"\s*(==|!=|[=!(),<>]|[^\s=!(),<>]+)")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_SYMBOLS = frozenset(("==", "!=", "=", "!", "(", ")", ",", "<", ">"))


class Requirement(msgspec.Struct, frozen=True, gc=False):
    """One condition on one label.

    Attributes:
        operator: "in", "notin", "exists", "absent", "gt" or "lt".
        values: for in and notin any number but none; for gt and lt the one integer; else empty.
    """

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """A label that is not there fulfils "notin" (and so "!="), as in Kubernetes."""
        value = labels.get(self.key)
        if self.operator == "exists":
            return value is not None
        if self.operator == "absent":
            return value is None
        if self.operator == "notin":
            return value not in self.values
        if value is None:
            return False
        if self.operator == "in":
            return value in self.values
        if not _INTEGER.fullmatch(value):
            return False
        bound = int(next(iter(self.values)))
        return int(value) > bound if self.operator == "gt" else int(value) < bound


class Selector(msgspec.Struct, frozen=True, gc=False):
    """Requirements that must all hold; without any, everything is selected."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(requirement.holds(labels) for requirement in self.requirements)


def parse_selector(text: str) -> Selector:
    """
    Raises:
        ValueError: the text is no selector; says what is wrong and where (octet from 1).
    """
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, int]] = [(match[1], match.start(1) + 1) for match in _TOKEN.finditer(text)]
        self._end = len(text.rstrip()) + 1
        self._next = 0

    def parse(self) -> Selector:
        if not self._tokens:
            return Selector()
        requirements = [self._requirement()]
        while self._peek() is not None:
            self._expect(",")
            requirements.append(self._requirement())
        return Selector(tuple(requirements))

    def _requirement(self) -> Requirement:
        if self._peek() == "!":
            self._take("a label key")
            return Requirement(self._key(), "absent")
        key = self._key()
        operator = self._peek()
        if operator in (None, ","):
            return Requirement(key, "exists")
        operator, at = self._take("an operator")
        if operator in ("=", "=="):
            return Requirement(key, "in", frozenset((self._value(),)))
        if operator == "!=":
            return Requirement(key, "notin", frozenset((self._value(),)))
        if operator in ("in", "notin"):
            return Requirement(key, operator, self._values())
        if operator in (">", "<"):
            number, at = self._take("an integer")
            if not _INTEGER.fullmatch(number):
                raise ValueError(f"{number!r} at {at} is not an integer")
            return Requirement(key, "gt" if operator == ">" else "lt", frozenset((number,)))
        raise ValueError(f"{operator!r} at {at} is not an operator (=, ==, !=, in, notin, <, >)")

    def _values(self) -> frozenset[str]:
        self._expect("(")
        if self._peek() == ")":
            raise ValueError(f"no values between the brackets at {self._at()}")
        values = {self._value()}
        while self._peek() == ",":
            self._expect(",")
            values.add(self._value())
        self._expect(")")
        return frozenset(values)

    def _key(self) -> str:
        key, at = self._take("a label key")
        prefix, slash, name = key.rpartition("/")
        good_prefix = _SUBDOMAIN.fullmatch(prefix) is not None and len(prefix) <= 253 if slash else True
        if key in _SYMBOLS or key in ("in", "notin") or not _NAME.fullmatch(name) or not good_prefix:
            raise ValueError(f"{key!r} at {at} is not a label key")
        return key

    def _value(self) -> str:
        """A label's value; nothing before a comma, a bracket or the end is the empty value."""
        if self._peek() in (None, ",", ")"):
            return ""
        value, at = self._take("a label value")
        if not _NAME.fullmatch(value):
            raise ValueError(f"{value!r} at {at} is not a label value")
        return value

    def _peek(self) -> str | None:
        return self._tokens[self._next][0] if self._next < len(self._tokens) else None

    def _at(self) -> int:
        return self._tokens[self._next][1] if self._next < len(self._tokens) else self._end

    def _take(self, wanted: str) -> tuple[str, int]:
        if self._next == len(self._tokens):
            raise ValueError(f"{wanted} expected at {self._end}, at the end of the text")
        token = self._tokens[self._next]
        self._next += 1
        return token

    def _expect(self, wanted: str) -> None:
        token, at = self._take(repr(wanted))
        if token != wanted:
            raise ValueError(f"{wanted!r} expected at {at}, not {token!r}")
