"""Run the Lua scripts of the folder `lua`, by their hash, or with their source if the server does not know them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, OutOfMemoryError

from bridge.store.errors import StoreFull, StoreNotDurable

Bytes = bytes | str | int
SHEBANG = b"#!lua flags=allow-oom\n"
REFUSED_SHEBANG = b"#!lua\n"
WAITAOF_MS = (
    8000  # long enough for slow disks (1.5 s for an fsync was seen), short enough for clients that wait
)


@dataclass(frozen=True, slots=True)
class Script:
    """A script and the hash under which the server caches it."""

    source: bytes
    sha: str

    @classmethod
    def read(cls, source: bytes) -> "Script":
        """Return the script with this source."""
        return cls(source, hashlib.sha1(source).hexdigest())  # noqa: S324 -- EVALSHA's hash is SHA-1

    def refusing_when_full(self) -> "Script":
        """Return the same script for new work, which Redis refuses at `maxmemory` before it starts."""
        return Script.read(self.source.replace(SHEBANG, REFUSED_SHEBANG, 1))

    def accepted_when_full(self) -> "Script":
        """Return the same script for work in progress, which Redis runs at `maxmemory` too."""
        return Script.read(self.source.replace(REFUSED_SHEBANG, SHEBANG, 1))


class ScriptCall(Struct, frozen=True, gc=False):
    """A script with its keys and arguments, ready to send."""

    script: Script
    keys: Sequence[str]
    args: Sequence[Bytes]

    def by_hash(self) -> tuple[Bytes, ...]:
        """Return the command for a script that the server has cached."""
        return ("EVALSHA", self.script.sha, len(self.keys), *self.keys, *self.args)

    def whole(self) -> tuple[Bytes, ...]:
        """Return the command that contains the script."""
        return ("EVAL", self.script.source, len(self.keys), *self.keys, *self.args)


def _load() -> Mapping[str, Script]:
    folder = files(__package__) / "lua"
    return {
        entry.name.removesuffix(".lua"): Script.read(entry.read_bytes())
        for entry in folder.iterdir()
        if entry.name.endswith(".lua")
    }


SCRIPTS = _load()


async def run(redis: Redis, call: ScriptCall) -> Any:
    """Run one script and return its answer; raise `StoreFull` if new work is refused."""
    try:
        try:
            return await redis.execute_command(*call.by_hash())  # type: ignore[no-untyped-call]  # redis-py
        except NoScriptError:
            return await redis.execute_command(*call.whole())  # type: ignore[no-untyped-call]  # redis-py
    except OutOfMemoryError:
        raise StoreFull from None


async def run_many(redis: Redis, calls: Sequence[ScriptCall]) -> list[Any]:
    """Run scripts in one round trip, and return their answers in order. Each one is atomic.

    If one of them fails, its error is raised (`StoreFull` at the memory limit), and the others have still run.
    """
    answers = await run_each(redis, calls)
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


async def run_each(redis: Redis, calls: Sequence[ScriptCall], *, durable: bool = False) -> list[Any]:
    """Run scripts in one round trip, and return the answer of each, or the error of one that failed, in order.

    With `durable` wait until all is on disk, on the same connection, as WAITAOF requires; what is not confirmed has
    `StoreNotDurable` as its answer.
    """
    found = await _send(redis, [call.by_hash() for call in calls], durable=durable)
    unknown = [at for at, answer in enumerate(found[: len(calls)]) if isinstance(answer, NoScriptError)]
    if unknown:
        again = await _send(redis, [calls[at].whole() for at in unknown], durable=durable)
        for at, answer in zip(unknown, again, strict=False):
            found[at] = answer
        found[len(calls) :] = again[len(unknown) :]
    answers = [StoreFull() if isinstance(answer, OutOfMemoryError) else answer for answer in found]
    if not durable:
        return answers
    *answers, waited = answers
    if isinstance(waited, Exception) or int(waited[0]) < 1:
        return [answer if isinstance(answer, Exception) else StoreNotDurable() for answer in answers]
    return answers


async def _send(redis: Redis, commands: Sequence[tuple[Bytes, ...]], *, durable: bool) -> list[Any]:
    pipe = redis.pipeline(transaction=False)
    for command in commands:
        pipe.execute_command(*command)
    if durable:
        pipe.execute_command("WAITAOF", 1, 0, WAITAOF_MS)
    return await pipe.execute(raise_on_error=False)
