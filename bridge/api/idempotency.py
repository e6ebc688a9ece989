"""`Idempotency-Key`: the same request twice is done once, and answered twice."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from bridge.api.responses.json_response import to_json
from bridge.api.routing import ApiCall
from bridge.errors import Conflict, ValidationFailed
from bridge.store.tables.idempotency import New, Other, Same

HEADER = "Idempotency-Key"
LONGEST = 255
LOOK_EVERY_S = 0.05
PATIENCE_S = 20.0


class Answered(msgspec.Struct, frozen=True, array_like=True):
    """An answer as it is kept: status, body, and the path of what was made."""

    status: int
    body: bytes
    location: str = ""


@dataclass(frozen=True, slots=True)
class IdempotentResult:
    """An answer, and whether it was given before."""

    answer: Answered
    repeated: bool = False


def read_key(call: ApiCall) -> str | None:
    """The request's key, None without one."""
    key = call.request.headers.get(HEADER, "").strip()
    if len(key) > LONGEST:
        raise ValidationFailed(HEADER, f"at most {LONGEST} characters: use a UUID")
    try:
        key.encode()
    except UnicodeEncodeError:
        raise ValidationFailed(HEADER, "not UTF-8: use a UUID") from None
    return key or None


async def name_request(call: ApiCall) -> str:
    """Give a name that only the same request under the same key has; empty without a key."""
    key = read_key(call)
    return "" if key is None else hashlib.sha256(await _fingerprint(call) + key.encode()).hexdigest()


async def answer_once(call: ApiCall, work: Callable[[], Awaitable[Answered]]) -> IdempotentResult:
    """Do the work, unless its key has an answer; Conflict for another request under the same key."""
    key = read_key(call)
    if key is None:
        return IdempotentResult(await work())
    idempotency, vault = call.services.store.idempotency, call.services.store.vault
    fingerprint = await _fingerprint(call)
    waited_s = 0.0
    while True:
        found = await idempotency.begin(call.project, key, fingerprint)
        match found:
            case New():
                break
            case Other():
                raise Conflict(
                    f"{HEADER} was used for another request: choose a new key, or repeat that request"
                )
            case Same(answer=bytes() as answer):
                opened = vault.open(answer, record=_record(call, key))
                return IdempotentResult(msgspec.msgpack.decode(opened, type=Answered), repeated=True)
        if waited_s >= PATIENCE_S:
            raise Conflict(
                f"the first request with this {HEADER} is still being answered: repeat in a moment"
            )
        await asyncio.sleep(LOOK_EVERY_S)  # another process may hold it: only the store knows
        waited_s += LOOK_EVERY_S
    try:
        answered = await work()
    except BaseException:
        await idempotency.abandon(call.project, key)
        raise
    # The answer shows the whole callback URL, which is a secret.
    sealed = vault.seal(msgspec.msgpack.encode(answered), record=_record(call, key))
    await idempotency.finish(call.project, key, sealed)
    return IdempotentResult(answered)


def _record(call: ApiCall, key: str) -> str:
    return f"idempotency {call.project} {key}"


async def _fingerprint(call: ApiCall) -> bytes:
    request = call.request
    head = to_json([request.method, request.path, sorted(call.query_pairs())])
    return hashlib.sha256(head + b"\0" + await request.read()).digest()
