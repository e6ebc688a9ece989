"""Answers that a strict reader refuses, or that are far too large: what the documented clients read is read."""

import json
import time
from typing import Any

import pytest

from bridge.domain.observation import Observation, Observed, UpstreamBroken
from bridge.providers.large_answers import LARGE_BYTES, close_cut_json
from bridge.providers.read import read_answer
from bridge.providers.registry import KINDS


def read(body: bytes, kind: str = "sync_job", *, is_cut: bool = False) -> Observation:
    result = read_answer(
        KINDS[kind], job_id="j1", http_status=200, headers={}, body=body, now_ms=0, is_cut=is_cut
    )
    assert isinstance(result, Observed), result
    return result.observation


@pytest.mark.parametrize(
    "value",
    [b'"caf\xe9"', b"NaN", b"-Infinity", b"1" * 6_000, b"1e999", b"0." + b"3" * 6_000],
    ids=["a byte that is no UTF-8", "NaN", "infinite", "6,000 digits", "too large", "fine digits"],
)
def test_a_value_that_is_no_json_costs_no_status(value: bytes) -> None:
    """`requests` reads all of these, `fetch` most of them, and none of them is about the job's state."""
    seen = read(b'{"data":{"id":"j1","odd":%b,"status":"completed"}}' % value)
    assert seen.ending is not None
    json.dumps(seen.data, allow_nan=False)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_an_encoding_that_requests_guesses(encoding: str) -> None:
    assert read(json.dumps({"id": "j1", "status": "completed"}).encode(encoding)).ending is not None


def test_a_large_answer_is_understood_and_not_kept_whole() -> None:
    """What tells the state of the job and its parts is left, and that it is not all is said."""
    items = [{"id": f"i{n}", "status": "completed", "url": "u", "prompt": "p" * 5_000} for n in range(1_200)]
    body = json.dumps({"data": {"id": "j1", "media_items": items, "status": "completed"}}).encode()
    assert len(body) > 2 * LARGE_BYTES
    seen = read(body, "generated_post")
    assert seen.ending is not None
    assert (seen.shortened, len(seen.parts), len(seen.data["media_items"])) == (True, 1_000, 1_200)
    assert len(json.dumps(seen.data)) < LARGE_BYTES


def test_blanks_do_not_make_an_answer_large() -> None:
    seen = read(b'{"id":"j1","status":"completed","n":[1]}' + b" " * 2 * LARGE_BYTES)
    assert (seen.shortened, seen.data) == (False, {"id": "j1", "status": "completed", "n": [1]})


@pytest.mark.parametrize(
    ("cut", "closed"),
    [
        ('{"data":{"id":"j1","status":"completed","text":"xx', '{"data":{"id":"j1","status":"completed"}}'),
        ('{"status":"completed","text":"a\\\\","b":tru', '{"status":"completed","text":"a\\\\"}'),
        (
            '{"status":"x","items":[{"id":"1","a":{}},{"id":"2","st',
            '{"status":"x","items":[{"id":"1","a":{}}]}',
        ),
        ('{"status":"x","items":[{"id":"1","tags":["a","b"', '{"status":"x"}'),
        ('{"status":"completed"}      ', '{"status":"completed"}'),
        ('{"a":[1,2],"b":{"c":1},"d', '{"a":[1,2],"b":{"c":1}}'),
        ("[[[", ""),
        ("no json", ""),
    ],
)
def test_a_beginning_is_closed_behind_its_last_whole_member(cut: str, closed: str) -> None:
    """An item that was cut inside is left out: the field that matters may be the one that is missing."""
    assert close_cut_json(cut.encode()).decode() == closed


def cut_post(status: str) -> bytes:
    items = [{"id": f"i{n}", "status": "completed", "prompt": "p" * 99} for n in range(9_000)]
    whole: dict[str, Any] = {"data": {"id": "j1", "status": status, "media_items": items}}
    return json.dumps(whole).encode()[:1_000_000]


def test_of_an_answer_that_was_cut_the_status_counts() -> None:
    """`completed` in its beginning is an end; the items that were seen end nothing by themselves."""
    began = time.process_time()
    assert read(cut_post("completed"), "generated_post", is_cut=True).ending is not None
    assert read(cut_post("generating"), "generated_post", is_cut=True).ending is None
    text = b'{"data":{"id":"j1","text":"%b","status":"completed","more":"x' % (b"\\n" * 3_000_000)
    assert read(text, is_cut=True).ending is not None
    assert time.process_time() - began < 2.0


def test_a_beginning_without_a_state_is_an_outage() -> None:
    body = b'{"data":{"id":"j1","text":"%b' % (b"x" * 3_000_000)
    result = read_answer(
        KINDS["sync_job"], job_id="j1", http_status=200, headers={}, body=body, now_ms=0, is_cut=True
    )
    assert isinstance(result, UpstreamBroken)
