"""Convert records into the JSON of answers. No I/O."""

from functools import lru_cache
from typing import Any, cast

from bridge.api.responses.callback_models import CallbackShape
from bridge.api.responses.event_models import AttemptShape, DeliveryShape
from bridge.api.responses.following_models import FollowedShape
from bridge.api.responses.models import (
    AccountShape,
    BudgetShape,
    JobShape,
    KeyShape,
    ProjectShape,
    SecretShape,
    TestShape,
)
from bridge.api.responses.next_attempts import explain_delay
from bridge.domain.deliveries.lanes import read_origin
from bridge.domain.deliveries.records import Attempt, Delivery, DeliveryState, visible_state
from bridge.domain.deliveries.retry import ReceiverAnswer, Verdict, judge
from bridge.domain.events.catalogue import event_type
from bridge.domain.groups.turn import count_ended
from bridge.domain.ids import is_endpoint
from bridge.domain.jobs.records import Job, PollLog
from bridge.domain.jobs.watches import CHAIN
from bridge.domain.observation import Outcome
from bridge.domain.polling.rate_limit import BudgetView, Purpose
from bridge.domain.subscriptions.callback import Callback, CallbackState
from bridge.domain.times import iso_ms
from bridge.providers.registry import CATALOGUE, KINDS, list_chain_kinds
from bridge.services.deliveries.waits import Wait
from bridge.store.tables.account_health import AccountHealth
from bridge.store.tables.accounts import Account
from bridge.store.tables.apikeys import ApiKey
from bridge.store.tables.projects import Project, Secrets

PART_ENDS = (Outcome.SUCCEEDED, Outcome.FAILED)  # a part is not watched for itself, so it has no other end


@lru_cache(maxsize=64)
def ending_types(kind: str, *, once: bool) -> tuple[str, ...]:
    """Return the event types that a callback without a filter gets.

    With `once: false` these include the ends of parts that are events of their own, such as deliveries.
    """
    types = CATALOGUE.closing_types(kind)
    reported = KINDS[kind].traits.reported_parts if kind in KINDS else None
    if reported is None or once:
        return types
    endings = (CATALOGUE.types[each] for each in CATALOGUE.closing_types(reported.kind))
    return (*types, *(each.type for each in endings if each.outcome in PART_ENDS))


@lru_cache(maxsize=64)
def chain_types(kind: str) -> tuple[str, ...]:
    """Return the event types that a callback without a filter gets of a job of a kind and of all that comes of it."""
    types: list[str] = []
    for each in list_chain_kinds(kind):
        reviews = KINDS[each].review_words
        types += [*CATALOGUE.closing_types(each), *(event_type(each, word) for word in reviews)]
    return (*types, *CATALOGUE.closing_types(CHAIN))


def list_events(job: Job, callback: Callback) -> list[str]:
    """Return the event types that a callback gets, or the patterns that it was registered with."""
    usual = (
        chain_types(job.members[0].kind) if job.kind == CHAIN else ending_types(job.kind, once=callback.once)
    )
    return list(callback.events or usual)


def iso_or_none(at_ms: int | None) -> str | None:
    """Return a time in ISO 8601, None for 0 and None."""
    return iso_ms(at_ms) if at_ms else None


def view_callback(
    job: Job, callback: Callback, *, state: CallbackState, due_ms: int | None, url: str
) -> CallbackShape:
    """Return a callback; `url` is what the caller may see of its URL."""
    live = state in (CallbackState.WATCHING, CallbackState.PAUSED)
    return {
        "id": callback.id,
        "object": "callback",
        "kind": job.kind,
        "job_id": job.id,
        "account_id": job.account,
        "state": cast("Any", str(state)),
        "status": job.status or None,
        "callback_url": url,
        "events": list_events(job, callback),
        "once": callback.once,
        "late": callback.late,
        "metadata": callback.metadata,
        "payload": callback.payload,
        "expect": callback.expect,
        "timeout_seconds": callback.timeout_s,
        "run": job.run,
        "created_at": iso_ms(callback.created_ms),
        "expires_at": iso_or_none(callback.expires_ms),
        "next_poll_at": iso_ms(abs(due_ms)) if due_ms and live else None,
        "closed_at": iso_or_none(callback.closed_ms),
        "progress": {"total": len(job.members), "ended": count_ended(job)} if job.members else None,
    }


def view_job(job: Job, log: PollLog | None, data: dict[str, Any] | None) -> JobShape:
    """Return a job with its last observed object."""
    return {
        "id": job.id,
        "object": "job",
        "kind": job.kind,
        "account_id": job.account,
        "state": str(job.state),
        "status": job.status or None,
        "run": job.run,
        "ending": job.ending or None,
        "event_id": job.ending_event or None,
        "polls": log.polls if log else 0,
        "last_poll_at": iso_or_none(log.last_ms) if log else None,
        "watched_since": iso_ms(job.born_ms),
        "data": data,
    }


