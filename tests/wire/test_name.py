from __future__ import annotations

import pytest

from hsdnsd.errors import NameTextError
from hsdnsd.wire.name import ROOT, Name, from_labels, from_text, is_within, labels, to_text

LONGEST = ".".join(["a" * 63] * 3 + ["a" * 61])


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        (".", b"\0"),
        ("a", b"\1a\0"),
        ("a.", b"\1a\0"),
        ("Web-0.DB.svc.cluster.local", b"\5Web-0\2DB\3svc\7cluster\5local\0"),
        ("_http._tcp.a", b"\5_http\4_tcp\1a\0"),
        ("*.a", b"\1*\1a\0"),
        (r"a\.b.c", b"\3a.b\1c\0"),
        (r"a\\.b", b"\2a\\\1b\0"),
        (r"a\046b.c.", b"\3a.b\1c\0"),
        (r"\..", b"\1.\0"),
        (r"\000\255", b"\2\0\xff\0"),
        (r"\"\@", b'\2"@\0'),
        ("a b", b"\3a b\0"),
        ("a\\\nb", b"\3a\nb\0"),
        ("a" * 63, b"\x3f" + b"a" * 63 + b"\0"),
        (LONGEST, (b"\x3f" + b"a" * 63) * 3 + b"\x3d" + b"a" * 61 + b"\0"),
    ],
)
def test_from_text(text: str, wire: bytes) -> None:
    assert from_text(text) == wire


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        ".a",
        "a..b",
        "a..",
        r"\...",
        r"\046..",
        "a" * 64,
        LONGEST + "a",
        LONGEST + ".a",
        "ä.de",
        "a\\ä",
        "\\",
        "a\\",
        r"a\25",
        r"a\256",
        r"a\1b2",
        "a.\\",
    ],
)
def test_from_text_refuses(text: str) -> None:
    with pytest.raises(NameTextError):
        from_text(text)


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        (b"\0", "."),
        (b"\5Web-0\5local\0", "Web-0.local."),
        (b"\3a.b\1\\\0", "a\\.b.\\\\."),
        (b'\4a"b;\4()@$\0', 'a\\"b\\;.\\(\\)\\@\\$.'),
        (b"\5\0 \x7f\x80\xff\0", "\\000\\032\\127\\128\\255."),
        (b"\4! ~'\0", "!\\032~'."),
        (b"\4\r\n\t\x1b\0", "\\013\\010\\009\\027."),
    ],
)
def test_to_text(wire: bytes, text: str) -> None:
    assert to_text(Name(wire)) == text
    assert from_text(text) == wire


def test_every_octet_comes_back_from_text_and_is_printable() -> None:
    for octet in range(256):
        wire = Name(bytes([3, 0x61, octet, 0x62, 0]))
        text = to_text(wire)
        assert text.isascii()
        assert text.isprintable()
        assert " " not in text
        assert from_text(text) == wire


@pytest.mark.parametrize("parts", [(), (b"a",), (b"a", b"B.c", b"\0")])
def test_labels_and_back(parts: tuple[bytes, ...]) -> None:
    assert labels(from_labels(parts)) == parts


@pytest.mark.parametrize("parts", [(b"",), (b"a", b""), (b"a" * 64,), (b"a",) * 128])
def test_from_labels_refuses(parts: tuple[bytes, ...]) -> None:
    with pytest.raises(NameTextError):
        from_labels(parts)


def test_most_labels() -> None:
    assert len(from_labels((b"a",) * 127)) == 255


@pytest.mark.parametrize(
    ("name", "zone", "within"),
    [
        (from_text("a.b"), from_text("a.b"), True),
        (from_text("x.a.b"), from_text("a.b"), True),
        (from_text("y.x.a.b"), from_text("a.b"), True),
        (from_text("a.b"), ROOT, True),
        (ROOT, ROOT, True),
        (ROOT, from_text("b"), False),
        (from_text("b"), from_text("a.b"), False),
        (from_text("xa.b"), from_text("a.b"), False),
        (from_text("a.c"), from_text("a.b"), False),
        # The octets of the zone stand at the end, but inside of a label.
        (Name(b"\5x\1a\1b\0"), Name(b"\1a\1b\0"), False),
        (Name(b"\7xx\1a\1b\0\0"), Name(b"\1a\1b\0"), False),
        (Name(b"\4x\1ay\1b\0"), Name(b"\1b\0"), True),
    ],
)
def test_is_within(name: Name, zone: Name, within: bool) -> None:
    assert is_within(name, zone) is within
