"""Sign deliveries by Standard Webhooks 1.0.0: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`."""

import base64
import binascii
from collections.abc import Callable, Sequence
from functools import lru_cache

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

PREFIX = "whsec_"
MIN_KEY_BYTES = 24
MAX_KEY_BYTES = 64
# 64 letters, so that a random byte's low six bits choose one without bias; 32 of them carry 192 bits.
_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def sign(secrets: Sequence[str], *, event_id: str, timestamp_s: int, body: bytes) -> str:
    """Return the `webhook-signature` header: a signature by each secret, in the order given (newest first).

    There is exactly one space between them, because the published Python verifier fails with two.
    """
    content = b"%s.%d.%s" % (event_id.encode(), timestamp_s, body)
    if len(secrets) == 1:
        return sign_content(read_key(secrets[0]), content)
    return " ".join([sign_content(read_key(secret), content) for secret in secrets])


def sign_content(key: bytes, content: bytes) -> str:
    """Return the signature, `v1,` and base64, of content that includes id and timestamp."""
    mac = _keyed(key).copy()
    mac.update(content)
    return "v1," + binascii.b2a_base64(mac.finalize(), newline=False).decode()


@lru_cache(maxsize=1024)
def _keyed(key: bytes) -> HMAC:
    """Return a MAC with its key set, for copying, because setting the key costs more than signing."""
    return HMAC(key, SHA256())


def make_secret(dice: Callable[[int], bytes]) -> str:
    """Return a new secret: `whsec_` and base64 of 32 ASCII characters (some tools take an HMAC key only as text)."""
    return PREFIX + base64.b64encode(bytes(_LETTERS[byte & 63] for byte in dice(32))).decode()


def check_secret(text: str) -> None:
    """Raise `ValueError` that names the fix, and never the secret, unless it can be used for signing."""
    if not text.startswith(PREFIX):
        raise ValueError("the secret must begin with whsec_ and go on in base64")
    try:
        key = read_key(text)
    except ValueError:
        raise ValueError(
            "the secret is not base64 behind whsec_: use A-Z, a-z, 0-9, + and /, padded with = to a multiple of four"
        ) from None
    if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise ValueError(
            f"the secret holds {len(key)} bytes: make it of {MIN_KEY_BYTES} to {MAX_KEY_BYTES} random bytes, "
            "such as `openssl rand -base64 32` prints, behind whsec_"
        )


@lru_cache(maxsize=1024)
def read_key(secret: str) -> bytes:
    """Return the bytes of a secret; its prefix may be missing, as in the standard's own example."""
    return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
