"""Signatures are judged by the published verifiers, not by our own code."""

import base64
from datetime import UTC, datetime

import pytest
import standardwebhooks
import svix.webhooks
from hypothesis import given
from hypothesis import strategies as st

from bridge.domain.deliveries.signature_check import explain_signature
from bridge.domain.deliveries.signing import check_secret, make_secret, read_key, sign, sign_content

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
OLD = "whsec_" + base64.b64encode(b"o" * 24).decode()
BODIES = [
    b"{}",
    '{"text":"h\u00e9llo \U0001f600 \u2028"}'.encode(),
    b'{"lone":"\\ud800","nul":"\\u0000"}',
    b'{"big":"' + b"x" * 300_000 + b'"}',
]


NOW_S = int(datetime.now(UTC).timestamp())


def _headers(secrets: list[str], body: bytes, at_s: int | None = None) -> dict[str, str]:
    at_s = int(datetime.now(UTC).timestamp()) if at_s is None else at_s
    return {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(at_s),
        "webhook-signature": sign(secrets, event_id="evt_1", timestamp_s=at_s, body=body),
    }


def test_the_published_vector_comes_out() -> None:
    """The example that the standard's own libraries test with."""
    signature = sign(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        event_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp_s=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("body", BODIES, ids=["empty", "unicode", "escapes", "large"])
@pytest.mark.parametrize("secret", [SECRET, OLD])
def test_both_published_packages_accept_a_rotating_signature_by_either_secret(
    body: bytes, secret: str
) -> None:
    """During rotation a receiver holds the new secret or still the old one."""
    headers = _headers([SECRET, OLD], body)
    standardwebhooks.Webhook(secret).verify(body, headers)
    svix.webhooks.Webhook(secret).verify(body, headers)


def test_a_changed_body_or_another_secret_is_refused_by_the_published_package() -> None:
    """The judge is not one that accepts everything."""
    headers = _headers([SECRET], b"{}")
    with pytest.raises(standardwebhooks.webhooks.WebhookVerificationError):
        standardwebhooks.Webhook(SECRET).verify(b"{ }", headers)
    with pytest.raises(standardwebhooks.webhooks.WebhookVerificationError):
        standardwebhooks.Webhook(OLD).verify(b"{}", headers)


def test_newest_comes_first_with_exactly_one_blank_between() -> None:
    """A double blank makes a published verifier fail."""
    both = sign([SECRET, OLD], event_id="e", timestamp_s=1, body=b"")
    new, old = both.split(" ")
    assert new == sign([SECRET], event_id="e", timestamp_s=1, body=b"")
    assert old == sign([OLD], event_id="e", timestamp_s=1, body=b"")


@given(st.binary(min_size=32, max_size=32))
def test_a_made_secret_is_valid_and_decodes_to_printable_text(dice: bytes) -> None:
    """Tools that take an HMAC key only as text can use it."""
    secret = make_secret(lambda size: dice[:size])
    check_secret(secret)
    key = read_key(secret).decode("ascii")
    assert len(key) == 32
    assert key.isprintable()
    assert " " not in key


def test_different_dice_make_different_secrets() -> None:
    """All 64 letters come up, each as often as the others over all bytes."""
    letters = [read_key(make_secret(lambda _, n=n: bytes([n]) * 32))[0] for n in range(256)]  # type: ignore[misc] # n is bound per turn
    assert sorted(letters.count(letter) for letter in set(letters)) == [4] * 64


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        ("", "begin with whsec_"),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "begin with whsec_"),
        ("whsec_", "0 bytes"),
        ("whsec_" + base64.b64encode(b"x" * 23).decode(), "23 bytes"),
        ("whsec_" + base64.b64encode(b"x" * 65).decode(), "65 bytes"),
        ("whsec_****", "not base64"),
        ("whsec_" + base64.b64encode(b"x" * 32).decode().rstrip("="), "not base64"),
        ("whsec_" + base64.b64encode(b"x" * 32).decode() + "\n", "not base64"),
        ("whsec_\u00e9\u00e9\u00e9\u00e9", "not base64"),
    ],
)
def test_a_bad_secret_is_refused_with_the_fix(secret: str, says: str) -> None:
    """The message tells what to change and never shows the secret."""
    with pytest.raises(ValueError, match=says) as caught:
        check_secret(secret)
    assert len(secret) < 10 or secret[6:] not in str(caught.value)


@pytest.mark.parametrize("size", [24, 64])
def test_the_shortest_and_longest_secrets_pass(size: int) -> None:
    """The standard's bounds are inclusive."""
    check_secret("whsec_" + base64.b64encode(b"x" * size).decode())


def _wrong(findings: list[str]) -> list[str]:
    return [finding for finding in findings if not finding.startswith("ok: ")]


def test_a_good_delivery_has_no_complaint() -> None:
    """Header names in any case, either secret of a rotation."""
    headers = {name.title(): value for name, value in _headers([OLD, SECRET], b'{"a":1}', NOW_S).items()}
    findings = explain_signature(secret=SECRET, headers=headers, body=b'{"a":1}', now_s=NOW_S)
    assert _wrong(findings) == []
    assert any("matches" in finding for finding in findings)


def _explained(*, secret: str = SECRET, body: bytes = b'{"a":1}', now_s: int = NOW_S, **changed: str) -> str:
    headers = _headers([SECRET], b'{"a":1}', NOW_S) | {
        f"webhook-{name}": value for name, value in changed.items()
    }
    return "\n".join(_wrong(explain_signature(secret=secret, headers=headers, body=body, now_s=now_s)))


def test_each_usual_mistake_is_told_by_name() -> None:
    """What people do wrong, and the finding that says so."""
    lead = f"evt_1.{NOW_S}.".encode()
    as_text = sign_content(SECRET.encode(), lead + b'{"a":1}')
    behind = sign_content(SECRET.removeprefix("whsec_").encode(), lead + b'{"a":1}')
    assert "header missing: webhook-signature" in _explained(signature="")
    assert "seconds" in _explained(timestamp="soon")
    assert "milliseconds" in _explained(timestamp=str(NOW_S * 1000))
    assert "301 s old" in _explained(now_s=NOW_S + 301)
    assert "301 s ahead" in _explained(now_s=NOW_S - 301)
    assert "double blank" in _explained(signature="v1,x  v1,y")
    assert "no `v1,…`" in _explained(signature="sha256=abc")
    assert "without its blanks" in _explained(body=b'{"a":1}\n')
    assert "as JavaScript writes it" in _explained(body=b'{"a": 1}')
    assert "whsec_ included" in _explained(signature=as_text)
    assert "the text behind whsec_" in _explained(signature=behind)
    assert "body alone" in _explained(signature=sign_content(b"k" * 32, b'{"a":1}'))
    assert "another secret" in _explained(secret=OLD)
    assert "not base64" in _explained(secret="whsec_*")
    assert "line break around it" in _explained(secret=SECRET + "\n")


def test_no_finding_shows_the_secret() -> None:
    """What `verify` prints may be pasted into a ticket."""
    for secret in (SECRET, OLD, SECRET + " ", SECRET[:-1], "nonsense-but-secret"):
        findings = explain_signature(
            secret=secret, headers=_headers([SECRET], b"{}", NOW_S), body=b"{}", now_s=NOW_S
        )
        assert secret.strip().removeprefix("whsec_") not in "\n".join(findings)
