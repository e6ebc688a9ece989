"""What the heads of a client's own request and of its answer say that the answer shows: a row a case."""

import pytest

from bridge.providers.passing import Shown, Sight, read_shown
from bridge.providers.registry import PROVIDERS

JSON = {"content-type": "application/json; charset=utf-8"}
ITEM = "generated_media_item"
CONVERSION = "voice_conversion"
POST = "generated_post"


def shown(sight: Sight, *kinds: str, job_id: str = "a1", age_s: int = 0) -> Shown:
    return Shown(sight=sight, kinds=kinds, job_id=job_id, age_s=age_s)


def rows(kind: str) -> Shown:
    return Shown(sight=Sight.ROWS, kinds=(kind,))


def ask(
    line: str, status: int = 200, headers: dict[str, str] | None = None, *, provider: str = "reelmirror"
) -> Shown | None:
    method, _, target = line.partition(" ")
    path, _, query = target.partition("?")
    headers = JSON if headers is None else headers
    return read_shown(
        PROVIDERS[provider], method=method, path=path, query=query, status=status, headers=headers
    )


@pytest.mark.parametrize(
    ("line", "status", "more", "wanted"),
    [
        # A whole answer to the read of one job shows its state, to all that is read there.
        ("GET /v1/generated-posts/a1", 200, {}, shown(Sight.STATE, POST)),
        ("GET /v1/sync-jobs/a1", 200, {}, shown(Sight.STATE, "sync_job")),
        ("GET /v1/generated-media-items/a1", 200, {}, shown(Sight.STATE, ITEM, CONVERSION)),
        ("GET /v1/generated-posts/a1", 200, {"content-encoding": "gzip"}, shown(Sight.STATE, POST)),
        # Out of a cache it is as old as it says, and of unknown age if it does not say.
        (
            "GET /v1/sync-jobs/a1",
            200,
            {"age": "30", "x-cache": "HIT"},
            shown(Sight.STATE, "sync_job", age_s=30),
        ),
        ("GET /v1/sync-jobs/a1", 200, {"x-cache": "Hit from an edge"}, None),
        ("GET /v1/sync-jobs/a1", 200, {"cf-cache-status": "HIT"}, None),
        ("GET /v1/sync-jobs/a1", 200, {"age": "3601"}, None),
        ("GET /v1/sync-jobs/a1", 200, {"age": "-1"}, None),
        ("GET /v1/sync-jobs/a1", 200, {"age": "9" * 5000}, None),
        # What may be part of a job, or cannot be read here, shows nothing.
        ("GET /v1/generated-posts/a1?fields=status", 200, {}, None),
        ("GET /v1/generated-posts/a1", 206, {}, None),
        ("GET /v1/generated-posts/a1", 304, {}, None),
        ("GET /v1/generated-posts/a1?x=1", 304, {"etag": '"v1"'}, None),
        ("GET /v1/personas/a1", 304, {"etag": '"v1"'}, None),
        ("GET /v1/generated-posts/a1", 200, {"content-encoding": "br"}, None),
        ("GET /v1/generated-posts/a1", 200, {"content-type": "text/html"}, None),
        ("HEAD /v1/generated-posts/a1", 200, {}, None),
        # Neither do other paths.
        ("GET /v1/generated-posts/a1/comments", 200, {}, None),
        ("GET /v1/generated-posts", 200, {}, None),
        ("GET /v1/generated-posts/..", 200, {}, None),
        ("GET /v1/personas/a1", 200, {}, None),
        # A page of a list shows many, unless a parameter may leave out parts of them.
        ("GET /v1/personas/p1/generated-posts", 200, {}, rows(POST)),
        ("GET /v1/personas/p1/generated-posts?limit=20&offset=40", 200, {}, rows(POST)),
        ("GET /v1/personas/p1/generated-posts?limit=20&status=completed", 200, {}, None),
        ("GET /v1/personas/../generated-posts", 200, {}, None),
        ("GET /v1/personas/p1/generated-posts", 404, {}, None),
        ("GET /v1/sync-jobs?limit=5", 200, {}, rows("sync_job")),
        # A 404 of the provider's own is to be confirmed; a page says nothing of a job.
        ("GET /v1/generated-posts/a1", 404, {}, shown(Sight.ABSENCE, POST)),
        ("GET /v1/generated-posts/a1", 410, {}, shown(Sight.ABSENCE, POST)),
        ("GET /v1/generated-posts/a1", 404, {"content-type": "text/html"}, None),
        ("GET /v1/generated-posts/a1?x=1", 404, {}, None),
        # A refusal is to be confirmed, where the bridge's own reads would be refused too.
        ("GET /v1/generated-posts/a1", 401, {}, shown(Sight.REFUSED, POST)),
        ("GET /v1/personas/p1/generated-posts", 401, {}, Shown(sight=Sight.REFUSED, kinds=())),
        ("GET /v1/personas/p1", 401, {}, None),
        ("POST /v1/auth/login", 401, {}, None),
        ("GET /v1/generated-posts/a1", 401, {"content-type": "text/html"}, None),
        ("GET /v1/generated-posts/a1", 403, {}, shown(Sight.FORBIDDEN, POST)),
        ("GET /v1/personas/p1/generated-posts", 403, {}, None),
        ("POST /v1/generated-posts/a1/reject", 403, {}, None),
        # Limits and outages concern no job.
        ("GET /v1/generated-posts/a1", 429, {}, None),
        ("GET /v1/generated-posts/a1", 503, {}, None),
        # What the client changed may have another state now, unless it was refused.
        ("DELETE /v1/generated-posts/a1", 204, {}, shown(Sight.CHANGE, POST)),
        ("PATCH /v1/generated-posts/a1", 200, {}, shown(Sight.CHANGE, POST)),
        ("POST /v1/generated-posts/a1/reject", 200, {}, shown(Sight.CHANGE, POST)),
        ("POST /v1/generated-posts/a1/reject", 409, {}, None),
        ("DELETE /v1/personas/a1", 204, {}, None),
    ],
)
def test_what_an_answer_shows(line: str, status: int, more: dict[str, str], wanted: Shown | None) -> None:
    """Only what a read of the bridge's own would show as well is relied upon."""
    assert ask(line, status, JSON | more) == wanted


def test_a_304_shows_that_a_job_is_as_it_was() -> None:
    """It has no type of content; its ETag tells what the job is like."""
    same = Shown(sight=Sight.SAME, kinds=(POST,), job_id="a1", etag='"v1"')
    assert ask("GET /v1/generated-posts/a1", 304, {"etag": '"v1"'}) == same


def test_another_provider_has_paths_of_its_own() -> None:
    """A path of one provider shows nothing at the other."""
    line = "GET /v1/video/status/abcdefghijkl"
    assert ask(line, provider="reelbot") == shown(Sight.STATE, "reelbot_video", job_id="abcdefghijkl")
    assert ask(line) is None
