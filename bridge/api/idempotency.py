"""`Idempotency-Key`: a repeated request is not done again, but gets the first one's answer."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable

import msgspec

from bridge.api.responses.json_response import to_json
from bridge.api.routing import ApiCall
from bridge.errors import Conflict, ValidationFailed
from bridge.store.tables.idempotency import New, Other, Same, open_answer, seal_answer

HEADER = "Idempotency-Key"
MAX_KEY_CHARS = 255
CHECK_INTERVAL_S = 0.05
MAX_WAIT_S = 20.0


class Answered(msgspec.Struct, frozen=True, array_like=True):
    """An answer as it is stored: status, body, and the path of the created object."""

    status: int
    body: bytes
    location: str = ""


class IdempotentResult(msgspec.Struct, frozen=True):
    """An answer, and whether an earlier request got it first."""

    answer: Answered
    repeated: bool = False


def read_key(call: ApiCall) -> str | None:
    """Return the request's idempotency key, None without one; raise ValidationFailed for a bad one."""
    key = call.request.headers.get(HEADER, "").strip()
    if len(key) > MAX_KEY_CHARS:
        raise ValidationFailed(HEADER, f"at most {MAX_KEY_CHARS} characters: use a UUID")
    try:
        key.encode()
    except UnicodeEncodeError:
        raise ValidationFailed(HEADER, "not UTF-8: use a UUID") from None
    return key or None


def name_request(call: ApiCall) -> str:
    """Return a digest of the request and its key, which only a repetition shares; empty without a key."""
    key = read_key(call)
    return "" if key is None else hashlib.sha256(_fingerprint(call) + key.encode()).hexdigest()


async def answer_once(call: ApiCall, work: Callable[[], Awaitable[Answered]]) -> IdempotentResult:
    """Do the work, unless the key has an answer already.

    Raise Conflict for a different request with the same key, or when the first one takes longer than MAX_WAIT_S.
    """
    key = read_key(call)
    if key is None:
        return IdempotentResult(await work())
    idempotency, vault = call.services.store.idempotency, call.services.store.vault
    fingerprint = _fingerprint(call)
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
                opened = open_answer(vault, call.project, key, answer)
                return IdempotentResult(msgspec.msgpack.decode(opened, type=Answered), repeated=True)
        if waited_s >= MAX_WAIT_S:
            raise Conflict(
                f"the first request with this {HEADER} is still being answered: repeat in a moment"
            )
        await asyncio.sleep(
            CHECK_INTERVAL_S
        )  # another process may do the work, so that only the store can tell
        waited_s += CHECK_INTERVAL_S
    try:
        answered = await work()
    except BaseException:
        await idempotency.abandon(call.project, key)
        raise
    # The answer shows the whole callback URL, which is a secret.
    sealed, name = seal_answer(vault, call.project, key, msgspec.msgpack.encode(answered))
    await idempotency.finish(call.project, key, sealed, name)
    return IdempotentResult(answered)


def _fingerprint(call: ApiCall) -> bytes:
    request = call.request
    head = to_json([request.method, request.path, sorted(call.query_pairs())])
    return hashlib.sha256(head + b"\0" + call.content).digest()