def view_attempt(delivery: Delivery, attempt: Attempt) -> AttemptShape:
    """Return one attempt of a delivery."""
    return {
        "at": iso_ms(attempt.at_ms),
        "destination": read_origin(attempt.lane or delivery.lane),
        "status": attempt.status,
        "failure": attempt.failure,
        "reason": attempt.reason,
        "duration_ms": attempt.duration_ms,
        "response_excerpt": attempt.excerpt,
    }


def view_delivery(delivery: Delivery, *, due_ms: int | None, wait: Wait | None = None) -> DeliveryShape:
    """Return a delivery; `due_ms` is its next attempt in Unix milliseconds, negative while one is in flight."""
    waits = delivery.state is DeliveryState.PENDING
    of_endpoint = is_endpoint(delivery.subscription)
    return {
        "id": delivery.id,
        "object": "delivery",
        "event_id": delivery.event,
        "callback_id": None if of_endpoint else delivery.subscription,
        "endpoint_id": delivery.subscription if of_endpoint else None,
        "state": cast("Any", str(visible_state(delivery, due_ms))),
        "destination": read_origin(delivery.lane),
        "created_at": iso_ms(delivery.created_ms),
        "finished_at": iso_or_none(delivery.done_ms),
        "next_attempt_at": iso_ms(due_ms) if waits and due_ms and due_ms > 0 else None,
        "attempt_count": delivery.tries,
        "attempts": [view_attempt(delivery, attempt) for attempt in delivery.attempts],
        "reason": delivery.reason or explain_delay(delivery, due_ms, wait),
    }


def view_secret(secrets: Secrets) -> SecretShape:
    """Return a project's signing secret."""
    expires = secrets.previous_expires_ms if secrets.previous else None
    return {
        "id": "default",
        "object": "secret",
        "secret": secrets.current,
        "previous_expires_at": iso_or_none(expires),
    }


def view_project(project: Project) -> ProjectShape:
    """Return a project."""
    return {
        "id": project.id,
        "object": "project",
        "name": project.name,
        "created_at": iso_ms(project.created_ms),
    }


def view_key(key: ApiKey) -> KeyShape:
    """Return what is stored of an API key, which is not the key itself."""
    return {
        "id": key.id,
        "object": "key",
        "name": key.name,
        "scopes": sorted(key.scopes),
        "project_id": key.project,
        "hint": key.hint,
        "created_at": iso_ms(key.created_ms),
    }


def view_account(
    account: Account,
    health: AccountHealth,
    budget: BudgetView,
    *,
    watched: int,
    following: list[FollowedShape],
) -> AccountShape:
    """Return an account with its health, its rate budget and the personas it is followed for; `watched` counts its jobs."""
    return {
        "id": account.id,
        "object": "account",
        "provider": account.provider,
        "name": account.name,
        "state": "unauthorized" if health.outage_ms else "ok",
        "unauthorized_since": iso_or_none(health.outage_ms),
        "note": health.outage_note or None,
        "forbidden_kinds": sorted(health.forbidden),
        "credential_version": account.version,
        "created_at": iso_ms(account.created_ms),
        "budget": view_budget(budget, watched=watched),
        "following": following,
    }


def view_budget(budget: BudgetView, *, watched: int) -> BudgetShape:
    """Return a rate budget; the expected delay is how long a job waits on average beyond its interval."""
    spent = budget.spent
    return {
        "limit": budget.limit,
        "window_seconds": budget.window_ms / 1000,
        "remaining": budget.remaining,
        "resets_at": iso_or_none(budget.reset_ms) if budget.remaining is not None else None,
        "share": budget.share,
        "client_requests": budget.client_peak,
        "refused": budget.limited,
        "quiet_until": iso_or_none(budget.quiet_ms),
        "spent": {
            "single": spent[Purpose.SINGLE],
            "list": spent[Purpose.LIST],
            "confirm": spent[Purpose.CONFIRM],
            "probe": spent[Purpose.PROBE],
        },
        "saved": {"coalescing": budget.shared, "batching": budget.batched},
        "seconds_per_request": budget.ms_per_request / 1000,
        "expected_delay_seconds": budget.expected_delay_s(watched),
        "watched_jobs": watched,
    }


def view_test(event_id: str, answer: ReceiverAnswer) -> TestShape:
    """Return a receiver's answer to a sample."""
    verdict = judge(answer)
    return {
        "id": event_id,
        "object": "test",
        "verdict": verdict.value,
        "delivered": verdict in (Verdict.SUCCEEDED, Verdict.SUCCEEDED_WITH_WARNING),
        "status": answer.status,
        "failure": answer.failure,
        "reason": answer.reason,
        "duration_ms": answer.duration_ms,
        "response_excerpt": answer.excerpt,
    }
