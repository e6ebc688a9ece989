"""ReelMirror's status reads (reference sections "Sync", "Generated posts", "Publishing")."""

from collections.abc import Sequence
from typing import Any

from bridge.simulator.behaviour.switches import Envelope
from bridge.simulator.jobs.job_store import SimulatedJob, encode
from bridge.simulator.requests.errors import Problem, not_found
from bridge.simulator.requests.paging import respond_page
from bridge.simulator.requests.upstream_call import UpstreamCall, UpstreamResponse, wrap
from bridge.simulator.state.demo_jobs import find_or_start_demo
from bridge.simulator.state.personas import Persona


def _read(call: UpstreamCall, kind: str, what: str, envelope: Envelope) -> UpstreamResponse:
    job = call.visible_or_none(find_or_start_demo(call.state, kind, call.ids["id"]))
    body = None if job is None else job.body(call.now)
    if body is None:
        raise not_found(what)
    return UpstreamResponse(200, wrap(body, envelope))


def read_sync_job(call: UpstreamCall) -> UpstreamResponse:
    """`GET /v1/sync-jobs/{id}`."""
    return _read(call, "sync_job", "Sync job", call.state.switches.envelope_sync_job)


def read_generated_post(call: UpstreamCall) -> UpstreamResponse:
    """`GET /v1/generated-posts/{id}`."""
    return _read(call, "generated_post", "Post", call.state.switches.envelope_generated_post)


def read_outgoing_post(call: UpstreamCall) -> UpstreamResponse:
    """`GET /v1/publishing/posts/{id}`."""
    return _read(call, "outgoing_post", "Outgoing post", call.state.switches.envelope_outgoing_post)


def read_media_item(call: UpstreamCall) -> UpstreamResponse:
    """`GET /v1/generated-media-items/{id}`."""
    _, item = find_item(call, call.ids["id"])
    return UpstreamResponse(200, wrap(encode(item), call.state.switches.envelope_generated_media_item))


def find_post(call: UpstreamCall, post_id: str) -> tuple[SimulatedJob, dict[str, Any]]:
    """Return a generated post and its object as it is now; Problem 404."""
    return _found(call, "generated_post", post_id, "Post")


def find_outgoing(call: UpstreamCall, outgoing_id: str) -> tuple[SimulatedJob, dict[str, Any]]:
    """Return an outgoing post and its object as it is now; Problem 404."""
    return _found(call, "outgoing_post", outgoing_id, "Outgoing post")


def _found(call: UpstreamCall, kind: str, job_id: str, what: str) -> tuple[SimulatedJob, dict[str, Any]]:
    job = call.visible_or_none(find_or_start_demo(call.state, kind, job_id))
    seen = None if job is None else job.read(call.now)
    if job is None or seen is None:
        raise not_found(what)
    return job, dict(seen)


def find_item(call: UpstreamCall, item_id: str) -> tuple[SimulatedJob, dict[str, Any]]:
    """Return a media item and the job that holds it: its post, or the item itself if it stands alone; Problem 404."""
    holder = call.state.jobs.find_holder(item_id)
    if holder is None or holder.kind != "generated_post":
        return _found(call, "generated_media_item", item_id, "Media item")
    post = holder.read(call.now) if call.visible_or_none(holder) is not None else None
    for item in () if post is None else post["media_items"] or ():
        if item["id"] == item_id:
            return holder, item
    raise not_found("Media item")


def find_persona(call: UpstreamCall, persona_id: str) -> Persona:
    """Return a persona; Problem 404."""
    persona = call.state.persona(persona_id)
    if persona is None:
        raise not_found("Persona")
    return persona


def list_generated_posts(call: UpstreamCall) -> UpstreamResponse:
    """`GET /v1/personas/{id}/generated-posts`: at most 100 posts a page."""
    state, persona_id = call.state, call.ids["id"]
    rows = state.jobs.list_jobs("generated_post", persona_id, call.now, account=call.viewer)
    if not rows:
        find_persona(call, persona_id)
    return _page_of_jobs(call, rows, short=state.switches.list_rows == "short")


def list_outgoing_posts(call: UpstreamCall) -> UpstreamResponse:
    """`GET /v1/publishing/posts`: not documented, and absent unless switched on."""
    require_list(call, present=call.state.switches.list_outgoing_posts)
    return _page_of_jobs(
        call, call.state.jobs.list_jobs("outgoing_post", None, call.now, account=call.viewer)
    )


def list_sync_jobs(call: UpstreamCall) -> UpstreamResponse:
    """`GET /v1/sync-jobs`: not documented, and absent unless switched on."""
    require_list(call, present=call.state.switches.list_sync_jobs)
    return _page_of_jobs(call, call.state.jobs.list_jobs("sync_job", None, call.now, account=call.viewer))


def require_list(call: UpstreamCall, *, present: bool) -> None:
    """Raise a Problem for a list call that is switched off."""
    if not present:
        raise Problem(call.state.switches.absent_list_status, "There is no such list")


def _page_of_jobs(
    call: UpstreamCall, rows: Sequence[SimulatedJob], *, short: bool = False
) -> UpstreamResponse:
    def whole(job: SimulatedJob) -> bytes | None:
        return job.body(call.now)

    def documented_fields(job: SimulatedJob) -> bytes | None:
        seen = job.read(call.now)
        return None if seen is None else encode(_short(dict(seen)))

    return respond_page(call, rows, documented_fields if short else whole)


def _short(post: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that the guide "Review queue" shows in a row."""
    items = [{"id": item["id"], "status": item["status"]} for item in post["media_items"] or ()]
    return {name: post[name] for name in ("id", "status", "review_status")} | {"media_items": items}
