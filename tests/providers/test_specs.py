"""The tables agree with the contract and the documents."""

import re

import pytest

from bridge.domain.observation import Outcome
from bridge.providers import KINDS, PROVIDERS, Clock, KindSpec, ProviderSpec, Standing
from bridge.providers.read import ending_event_type, read_credential

# Contract, section 4: ending words besides those of every kind.
ENDINGS = {
    "sync_job": {"completed", "failed", "skipped"},
    "generated_post": {"completed", "partial", "failed"},
    "generated_media_item": {"completed", "failed", "replaced"},
    "voice_conversion": {"completed", "failed"},
    "publishing_delivery": {"published", "failed"},
    "outgoing_post": {"published", "partial", "failed"},
    "reelbot_video": {"completed", "failed"},
}
PROGRESS = {
    "sync_job": {"running"},
    "generated_post": {"generating"},
    "generated_media_item": {"generating"},
    "voice_conversion": {"processing"},
    "publishing_delivery": set[str](),
    "outgoing_post": {"publishing"},
    "reelbot_video": {"processing"},
}
# Webhooks guide and Check Status: interval, timeout, seconds.
PACE = {
    "sync_job": (15, 600),
    "generated_post": (15, 600),
    "generated_media_item": (15, 600),
    "voice_conversion": (10, 300),
    "publishing_delivery": (10, 180),
    "outgoing_post": (10, 180),
    "reelbot_video": (5, 600),
}


def test_kinds_words_and_pace_are_the_contracts() -> None:
    """Every kind of the contract is there with its ending and progress words and the documented pace."""
    common = {"deleted", "not_found", "timed_out"}
    assert {name: set(kind.ending_words) - common for name, kind in KINDS.items()} == ENDINGS
    assert all(common <= set(kind.ending_words) for kind in KINDS.values())
    assert {name: set(kind.progress_words) for name, kind in KINDS.items()} == PROGRESS
    assert {name: (k.timing.interval_s, k.timing.timeout_s) for name, k in KINDS.items()} == PACE
    assert {name for name, kind in KINDS.items() if not kind.registrable} == {"publishing_delivery"}
    assert [KINDS[n].clock for n in ("sync_job", "generated_post", "outgoing_post")] == list(Clock)


def test_nothing_unsaid_is_called_a_failure() -> None:
    """A time-out and a never-seen job are `unknown`; only a failure's word fails a job."""
    for kind in KINDS.values():
        assert kind.ending_words["timed_out"] is Outcome.UNKNOWN
        assert kind.ending_words["not_found"] is Outcome.UNKNOWN
        assert {w for w, outcome in kind.ending_words.items() if outcome is Outcome.FAILED} == {"failed"}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_tables_are_consistent(kind: KindSpec) -> None:
    """No word both ends and runs, every word is spelled as it is looked up, every end has an outcome."""
    assert not set(kind.ends) & set(kind.runs)
    assert set(kind.ends.values()) <= set(kind.ending_words)
    assert all(word == word.strip().casefold() for word in (*kind.ends, *kind.runs))
    if kind.loose_words:
        assert not [word for word in (*kind.ends, *kind.runs) if re.search(r"[\W_]", word)]
    assert kind.dormant_words <= set(kind.runs)
    assert all(name in KINDS for name in kind.part_kinds)
    assert kind.provider in PROVIDERS
    assert PROVIDERS[kind.provider].kinds[kind.name] is kind


@pytest.mark.parametrize(
    "job_id", ["a", "abc123def456", "5b0d3f1e-0000-4000-8000-000000000001", "A.b_c~d:e-9", "x" * 200, "a.b"]
)
def test_plausible_ids_are_accepted(job_id: str) -> None:
    """UUIDs, short words and whatever else is harmless in a path may be watched."""
    assert KINDS["sync_job"].path_for(job_id) == f"/v1/sync-jobs/{job_id}"


@pytest.mark.parametrize(
    "job_id",
    [
        "",
        ".",
        "..",
        "a..b",
        "a/b",
        "../x",
        "a%2fb",
        "a?b",
        "a#b",
        "a b",
        "a\n",
        "\na",
        "a\x00",
        "é",
        "x" * 201,
        "a\\b",
        "{id}",
    ],
)
def test_ids_that_change_the_path_are_refused(job_id: str) -> None:
    """An id can never lead a read to another path."""
    assert not KINDS["sync_job"].id_pattern.match(job_id)
    with pytest.raises(ValueError, match="no sync_job"):
        KINDS["sync_job"].path_for(job_id)


