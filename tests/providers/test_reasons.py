"""What an upstream says is shown in one short line, without secrets."""

import json

import pytest

from bridge.domain.observation import Observed, UnexpectedAnswer, UpstreamBroken
from bridge.providers import KINDS
from bridge.providers.read import read_answer, read_network_failure
from bridge.providers.text import show

SECRETS = [
    ("Invalid key rm_abcdefghijklmnopqrstuvwxyz012345", "rm_"),
    ("Invalid key rb_live_51Hxyz.abc", "rb_live_"),
    ("Invalid key of another form: ccl-0123456789abcdef", "0123456789abcdef"),
    ("got Authorization: Bearer opaque-thing-9", "opaque-thing-9"),
    ("sent Bearer opaque-thing-9 twice", "opaque-thing-9"),
    ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln expired", "eyJ"),
    ('{"api_key": "hunter22", "x": 1}', "hunter22"),
    ("X-API-Key=hunter22", "hunter22"),
    ("failed to fetch https://cdn.example.test/v.mp4?X-Amz-Signature=abcd", "abcd"),
    ("redis://user:hunter22@cache.example.test/0 refused", "hunter22"),
    ("signed whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ"),
    ("digest 0123456789abcdef0123456789abcdef0123456789abcdef", "0123456789abcdef"),
]


@pytest.mark.parametrize(("said", "secret"), SECRETS)
def test_secrets_are_masked_wherever_text_is_shown(said: str, secret: str) -> None:
    """A secret in an upstream's error, in a job's failure or in a network error does not reach a reader."""
    error = json.dumps({"error": {"code": "VALIDATION_ERROR", "message": said}}).encode()
    odd = read_answer(KINDS["sync_job"], job_id="j", http_status=400, headers={}, body=error, now_ms=0)
    assert isinstance(odd, UnexpectedAnswer)
    assert secret not in odd.reason
    failed = json.dumps({"data": {"id": "j", "status": "failed", "error_message": said}}).encode()
    seen = read_answer(KINDS["sync_job"], job_id="j", http_status=200, headers={}, body=failed, now_ms=0)
    assert isinstance(seen, Observed)
    assert seen.observation.ending is not None
    assert secret not in str(seen.observation.ending.message)
    assert secret not in read_network_failure(said).reason


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("x" * 600, "x" * 499 + "…"),
        ("OAuth_" + "Exception_" * 10, "OAuth_" + "Exception_" * 10),
        ("hash 0123456789abcdef0123456789abcdef0123456789abcdef", "hash 01234567…cdef"),
        ({"message": "token expired", "code": 190}, "token expired"),
        ({"code": 190, "type": "OAuthé"}, '{"code": 190, "type": "OAuthé"}'),
        (["a", {"b": None}], '["a", {"b": null}]'),
        (190, "190"),
        ({"a": "y " * 100_000}, '{"a": "' + "y " * 246 + "…"),
    ],
)
def test_a_reason_is_shown_whatever_it_is(given: object, said: str) -> None:
    """A long word is cut in its middle, an object is JSON text; neither becomes "without a reason"."""
    failed = json.dumps({"data": {"id": "j", "status": "failed", "error_message": given}}).encode()
    seen = read_answer(KINDS["sync_job"], job_id="j", http_status=200, headers={}, body=failed, now_ms=0)
    assert isinstance(seen, Observed)
    assert seen.observation.ending is not None
    assert seen.observation.ending.message == said


def test_ids_and_plain_words_stay_readable() -> None:
    """A mask hides secrets, not what happened."""
    said = "post 77c1a2b4-0000-4000-8000-000000000010: token expired at https://cdn.example.test/a.jpg"
    assert show(said) == said


def test_reasons_are_one_short_line() -> None:
    """Line breaks, control characters and length cannot disturb a timeline."""
    reason = read_network_failure("first\r\nsecond\x00\x1b[31m\u2028" + "word " * 500).reason
    assert reason.startswith("network: first second [31m word")
    assert len(reason) == 200
    assert reason.isprintable()


def test_a_hostile_error_is_cheap_to_mask() -> None:
    """A megabyte of near-matches is cut before it is searched."""
    body = json.dumps({"error": {"code": "X", "message": "a://" * 250_000}}).encode()
    result = read_answer(KINDS["sync_job"], job_id="j", http_status=500, headers={}, body=body, now_ms=0)
    assert isinstance(result, UpstreamBroken)
    assert len(result.reason) <= 200
