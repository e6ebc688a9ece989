"""ReelMirror as one table of calls, with its keys, limits and errors ("Introduction")."""

from collections.abc import Mapping

from bridge.simulator.behaviour.rate_windows import RateDecision
from bridge.simulator.reelmirror import personas, publishing, reads, review, starts
from bridge.simulator.requests.errors import Problem, reelmirror_error
from bridge.simulator.requests.rate_headers import format_reset, format_retry_after
from bridge.simulator.requests.upstream_call import Handler, Upstream, UpstreamRoute
from bridge.simulator.state.api_keys import is_jwt, looks_like_reelmirror
from bridge.simulator.state.simulator_state import SimulatorState

PREFIX = "/reelmirror/api/v1"
_BEARER = "bearer "


def _route(method: str, path: str, handler: Handler, scope: str, kind: str | None = None) -> UpstreamRoute:
    return UpstreamRoute(method=method, path=PREFIX + path, handler=handler, kind=kind, scope=lambda _: scope)


def _sync_job_scope(state: SimulatorState) -> str:
    return state.switches.sync_job_scope


_CONTENT = (
    _route("GET", "/generated-posts/{id}", reads.read_generated_post, "content:read", "generated_post"),
    _route("DELETE", "/generated-posts/{id}", review.delete_post, "content:write", "delete_post"),
    _route("POST", "/generated-posts/{id}/approve", review.approve, "content:write", "approve"),
    _route("POST", "/generated-posts/{id}/reject", review.reject_post, "content:write", "reject"),
    _route(
        "POST", "/generated-posts/{id}/send-to-compose", review.send_to_compose, "content:write", "compose"
    ),
    _route(
        "GET", "/generated-media-items/{id}", reads.read_media_item, "content:read", "generated_media_item"
    ),
    _route("DELETE", "/generated-media-items/{id}", review.delete_item, "content:write", "delete_item"),
    _route("POST", "/generated-media-items/{id}/reject", review.reject_item, "content:write", "reject_item"),
    _route("POST", "/generate", starts.start_generate, "content:write", "generate"),
    _route("POST", "/clone-url", starts.start_clone, "content:write", "clone_url"),
    _route("POST", "/generate/regenerate-post", starts.start_regenerate, "content:write", "regenerate_post"),
    _route("POST", "/generate/media-item", starts.start_media_item, "content:write", "regenerate_item"),
    _route("POST", "/generate/voice-convert", starts.start_voice_convert, "content:write", "voice_convert"),
    _route("POST", "/generate/toggle-public", review.toggle_public, "content:write", "toggle_public"),
)
_PERSONAS = (
    UpstreamRoute(
        method="GET",
        path=PREFIX + "/sync-jobs/{id}",
        handler=reads.read_sync_job,
        kind="sync_job",
        scope=_sync_job_scope,
    ),
    UpstreamRoute(
        method="GET",
        path=PREFIX + "/sync-jobs",
        handler=reads.list_sync_jobs,
        kind="sync_job_list",
        scope=_sync_job_scope,
    ),
    _route("POST", "/personas/{id}/sync", starts.start_sync, "sync:write", "sync"),
    _route(
        "GET",
        "/personas/{id}/generated-posts",
        reads.list_generated_posts,
        "content:read",
        "generated_post_list",
    ),
    _route("GET", "/personas/{id}/source-posts", personas.list_source_posts, "content:read"),
    _route("GET", "/personas", personas.list_personas, "personas:read", "persona_list"),
    _route("POST", "/personas", personas.create_persona, "personas:write"),
    _route("GET", "/personas/{id}", personas.read_persona, "personas:read"),
    _route("PATCH", "/personas/{id}", personas.update_persona, "personas:write"),
    _route("GET", "/personas/{id}/sources", personas.list_sources, "sources:read", "source_list"),
    _route("POST", "/personas/{id}/sources", personas.add_source, "sources:write"),
    _route("PATCH", "/personas/{id}/sources/{source_id}", personas.update_source, "sources:write"),
)
_PUBLISHING = (
    _route("GET", "/publishing/posts/{id}", reads.read_outgoing_post, "publishing:read", "outgoing_post"),
    _route("PATCH", "/publishing/posts/{id}", publishing.update_outgoing, "publishing:write"),
    _route(
        "POST", "/publishing/posts/{id}/publish", publishing.publish_outgoing, "publishing:write", "publish"
    ),
    _route(
        "POST",
        "/publishing/posts/{id}/schedule",
        publishing.schedule_outgoing,
        "publishing:write",
        "schedule",
    ),
    _route("GET", "/publishing/posts", reads.list_outgoing_posts, "publishing:read", "outgoing_post_list"),
    _route(
        "POST", "/publishing/posts", publishing.create_outgoing, "publishing:write", "create_outgoing_post"
    ),
    _route("GET", "/publishing/accounts", publishing.list_accounts, "publishing:read"),
    _route("GET", "/personas/{id}/publishing-targets", publishing.list_targets, "publishing:read"),
    _route("POST", "/personas/{id}/publishing-targets", publishing.add_target, "publishing:write"),
    _route("GET", "/billing/transactions", personas.list_transactions, "billing:read", "transaction_list"),
    _route("GET", "/billing/balance", personas.read_balance, "billing:read"),
)


def _read_key(headers: Mapping[str, str]) -> str:
    value = headers.get("Authorization", "")
    return value[len(_BEARER) :].strip() if value.lower().startswith(_BEARER) else ""


def _rate_limit(state: SimulatorState, key: str, _bucket: str) -> tuple[int, float]:
    switches = state.switches
    return (switches.rate_jwt_per_minute if is_jwt(key) else switches.rate_api_key_per_minute), 60.0


def _rate_headers(state: SimulatorState, decision: RateDecision, now: float) -> dict[str, str]:
    headers = {
        "X-RateLimit-Limit": str(decision.limit),
        "X-RateLimit-Remaining": str(decision.remaining),
        "X-RateLimit-Reset": format_reset(decision.resets_at, state.switches.rate_reset),
    }
    if not decision.allowed and state.switches.rate_retry_after:
        headers["Retry-After"] = format_retry_after(decision, now)
    return headers


def _rate_limited(_verdict: RateDecision) -> Problem:
    return Problem(429, "Too many requests")


def _unauthorized() -> Problem:
    return Problem(401, "The token is missing or invalid")


REELMIRROR = Upstream(
    name="reelmirror",
    prefix="/reelmirror",
    routes=_CONTENT + _PERSONAS + _PUBLISHING,
    read_key=_read_key,
    is_well_formed_key=looks_like_reelmirror,
    rate_limit=_rate_limit,
    rate_headers=_rate_headers,
    rate_limited=_rate_limited,
    unauthorized=_unauthorized,
    write_error=reelmirror_error,
)
