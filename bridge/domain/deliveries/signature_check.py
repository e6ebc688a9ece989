"""Explain why the signature of a received delivery is valid or not, by trying the usual mistakes."""

import base64
import hmac
import json
from collections.abc import Iterator, Mapping

from bridge.domain.deliveries.signing import PREFIX, check_secret, read_key, sign_content
from bridge.domain.js_json import to_js_json

TOLERANCE_S = 300  # difference of the clocks that the published libraries allow


def explain_signature(
    *, secret: str, headers: Mapping[str, str], body: bytes, now_s: int, tolerance_s: int = TOLERANCE_S
) -> list[str]:
    """Return findings about a received delivery, each beginning with `ok: `, `wrong: ` or `hint: `.

    `headers` are those received (in any case), `body` the raw bytes, `now_s` the receiver's clock in Unix seconds. The
    signature is valid if no finding begins with `wrong: `. No finding shows the secret.
    """
    return list(
        _explain(secret, {name.lower(): value for name, value in headers.items()}, body, now_s, tolerance_s)
    )


def _explain(
    secret: str, headers: Mapping[str, str], body: bytes, now_s: int, tolerance_s: int
) -> Iterator[str]:
    missing = [
        f"webhook-{name}" for name in ("id", "timestamp", "signature") if not headers.get(f"webhook-{name}")
    ]
    if missing:
        yield f"wrong: header missing: {', '.join(missing)}; pass all three webhook-… headers as they were received"
    key = None
    try:
        check_secret(secret.strip() if secret.startswith(PREFIX) else PREFIX + secret.strip())
        key = read_key(secret.strip())
    except ValueError as error:
        yield f"wrong: {error}"
    if secret != secret.strip():
        yield "wrong: the secret has blanks or a line break around it: remove them"
    elif key is not None:
        yield "ok: the secret is well formed"
    if missing:
        return
    yield from _explain_time(headers["webhook-timestamp"], now_s, tolerance_s)
    if key is not None:
        yield from _explain_match(secret.strip(), key, headers, body)


def _explain_time(text: str, now_s: int, tolerance_s: int) -> Iterator[str]:
    if not (text.isascii() and text.isdigit()):
        yield "wrong: webhook-timestamp is not a whole number of seconds"
        return
    age_s = now_s - int(text)
    if abs(age_s) <= tolerance_s:
        yield f"ok: the timestamp is {abs(age_s)} s from this clock, within {tolerance_s} s"
    elif len(text) >= 13:
        yield "wrong: webhook-timestamp is in milliseconds, the standard wants seconds"
    elif age_s > 0:
        yield f"wrong: the timestamp is {age_s} s old: more than {tolerance_s} s (an old delivery, or a clock ahead)"
    else:
        yield f"wrong: the timestamp lies {-age_s} s ahead: set this machine's clock (NTP)"


def _explain_match(secret: str, key: bytes, headers: Mapping[str, str], body: bytes) -> Iterator[str]:
    given = headers["webhook-signature"].split(" ")
    if "" in given:
        yield "wrong: webhook-signature has a double blank, or one at an end: some verifiers stop there"
    versions = [text for text in given if text.startswith("v1,")]
    if not versions:
        yield "wrong: webhook-signature holds no `v1,…` entry"
        return
    lead = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode()

    def matches(candidate: bytes, content: bytes) -> bool:
        right = sign_content(candidate, content).encode()
        return any(hmac.compare_digest(right, text.encode()) for text in versions)

    if matches(key, lead + body):
        yield f"ok: the signature matches ({len(versions)} given, this secret made one of them)"
        return
    yield "wrong: the signature does not match this secret, id, timestamp and body"
    for name, other in _altered_bodies(body):
        if matches(key, lead + other):
            yield f"hint: it matches {name}: check the raw bytes as received, before anything parses them"
            return
    for name, wrong_key in _wrong_keys(secret):
        if matches(wrong_key, lead + body):
            yield f"hint: the sender used {name} as HMAC key; decode the base64 behind whsec_ instead"
            return
    if matches(key, body):
        yield "hint: the sender signed the body alone; the standard signs `id.timestamp.body`"
        return
    yield "hint: another secret (look whether the callback has one of its own), or a body changed on the way"


def _altered_bodies(body: bytes) -> Iterator[tuple[str, bytes]]:
    yield "the body without its blanks at the ends", body.strip()
    yield "the body without its byte order mark", body.removeprefix(b"\xef\xbb\xbf")
    yield "the body with \\n instead of \\r\\n", body.replace(b"\r\n", b"\n")
    try:
        yield (
            "the body as JavaScript writes it, so yours was parsed and written again",
            to_js_json(json.loads(body)),
        )
    except (ValueError, RecursionError):
        return


def _wrong_keys(secret: str) -> Iterator[tuple[str, bytes]]:
    yield "the whole text, whsec_ included,", secret.encode()
    yield "the text behind whsec_", secret.removeprefix(PREFIX).encode()
    yield "base64 of the key", base64.b64encode(read_key(secret))
