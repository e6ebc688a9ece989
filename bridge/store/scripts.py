"""Run the Lua scripts of the folder `lua`, by their hash, or with their source if the server does not know them."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from msgspec import Struct
from redis.asyncio import Redis, RedisCluster
from redis.exceptions import NoScriptError, OutOfMemoryError

from bridge.store.cluster_commands import Bytes, Command, Keyed, send_each
from bridge.store.errors import StoreFull

SHEBANG = b"#!lua flags=allow-oom\n"
REFUSED_SHEBANG = b"#!lua\n"


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

    def by_hash(self) -> Command:
        """Return the command for a script that the server has cached."""
        return ("EVALSHA", self.script.sha, len(self.keys), *self.keys, *self.args)

    def whole(self) -> Command:
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
    if isinstance(redis, RedisCluster):
        return (await run_many(redis, [call]))[0]
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


async def run_each(redis: Redis, calls: Sequence[ScriptCall]) -> list[Any]:
    """Run scripts in one round trip, and return the answer of each, or the error of one that failed, in order."""

    async def send(places: Sequence[int], commands: Sequence[Command]) -> list[Any]:
        if isinstance(redis, RedisCluster):
            return await send_each(
                redis,
                [Keyed(calls[at].keys[0], command) for at, command in zip(places, commands, strict=True)],
            )
        return await send_together(redis, commands)

    return await run_by_hash(calls, send)


async def run_by_hash(
    calls: Sequence[ScriptCall], send: Callable[[Sequence[int], Sequence[Command]], Awaitable[list[Any]]]
) -> list[Any]:
    """Send scripts by their hash, and again with their source where the server does not know them.

    `send` takes the places of calls and their commands, and returns an answer or error for each in order.
    """
    places = range(len(calls))
    found = await send(places, [call.by_hash() for call in calls])
    unknown = [at for at in places if isinstance(found[at], NoScriptError)]
    if unknown:
        again = await send(unknown, [calls[at].whole() for at in unknown])
        for at, answer in zip(unknown, again, strict=True):
            found[at] = answer
    return [StoreFull() if isinstance(answer, OutOfMemoryError) else answer for answer in found]


async def send_together(redis: Redis, commands: Sequence[Command]) -> list[Any]:
    """Send commands to one server in one round trip, over one connection; return their answers or errors."""
    pipe = redis.pipeline(transaction=False)
    for command in commands:
        pipe.execute_command(*command)
    return await pipe.execute(raise_on_error=False)
