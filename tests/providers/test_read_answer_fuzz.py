"""Whatever an upstream sends, reading it neither raises nor invents an end."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.domain.observation import (
    Observation,
    Observed,
    PollResult,
    Throttled,
    UpstreamBroken,
    UpstreamBusy,
)
from bridge.providers import KINDS, KindSpec, Lens
from bridge.providers.read import part_observation, read_answer, read_rate
from bridge.providers.status_words import fold

NOW_MS = 1_767_609_000_000
BODIES = [
    content["body"]
    for path in sorted(Path(__file__).parent.glob("*/*.json"))
    if isinstance((content := json.loads(path.read_text()))["body"], dict)
]
JOB = "job-1"

KIND = st.sampled_from(list(KINDS.values()))
WORDS = sorted({word for kind in KINDS.values() for word in (*kind.ends, *kind.runs)})
NAMES = st.sampled_from(
    [
        "data",
        "post",
        "id",
        "status",
        "media_items",
        "deliveries",
        "voice_conversion_status",
        "review_status",
        "media_type",
        "scheduled_for",
        "error",
        "error_message",
        "projectId",
        "details",
        "code",
        "message",
    ]
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from([*WORDS, JOB])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=4), inner, max_size=6)
    ),
    max_leaves=20,
)
ANSWER = st.dictionaries(NAMES, JSON, max_size=6)
STATUS = st.integers(min_value=100, max_value=599)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["Retry-After", "x-ratelimit-reset", "X-RateLimit-Remaining", "X-RateLimit-Limit", "Content-Type"]
    ),
    st.text(max_size=20)
    | st.integers().map(str)
    | st.floats().map(str)
    | st.datetimes().map(lambda d: d.isoformat()),
    max_size=5,
)
FUZZ = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def read(
    kind: KindSpec, body: bytes, *, status: int = 200, headers: dict[str, str] | None = None
) -> PollResult:
    return read_answer(kind, job_id=JOB, http_status=status, headers=headers or {}, body=body, now_ms=NOW_MS)


def texts(value: Any) -> set[str]:
    match value:
        case str():
            return {value}
        case dict():
            return {text for child in value.values() for text in texts(child)}
        case list():
            return {text for child in value for text in texts(child)}
        case _:
            return set()


def check_sound(kind: KindSpec, value: Any, seen: Observation) -> None:
    """An observation is well-formed, and an ending rests on an ending word in the answer."""
    table = {*kind.ends, *(kind.part.ends if kind.part else ())}
    if not {fold(text, loose=kind.loose_words) for text in texts(value)} & table:
        assert seen.ending is None
    if seen.ending:
        assert seen.ending.word in kind.ending_words
        assert seen.progress is None
        assert not seen.idle
    assert seen.progress in (None, *kind.progress_words) or kind.name == "publishing_delivery"
    assert seen.data["id"]
    assert len(seen.status) <= 100
    for part in seen.parts:
        for name in kind.part_kinds:
            part_observation(KINDS[name], part, seen, lens=Lens(now_ms=NOW_MS))


@FUZZ
@given(kind=KIND, value=ANSWER | JSON)
def test_no_answer_ends_a_job_without_an_ending_word(kind: KindSpec, value: Any) -> None:
    """Any JSON under 200 is read without an exception, and ends nothing on words that are in no table."""
    result = read(kind, json.dumps(value).encode())
    if isinstance(result, Observed):
        check_sound(kind, value, result.observation)


@FUZZ
@given(kind=KIND, body=st.sampled_from(BODIES), at=st.integers(0, 200), put=JSON)
def test_a_true_answer_with_one_value_swapped(kind: KindSpec, body: Any, at: int, put: Any) -> None:
    """A recorded body with any one value replaced by anything is read without an exception."""
    broken = json.loads(json.dumps(body))
    places: list[tuple[Any, Any]] = []
    todo = [broken]
    while todo:
        node = todo.pop()
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                todo.append(node[key])
    if places:
        node, key = places[at % len(places)]
        node[key] = put
    result = read(kind, json.dumps(broken).encode())
    if isinstance(result, Observed):
        check_sound(kind, broken, result.observation)


@FUZZ
@given(
    kind=KIND,
    status=STATUS,
    headers=HEADERS,
    body=st.binary(max_size=200) | JSON.map(lambda v: json.dumps(v).encode()),
)
def test_any_status_headers_and_bytes(
    kind: KindSpec, status: int, headers: dict[str, str], body: bytes
) -> None:
    """Whatever the status, headers and bytes, a Reading comes back with sane waits and a short reason."""
    result = read(kind, body, status=status, headers=headers)
    match result:
        case Throttled(until_ms=until_ms):
            assert NOW_MS + 1_000 <= until_ms <= NOW_MS + 3_600_000
        case UpstreamBusy(wait_s=wait_s):
            assert 1 <= wait_s <= 3_600
        case _:
            reason = getattr(result, "reason", "")
            assert len(reason) <= 200
            assert reason.isprintable()
    rate = read_rate(headers=headers, body=body, http_status=status, now_ms=NOW_MS)
    assert rate.reset_ms is None or NOW_MS - 60_000 <= rate.reset_ms <= NOW_MS + 3_600_000
    assert rate.remaining is None or rate.remaining >= 0


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 1_000_000,
        b'{"data":' * 200_000,
        b'{"data":' * 80 + b'{"status":"completed"}' + b"}" * 80,  # readable, but nobody could write it again
        b"[" * 900 + b"]" * 900,
        b'{"data":{"status":"completed","x":' + b"[" * 900 + b"]" * 900 + b"}}",
    ],
    ids=["open brackets", "open objects", "80 envelopes", "900 lists", "900 lists inside"],
)
@pytest.mark.parametrize("status", [200, 404, 429])
def test_depth_bombs_are_outages(body: bytes, status: int) -> None:
    """A body nested beyond reason says nothing about the job, and raises nothing."""
    result = read(KINDS["sync_job"], body, status=status)
    assert isinstance(result, Throttled if status == 429 else UpstreamBroken)


@pytest.mark.parametrize(
    "body",
    [
        b'{"data":{"status":"completed"}',
        b"\xff\xfe{}",
        b"\x00" * 64,
    ],
    ids=["cut short", "utf-16", "zeros"],
)
def test_unreadable_json_is_an_outage(body: bytes) -> None:
    """JSON that a strict reader refuses, or that could not be written again, is Broken."""
    assert isinstance(read(KINDS["sync_job"], body), UpstreamBroken)


@pytest.mark.parametrize("count", [1_000, 1_001, 5_000])
def test_more_items_than_any_post_has_still_end_it(count: int) -> None:
    """All of them count, so that the end is not lost; the first thousand are followed one by one."""
    items = [{"id": f"i{n}", "status": "failed"} for n in range(count)]
    body = json.dumps({"data": {"id": JOB, "status": "failed", "media_items": items}}).encode()
    result = read(KINDS["generated_post"], body)
    assert isinstance(result, Observed)
    seen = result.observation
    assert seen.ending is not None
    assert (seen.ending.word, seen.ending.message, len(seen.parts)) == (
        "failed",
        f"{count} of {count} items failed",
        1_000,
    )


@pytest.mark.parametrize("word", ["completed" + " " * 150, "x" * 5_000, "\ncompleted\n", "COMPLETED"])
def test_a_status_is_one_short_line(word: str) -> None:
    """However a word is dressed, what is shown of it is short and printable."""
    result = read(KINDS["sync_job"], json.dumps({"status": word}).encode())
    assert isinstance(result, Observed)
    assert result.observation.status.isprintable()
    assert len(result.observation.status) <= 100
    assert (result.observation.ending is not None) == ("x" not in word)


def test_a_truncated_emoji_is_no_outage() -> None:
    """A caption cut in the middle of an emoji, as JavaScript cuts it, is read like any other text."""
    result = read(KINDS["sync_job"], b'{"status":"completed","caption":"a\\ud83d"}')
    assert isinstance(result, Observed)
    assert result.observation.ending is not None
