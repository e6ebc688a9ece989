"""Master keys as an operator writes them into the environment."""

import base64
import os

import pytest

from bridge.config.master_keys import parse_master_keys


def test_master_keys_are_read_in_order_and_in_either_alphabet() -> None:
    """Commas and spaces separate; the URL-safe alphabet is as good."""
    raw = os.urandom(32), b"\xff" * 32
    text = f"{base64.b64encode(raw[0]).decode()} , {base64.urlsafe_b64encode(raw[1]).decode()}"
    assert parse_master_keys(text) == list(raw)


@pytest.mark.parametrize(
    "text",
    [
        "",  # nothing
        " , ",  # only separators
        "not base64!",
        base64.b64encode(b"x" * 31).decode(),  # a byte short
        base64.b64encode(b"x" * 32).decode() + ",short",  # the second is bad
    ],
)
def test_bad_master_keys_are_refused_without_showing_them(text: str) -> None:
    """The message holds no part of what was given."""
    with pytest.raises(ValueError, match="master key") as caught:
        parse_master_keys(text)
    assert not text.strip(" ,") or text not in str(caught.value)
