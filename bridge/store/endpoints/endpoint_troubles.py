"""Endpoints whose receivers take nothing: since when, and how often; over all workers and shards."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from redis.asyncio import Redis

from bridge.domain.subscriptions.endpoint_trouble import DAY_MS, EndpointTrouble
from bridge.store import endpoint_keys
from bridge.store.scripts import SCRIPTS, ScriptCall, run

KEPT_MS: Final = 30 * DAY_MS  # without another failure
CLEAR_FOR_MS: Final = 60_000  # for which a process takes a record that it has removed as still removed
MOST_CLEAR: Final = 10_000


class EndpointTroubles:
    """Counts failures since the last 2xx of each endpoint; an endpoint without trouble has no record."""

    def __init__(self, redis: Redis, *, clock_ms: Callable[[], int]) -> None:
        """Take the store's client."""
        self._redis: Any = redis  # redis-py types hash commands for both clients at once
        self._clock_ms = clock_ms
        self._clear: dict[str, int] = {}  # endpoint -> until when its record is not looked for

    async def note_failure(self, project: str, endpoint: str) -> EndpointTrouble:
        """Count one failure, and return what is known then."""
        self._clear.pop(endpoint, None)
        now_ms = self._clock_ms()
        args = (now_ms, now_ms // DAY_MS, "", KEPT_MS)
        call = ScriptCall(SCRIPTS["fail_endpoint_v1"], (endpoint_keys.trouble(project, endpoint),), args)
        return _read(await run(self._redis, call))

    async def note_success(self, project: str, endpoint: str) -> None:
        """Forget the trouble of an endpoint; a process that has just done so does not ask the store again."""
        now_ms = self._clock_ms()
        if self._clear.get(endpoint, 0) > now_ms:
            return
        await self._redis.delete(endpoint_keys.trouble(project, endpoint))
        if len(self._clear) >= MOST_CLEAR:
            self._clear.clear()
        self._clear[endpoint] = now_ms + CLEAR_FOR_MS

    async def note_warning(self, project: str, endpoint: str) -> bool:
        """Note that an endpoint is warned of now; return whether nobody else did."""
        args = (self._clock_ms(), "", "1", KEPT_MS)
        call = ScriptCall(SCRIPTS["fail_endpoint_v1"], (endpoint_keys.trouble(project, endpoint),), args)
        return bool(await run(self._redis, call) == b"1")

    async def forget(self, project: str, endpoint: str) -> None:
        """Forget the trouble of an endpoint that was enabled, changed or deleted."""
        await self._redis.delete(endpoint_keys.trouble(project, endpoint))

    async def load(self, project: str, endpoints: Sequence[str]) -> dict[str, EndpointTrouble]:
        """Return what is known of those endpoints that are in trouble."""
        pipe = self._redis.pipeline(transaction=False)
        for each in endpoints:
            pipe.hmget(endpoint_keys.trouble(project, each), ["since", "failed", "days", "warned"])
        found = zip(endpoints, await pipe.execute() if endpoints else (), strict=True)
        return {each: _read(values) for each, values in found if values[0] is not None}


def _read(values: Sequence[bytes | None]) -> EndpointTrouble:
    since, failed, days, warned = (int(each or 0) for each in values)
    return EndpointTrouble(since_ms=since, failed=failed, days=days, warned_ms=warned)
