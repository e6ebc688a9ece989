"""Read REELBRIDGE_MASTER_KEYS: the keys that encrypt what the store keeps secret."""

import base64
import binascii

MASTER_KEY_BYTES = 32


def parse_master_keys(text: str) -> list[bytes]:
    """Return the keys of a comma-separated list, each base64 in the standard or the URL-safe alphabet.

    The first key encrypts, all of them decrypt. Raise `ValueError`, whose message shows no part of any key.
    """
    keys = [_parse_key(part.strip()) for part in text.split(",") if part.strip()]
    if not keys:
        raise ValueError("no master key given")
    return keys


def _parse_key(text: str) -> bytes:
    try:
        key = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error:
        raise ValueError("a master key is not base64") from None
    if len(key) != MASTER_KEY_BYTES:
        raise ValueError(f"a master key does not decode to {MASTER_KEY_BYTES} bytes")
    return key
