"""What the dashboard keeps: sessions, what sent forms led to, and saved views."""

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct
from redis.asyncio import Redis

from bridge.store.dashboard import session_keys
from bridge.store.records import pack, unpack

IDLE_MS: Final = 12 * 3600 * 1000
SESSION_MS: Final = 7 * 24 * 3600 * 1000
ACTION_MS: Final = 10 * 60 * 1000


class Session(Struct, frozen=True, array_like=True):
    """Who is signed in: the SHA-256 of the API key that was given, which is looked up at each request."""

    key: bytes
    created_ms: int


class DashboardTable:
    """The dashboard's state of all projects."""

    def __init__(self, redis: Redis, *, clock_ms: Callable[[], int]) -> None:
        """Take the store's client."""
        self._redis: Any = redis  # redis-py types hash commands for both clients at once
        self._clock_ms = clock_ms

    async def open_session(self, digest: str, key: bytes) -> None:
        """Keep a session by the hash of its cookie."""
        session = pack(Session(key, self._clock_ms()))
        await self._redis.set(session_keys.session(digest), session, px=IDLE_MS)

    async def find_session(self, digest: str) -> Session | None:
        """Return a session that is neither idle nor old, and let it live on."""
        raw = await self._redis.getex(session_keys.session(digest), px=IDLE_MS)
        if raw is None:
            return None
        session = unpack(Session, raw)
        if self._clock_ms() - session.created_ms < SESSION_MS:
            return session
        await self.close_session(digest)
        return None

    async def close_session(self, digest: str) -> None:
        """End a session."""
        await self._redis.delete(session_keys.session(digest))

    async def begin_action(self, digest: str, identifier: str) -> bytes | None:
        """Claim a form's action; return None if it is new, else its answer, empty while it is being done."""
        place = session_keys.action(digest, identifier)
        found: bytes | None = await self._redis.set(place, b"", nx=True, px=ACTION_MS, get=True)
        return found

    async def end_action(self, digest: str, identifier: str, answer: bytes) -> None:
        """Keep an action's answer."""
        await self._redis.set(session_keys.action(digest, identifier), answer, px=ACTION_MS)

    async def drop_action(self, digest: str, identifier: str) -> None:
        """Let a form be sent again: nothing was done."""
        await self._redis.delete(session_keys.action(digest, identifier))

    async def find_action(self, digest: str, identifier: str) -> bytes | None:
        """Return an action's answer."""
        found: bytes | None = await self._redis.get(session_keys.action(digest, identifier))
        return found

    async def list_views(self, project: str) -> dict[str, str]:
        """Return a project's saved views, their queries by name."""
        rows = await self._redis.hgetall(session_keys.views(project))
        return {name.decode(): query.decode() for name, query in sorted(rows.items())}

    async def save_view(self, project: str, name: str, query: str, *, most: int) -> bool:
        """Keep a view; return False if the project has too many. Two at once may make one more than `most`."""
        place = session_keys.views(project)
        names = await self._redis.hkeys(place)
        if len(names) >= most and name.encode() not in names:
            return False
        await self._redis.hset(place, name, query)
        return True

    async def drop_view(self, project: str, name: str) -> None:
        """Forget a view."""
        await self._redis.hdel(session_keys.views(project), name)
