"""What a closing event leaves out where all of its jobs together are too large."""

import pytest

from bridge.domain.events.event import DATA_BYTES
from bridge.domain.js_json import to_js_json
from bridge.services.groups.rows import fit_rows, show_job

JOBS = 500  # the most that a group or a chain takes
NODE = {"parent": {"kind": "generated_post", "id": "p" * 36}, "link": "inferred", "review": "approved"}


@pytest.mark.parametrize(
    ("extra", "object_bytes", "message", "left"),
    [
        ({}, 10, "", ""),  # fits
        ({}, 2_000, "", ""),  # only the objects are too large
        ({}, 10, "e" * 900, "e" * 60),
        (NODE, 10, "e" * 900, None),  # a chain's rows are longer
    ],
)
def test_a_closing_event_says_how_every_job_ended_however_large(
    extra: dict[str, object], object_bytes: int, message: str, left: str | None
) -> None:
    """What is the same in the jobs' own events goes first; nothing else does."""
    rows = []
    for number in range(JOBS):
        row = show_job("generated_media_item", f"{number:036}", None) | extra
        error = {"code": "upstream_failed", "message": message, "retryable": True, "items": []}
        row |= {"event_id": "evt_" + "a" * 26, "type": "generated_media_item.failed", "outcome": "failed"}
        rows.append(row | {"status": "failed", "error": error, "data": {"text": "x" * object_bytes}})
    data, is_shortened = fit_rows({"id": "grp_1", "total": JOBS}, rows)
    assert len(to_js_json(data)) <= DATA_BYTES
    assert is_shortened == (data["jobs"] != rows)
    assert (data["id"], data["total"]) == ("grp_1", JOBS)
    kept = ("kind", "id", "job_id", "event_id", "type", "status", "outcome", "run", *extra)
    assert [[each[name] for name in kept] for each in data["jobs"]] == [
        [row[name] for name in kept] for row in rows
    ]
    assert {each["error"] and each["error"]["message"] for each in data["jobs"]} == {left}
