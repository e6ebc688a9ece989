"""Turn a registration's request into commands, with its URL and its event filter checked."""

import json

from bridge.api.requests.callback_request import CallbackRequest
from bridge.domain.deliveries.headers import check_headers
from bridge.domain.deliveries.signing import check_secret
from bridge.domain.events.filters import check_chain_patterns, check_every_kind, check_patterns
from bridge.domain.jobs.watches import GROUP
from bridge.domain.templates import describe_unfilled, find_unfilled_url
from bridge.domain.urls.policy import CheckedUrl, RefusedUrl, UrlPolicy, check_url
from bridge.errors import ValidationFailed
from bridge.providers.registry import CATALOGUE, list_chain_kinds
from bridge.services.jobs.registration_case import RegisterCallback

MAX_REQUEST_BYTES = 1024 * 1024  # that the callbacks of one request may take in the store


def judge_url(text: str, policy: UrlPolicy, *, field: str = "callback_url") -> CheckedUrl:
    """Check a callback URL; raise ValidationFailed that names the rule and the fix, never the URL."""
    if (unfilled := find_unfilled_url(text)) is not None:
        raise ValidationFailed(field, describe_unfilled(unfilled), details={"rule": "unfilled_template"})
    try:
        return check_url(text, policy)
    except RefusedUrl as refused:
        raise ValidationFailed(field, refused.message, details={"rule": refused.rule}) from None


def judge_events(patterns: tuple[str, ...], *, kind: str, once: bool) -> tuple[str, ...]:
    """Return an event filter in its stored form; raise ValidationFailed if a pattern matches no event type."""
    try:
        return check_patterns(CATALOGUE, patterns, kind=kind, once=once)
    except ValueError as error:
        raise ValidationFailed("events", str(error).removeprefix("events: ")) from None


def judge_chain_events(patterns: tuple[str, ...], *, kind: str) -> tuple[str, ...]:
    """Return a filter for the chain of a job of a kind in its stored form; raise ValidationFailed likewise."""
    try:
        return check_chain_patterns(CATALOGUE, patterns, kinds=list_chain_kinds(kind))
    except ValueError as error:
        raise ValidationFailed("events", str(error).removeprefix("events: ")) from None


def judge_endpoint_events(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Return an endpoint's event filter in its stored form; raise ValidationFailed likewise."""
    try:
        return check_every_kind(CATALOGUE, patterns)
    except ValueError as error:
        raise ValidationFailed("events", str(error).removeprefix("events: ")) from None


def judge_headers(headers: dict[str, str]) -> dict[str, str]:
    """Check a receiver's static headers; raise ValidationFailed that names the header, never its value."""
    try:
        return check_headers(headers)
    except ValueError as error:
        raise ValidationFailed("headers", str(error).removeprefix("headers: ")) from None


def judge_secret(secret: str) -> None:
    """Check a signing secret; raise ValidationFailed that names the fix."""
    try:
        check_secret(secret)
    except ValueError as error:
        raise ValidationFailed("secret", str(error)) from None


def _check_size(request: CallbackRequest) -> None:
    """Raise ValidationFailed if what the callbacks of one request store grows far beyond the request itself."""
    count = len(request.jobs.ids)
    if count == 1 or request.wait_for:
        return
    # The URL is stored sealed and masked.
    words = (request.callback_url, request.callback_url, *request.events, *(request.headers or {}).items())
    size = sum(len(word) if isinstance(word, str) else sum(map(len, word)) for word in words)
    size += len(json.dumps(request.metadata, ensure_ascii=False))
    if count * size > MAX_REQUEST_BYTES:
        raise ValidationFailed(
            "job_ids",
            f"{count} callbacks of {size:,} bytes (URL, metadata, headers) are more than one request may make: send at "
            f"most {MAX_REQUEST_BYTES // size} ids, or less metadata",
        )


def plan_commands(request: CallbackRequest, policy: UrlPolicy) -> list[RegisterCallback]:
    """Return a command for each job of a request; raise ValidationFailed for a bad URL or event filter."""
    url = judge_url(request.callback_url, policy)
    kind = GROUP if request.wait_for else request.jobs.kind
    if request.follow:
        events = judge_chain_events(request.events, kind=kind)
    else:
        events = judge_events(request.events, kind=kind, once=request.once)
    _check_size(request)
    return [
        RegisterCallback(
            kind=request.jobs.kind,
            job_id=job_id,
            url=url,
            events=events,
            once=request.once,
            late=request.late,
            metadata=request.metadata,
            headers=request.headers,
            secret=request.secret,
            persona=request.persona,
            media=request.media,
            timeout_s=request.timeout_seconds,
            expect=request.expect,
            payload=request.payload,
            retried=request.jobs.retried,
            account=request.account_id,
        )
        for job_id in request.jobs.ids
    ]
