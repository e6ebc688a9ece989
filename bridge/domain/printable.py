"""Text from outside made safe for a terminal: what would steer it, or show another text than is there, is escaped."""

import re

# Control characters (C0 with ESC, DEL, C1), halves of surrogate pairs, line and paragraph separators, and characters
# that change the direction of text or that nobody sees: Unicode Standard Annex 9, "Directional Formatting Characters";
# Unicode Technical Report 36, "Bidirectional Text Spoofing". U+200C and U+200D stay: scripts and emoji need them.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_KEPT_IN_LINES = "\n\t"


def printable(text: str, *, lines: bool = False) -> str:
    r"""Return a text with every unsafe character as an escape, such as \x1b; with `lines`, line ends and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return _UNSAFE.sub(lambda found: _escape(found[0], lines=lines), text)


def printable_json(text: str) -> str:
    r"""Return a JSON text with every unsafe character inside of its strings as \uXXXX: the same value for a reader."""
    if text.isascii() and "\x7f" not in text:
        return text
    return _UNSAFE.sub(lambda found: _escape_in_json(found[0]), text)


def _escape(character: str, *, lines: bool) -> str:
    if lines and character in _KEPT_IN_LINES:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escape_in_json(character: str) -> str:
    if character in _KEPT_IN_LINES:  # between values: inside of a string JSON writes them as escapes
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