def test_a_delivery_has_no_path_of_its_own() -> None:
    """A publishing delivery is only seen as a part of its post."""
    with pytest.raises(ValueError, match="no publishing_delivery"):
        KINDS["publishing_delivery"].path_for("d1")


@pytest.mark.parametrize(
    ("provider", "credential", "per_minute"),
    [
        ("reelmirror", "rm_" + "a1" * 16, 60),
        ("reelmirror", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", 120),
        ("reelbot", "rb_live_abc", 60),
    ],
)
def test_credentials_have_their_documented_limit(provider: str, credential: str, per_minute: int) -> None:
    """A key and a Supabase token have different limits, told apart by their form."""
    spec = PROVIDERS[provider]
    assert spec.credential_pattern.fullmatch(credential)
    assert spec.requests_per_minute(credential) == per_minute
    assert spec.requests_per_minute("of no known form") == 60


@pytest.mark.parametrize(
    "credential", ["", "brk_abc", "rm_", "rm_a b", "rm_a\n", "rm_é", "eyJ", "a.b.c", " rm_abc"]
)
def test_other_credentials_do_not_match(credential: str) -> None:
    """Our own keys and broken ones are no provider's credential."""
    assert not any(spec.credential_pattern.fullmatch(credential) for spec in PROVIDERS.values())


def test_auth_headers_are_the_documented_ones() -> None:
    """ReelMirror takes a bearer token, ReelBot its own header (Introduction; Authentication)."""
    assert PROVIDERS["reelmirror"].auth_headers("rm_abc") == {"Authorization": "Bearer rm_abc"}
    assert PROVIDERS["reelbot"].auth_headers("rb_live_abc") == {"X-API-Key": "rb_live_abc"}


@pytest.mark.parametrize("credential", ["", " ", "rm_a\r\nx: y", "rm_\x00", "rm_é"])
def test_auth_headers_refuse_what_no_header_can_carry(credential: str) -> None:
    """A credential that would break a header is refused, unnamed."""
    with pytest.raises(ValueError, match="printable ASCII") as refused:
        PROVIDERS["reelmirror"].auth_headers(credential)
    assert not credential.strip() or credential not in str(refused.value)


NOT_FOUND = {
    "reelmirror": b'{"error":{"code":"NOT_FOUND","message":"x"}}',
    "reelbot": b'{"code":"NOT_FOUND"}',
}


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
@pytest.mark.parametrize(
    ("http_status", "body", "expected"),
    [
        (404, None, Standing.ACCEPTED),  # None: the provider's own 404
        (402, None, Standing.ACCEPTED),
        (403, b"{}", Standing.ACCEPTED),
        (200, b'{"data":{"status":"pending"}}', Standing.ACCEPTED),
        (401, b"{}", Standing.REFUSED),
        (401, b"<html>", Standing.UNCLEAR),
        (404, b"<html>", Standing.UNCLEAR),
        (404, b'{"message":"no route"}', Standing.UNCLEAR),
        (402, b"<html>", Standing.UNCLEAR),
        (400, None, Standing.UNCLEAR),
        (429, b"{}", Standing.UNCLEAR),
        (500, b"{}", Standing.UNCLEAR),
        (200, b"<html>", Standing.UNCLEAR),
        (302, b"", Standing.UNCLEAR),
    ],
)
def test_credential_check(
    provider: ProviderSpec, http_status: int, body: bytes | None, expected: Standing
) -> None:
    """Only an answer that a stranger would not get accepts a key, and only a 401 of the provider refuses it."""
    sent = NOT_FOUND[provider.name] if body is None else body
    assert provider.check_path.startswith("/v1/")
    found = read_credential(provider, http_status=http_status, headers={}, body=sent, now_ms=0)
    assert found is expected


def test_ending_event_types() -> None:
    """An ending's event type is kind and word, and only words that the kind can end with."""
    assert ending_event_type(KINDS["generated_post"], "completed") == "generated_post.completed"
    assert ending_event_type(KINDS["reelbot_video"], "timed_out") == "reelbot_video.timed_out"
    with pytest.raises(ValueError, match="does not end"):
        ending_event_type(KINDS["sync_job"], "published")
