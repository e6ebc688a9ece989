"""Turn a registration's request into commands, with its URL and its event filter checked."""

from bridge.api.requests.callback_request import CallbackRequest
from bridge.domain.deliveries.headers import check_headers
from bridge.domain.deliveries.signing import check_secret
from bridge.domain.events.filters import check_patterns
from bridge.domain.urls.policy import CheckedUrl, RefusedUrl, UrlPolicy, check_url
from bridge.errors import ValidationFailed
from bridge.providers.registry import CATALOGUE
from bridge.services.jobs.registration import RegisterCallback


def judge_url(text: str, policy: UrlPolicy, *, field: str = "callback_url") -> CheckedUrl:
    """Check a callback URL; raise ValidationFailed that names the rule and the fix, never the URL."""
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


def plan_commands(request: CallbackRequest, policy: UrlPolicy) -> list[RegisterCallback]:
    """Return a command for each job of a request; raise ValidationFailed for a bad URL or event filter."""
    url = judge_url(request.callback_url, policy)
    events = judge_events(request.events, kind=request.jobs.kind, once=request.once)
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
