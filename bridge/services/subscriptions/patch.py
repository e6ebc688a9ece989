"""Apply a client's changes to a callback."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from bridge.domain.jobs.callbacks import (
    CALLBACK_BYTES_PER_JOB,
    CallbacksTooLarge,
    check_size,
    list_live_callbacks,
)
from bridge.domain.jobs.deadlines import is_live
from bridge.domain.jobs.records import Job
from bridge.domain.jobs.watches import GROUP, is_watch
from bridge.domain.subscriptions.callback import Callback
from bridge.domain.urls.policy import CheckedUrl
from bridge.errors import Conflict, PayloadTooLarge
from bridge.services.context import Services, lasts_ms
from bridge.services.subscriptions.sealing import seal_headers, seal_text


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackPatch:
    """Fields to change: UNSET leaves a field as it is, None removes it where it may be removed."""

    url: CheckedUrl | UnsetType = UNSET
    headers: Mapping[str, str] | UnsetType | None = UNSET
    metadata: Any = UNSET
    events: tuple[str, ...] | UnsetType = UNSET
    timeout_s: float | UnsetType | None = UNSET


def check_changeable(callback: Callback) -> None:
    """Raise Conflict for a watch, which has no URL and sends nothing."""
    if is_watch(callback.origin):
        raise Conflict(
            "this callback belongs to GET /v1/jobs/{kind}/{id}?wait and sends nothing: register one for your URL"
        )


def check_identity(job: Job, changed: Callback) -> None:
    """Raise Conflict if another live callback of the job has the same URL, since a job and a URL identify a callback."""
    if not is_live(changed):
        return
    for other in list_live_callbacks(job):
        if other.fingerprint == changed.fingerprint and other.id != changed.id:
            raise Conflict(
                f"callback_url: {other.id} sends this job to that URL already: change or delete that one"
            )


def check_callback_sizes(before: Job, after: Job, *, now_ms: int) -> None:
    """Raise PayloadTooLarge if a change makes a job's callbacks larger than they may be."""
    try:
        check_size(before, after, now_ms=now_ms)
    except CallbacksTooLarge:
        raise refuse_size() from None


def refuse_size() -> PayloadTooLarge:
    """Return the error that says which limit was met and what to do about it."""
    megabytes = CALLBACK_BYTES_PER_JOB >> 20
    return PayloadTooLarge(
        f"the callbacks of this job would take more than {megabytes} MB together: send less `metadata` and fewer "
        "`headers`, or delete callbacks of this job first"
    )


def apply_patch(services: Services, job: Job, callback: Callback, change: CallbackPatch) -> Callback:
    """Return the changed callback of a job, with its secrets sealed."""
    vault = services.store.vault
    if not isinstance(change.url, UnsetType):
        callback = replace(
            callback,
            url=seal_text(vault, callback.id, change.url.text),
            origin=change.url.origin,
            masked="",
            fingerprint=vault.fingerprint(change.url.text),
        )
    if not isinstance(change.headers, UnsetType):
        callback = replace(callback, headers=seal_headers(vault, callback.id, change.headers))
    if change.metadata is not UNSET:
        callback = replace(callback, metadata=change.metadata)
    if not isinstance(change.events, UnsetType):
        callback = replace(callback, events=change.events)
    if not isinstance(change.timeout_s, UnsetType):
        lasts = lasts_ms(
            services,
            job.timed_kind if job.kind == GROUP else job.kind,
            once=callback.once,
            timeout_s=change.timeout_s,
        )
        callback = replace(callback, timeout_s=change.timeout_s, expires_ms=callback.created_ms + lasts)
    return callback
