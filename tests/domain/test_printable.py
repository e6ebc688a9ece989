"""What comes from outside reaches a terminal as text: nothing steers it, nothing hides."""

import json
import unicodedata

import pytest

from bridge.domain.printable import printable, printable_json

FAMILY = "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, Ünïcödé, 日本語, نص", "plain text, Ünïcödé, 日本語, نص"),
        (FAMILY, FAMILY),  # joiners make one picture of several
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("\x9b31m", r"\x9b31m"),  # the C1 form of ESC [
        ("a\rb\bc\x7f", r"a\x0db\x08c\x7f"),
        ("abc\u202egpj.exe", r"abc\u202egpj.exe"),  # shown as abcexe.jpg
        ("\u2066a\u2069\u200f\u061c", r"\u2066a\u2069\u200f\u061c"),
        ("a\u2028b\u2029c\x85d", r"a\u2028b\u2029c\x85d"),  # line ends that are not \n
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("tag\U000e0041", r"tag\U000e0041"),
        ("\ud800", r"\ud800"),  # cannot be encoded at all
        ("two\nlines\t", r"two\x0alines\x09"),
    ],
)
def test_unsafe_characters_are_shown_as_escapes(text: str, shown: str) -> None:
    """The rest stays as it is."""
    assert printable(text) == shown


def test_lines_may_stay_lines() -> None:
    """With `lines` the ends of lines and tabs stay, and nothing else does."""
    assert printable("a\n\tb\r\x1b", lines=True) == "a\n\tb\\x0d\\x1b"


def test_no_control_character_and_no_separator_passes() -> None:
    """Every character of Unicode whose category is control, surrogate or separator of lines is escaped."""
    for code in range(0x110000):
        if unicodedata.category(chr(code)) in {"Cc", "Cs", "Zl", "Zp"}:
            assert printable(chr(code)).isascii(), hex(code)


def test_json_keeps_its_value() -> None:
    """A reader of the escaped text gets the same value."""
    value = {"a\x9b": ["\u202e\x7f", "\U000e0041", "plain ä", "\n"]}
    text = printable_json(json.dumps(value, ensure_ascii=False, indent=1))
    assert json.loads(text) == value
    assert not {"\x9b", "\u202e", "\x7f", "\U000e0041"} & set(text)
    assert "plain ä" in text
