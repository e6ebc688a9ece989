"""The answer to a call that begins work whose Idempotency-Key was used before; nothing is sent for it."""

from collections.abc import Mapping
from typing import Any

from bridge.api.requests.content_coding import decode_content
from bridge.domain.starts.records import Fingerprint, Start, StartState
from bridge.domain.starts.repeats import Repeat, name_differences
from bridge.errors import PayloadTooLarge, ValidationFailed, whole_seconds
from bridge.http.client.response_head import Field
from bridge.proxy.idempotency_key import HEADER
from bridge.proxy.proxy_call import ProxyCall
from bridge.proxy.proxy_errors import ProxyError
from bridge.proxy.start_answer import StartReply, list_status_fields
from bridge.services.context import Services
from bridge.services.starts.conclude import Finished
from bridge.services.starts.guard import Known
from bridge.services.starts.repeat import next_look_s
from bridge.services.starts.sealing import StartAnswer, open_answer

IN_FLIGHT_S = 2
DECODED_BYTES = 16 * 1024 * 1024
REPLAYED = (b"Idempotent-Replayed", b"true")
REBUILT = (b"X-Reelbridge-Rebuilt", b"true")


def reply_to_repeat(
    services: Services, call: ProxyCall, known: Known, fingerprint: Fingerprint
) -> StartReply:
    """Return the kept answer of a start; raise ProxyError where there is none."""
    start = known.start
    match known.repeat:
        case Repeat.REPLAY:
            assert start.answer is not None, "it is kept"
            return _replay(call, start, open_answer(services.store.vault, known.place, start.answer))
        case Repeat.OTHER:
            parts = name_differences(start, fingerprint)
            message = f"{HEADER} was used for another request: its {' and '.join(parts)} differed"
            raise _refuse("key_reused", f"{message}; choose a new key", 422, differs=parts)
        case Repeat.CONSUMED:
            ids = [job.id for job in start.jobs]
            message = (
                "the call with this key was done, and its answer is not kept: details.found has what it began"
            )
            raise _refuse("consumed", message, 409, found=ids)
        case Repeat.RUNNING:
            message = "the first call with this key is still under way: repeat this one"
            raise _refuse("in_flight", message, 409, retry_after_s=IN_FLIGHT_S)
        case Repeat.DOUBT:
            message = (
                "the answer to the first call with this key was lost, so that it may have been done: details.found has"
                " what it may have begun; look there, and begin anew with a new key if it was not"
            )
            wait_s = next_look_s(services, start)
            raise _refuse("unknown_outcome", message, 409, found=start.found, retry_after_s=wait_s)


def _replay(call: ProxyCall, start: Start, answer: StartAnswer) -> StartReply:
    fields, body = _decode_for(call, answer)
    marks = (REPLAYED, REBUILT) if start.state is StartState.REBUILT else (REPLAYED,)
    finished = Finished(start.registered, start.pending)
    told = list_status_fields(finished, watched=start.watched) if start.webhook else []
    return StartReply(
        status=answer.status,
        reason=b"",
        fields=(*fields, *told, *marks),
        body=body,
        registered=start.registered,
    )


def _decode_for(call: ProxyCall, answer: StartAnswer) -> tuple[tuple[Field, ...], bytes]:
    """Return an answer as it came, or without its coding where the client does not take that.

    One whose coding cannot be undone comes as it came to the first call: an error would read as if nothing had been begun.
    """
    coding = next((value for name, value in answer.fields if name.lower() == b"content-encoding"), b"")
    taken = b",".join(value for name, value in call.fields if name.lower() == b"accept-encoding")
    names = {each.partition(b";")[0].strip().lower() for each in taken.split(b",")}
    if not coding or coding.strip().lower() in names:
        return answer.fields, answer.body
    dropped = (b"content-encoding", b"content-length")
    fields = tuple(field for field in answer.fields if field[0].lower() not in dropped)
    try:
        return fields, decode_content(answer.body, coding.decode("latin-1"), limit=DECODED_BYTES)
    except (ValidationFailed, PayloadTooLarge):
        return answer.fields, answer.body


def _refuse(
    reason: str, message: str, status: int, *, retry_after_s: float | None = None, **details: Any
) -> ProxyError:
    headers: Mapping[str, str] = (
        {} if retry_after_s is None else {"Retry-After": str(whole_seconds(retry_after_s))}
    )
    return ProxyError(
        reason,
        message,
        status=status,
        code="CONFLICT",
        headers=headers,
        details={"reason": reason, **{name: list(value) for name, value in details.items()}},
    )
