"""API keys, of which only a hash is stored."""

import base64
import hashlib
import os
from collections.abc import Callable, Iterable

from msgspec import Struct
from redis.asyncio import Redis

from bridge.store import keys
from bridge.store.durable import DurableScripts
from bridge.store.recent import Recent
from bridge.store.tables.projects import Projects
from bridge.store.tables.table import Dice, Table, draw_id

PREFIX = "brk_"
ALL_SCOPES = frozenset({"register", "read", "manage", "proxy", "admin"})
KEY_BYTES = 25  # 200 bits: 40 letters of base32


class ApiKey(Struct, frozen=True, array_like=True, kw_only=True):
    """The record of a key, without the key itself; `hint` is its last four characters.

    `account` is the only account that it uses at a provider; empty: any of its project's.
    """

    id: str
    project: str
    name: str
    scopes: frozenset[str]
    created_ms: int
    hint: str
    account: str = ""


class ApiKeys:
    """The API keys of all projects."""

    def __init__(
        self,
        redis: Redis,
        projects: Projects,
        *,
        clock_ms: Callable[[], int],
        dice: Dice = os.urandom,
        durable: DurableScripts | None = None,
    ) -> None:
        """Take the projects that keys belong to; with `durable` changes are on disk when they return."""
        self._keys = Table(redis, keys.API_KEYS, ApiKey, durable=durable)
        self._projects = projects
        self._valid = Recent(self._read_valid)
        self._clock_ms = clock_ms
        self._dice = dice

    async def create(
        self, project: str, scopes: Iterable[str], name: str, text: str | None = None
    ) -> tuple[ApiKey, str]:
        """Create a key and return it with its text, which cannot be read again; `text` is a given one."""
        text = text or PREFIX + base64.b32encode(self._dice(KEY_BYTES)).decode().lower()
        key = self._plan(draw_id("key_", self._dice), project, scopes, name, text)
        return await self._put(key, text), text

    def _plan(self, identifier: str, project: str, scopes: Iterable[str], name: str, text: str) -> ApiKey:
        return ApiKey(
            id=identifier,
            project=project,
            name=name,
            scopes=frozenset(scopes),
            created_ms=self._clock_ms(),
            hint=text[-4:],
        )

    async def _put(self, key: ApiKey, text: str, *, new_work: bool = True) -> ApiKey:
        former = await self._keys.load(digest_key(text))
        await self._keys.swap(digest_key(text), former.raw if former else None, key, new_work=new_work)
        self._valid.forget(digest_key(text))
        return key

    async def find(self, text: str) -> ApiKey | None:
        """Return the key with this text, None for a wrong or revoked one."""
        return await self._keys.get(digest_key(text))

    async def find_valid(self, text: str) -> ApiKey | None:
        """Return the key with this text, as it was half a second ago at most.

        None for a wrong or revoked one, and for a key of a project that is gone.
        """
        return await self.find_by_digest(digest_key(text))

    async def find_by_digest(self, digest: bytes) -> ApiKey | None:
        """Return the same for the hash of a key's text, see `digest_key`."""
        return await self._valid.get(digest)

    async def _read_valid(self, digest: bytes) -> ApiKey | None:
        key = await self._keys.get(digest)
        return None if key is None or await self._projects.get(key.project) is None else key

    async def list(self, project: str) -> list[ApiKey]:
        """Return a project's keys, newest first."""
        mine = [key for key in (await self._keys.all()).values() if key.project == project]
        return sorted(mine, key=lambda key: (key.created_ms, key.id), reverse=True)

    async def count_unreadable(self) -> dict[str, int]:
        """Count the keys that cannot be read, which lists leave out."""
        return {"api_keys": await self._keys.count_unreadable()}

    async def revoke(self, project: str, identifier: str) -> bool:
        """Revoke a key at once; return False if the project has no key with this id."""
        rows = (await self._keys.all()).items()
        mine = [digest for digest, key in rows if (key.project, key.id) == (project, identifier)]
        removed = [await self._keys.remove(digest) for digest in mine]
        for digest in mine:
            self._valid.forget(digest)
        return any(removed)

    async def ensure(self, text: str, project: str, scopes: Iterable[str]) -> ApiKey:
        """Create or update the configured key with at least these scopes, and revoke the one configured before.

        A full store takes it too: a project has one, and what runs is to be started and looked at.
        """
        wanted = frozenset(scopes)
        identifier = "key_" + hashlib.sha256(f"bootstrap {project}".encode()).hexdigest()[:16]
        found = await self.find(text)
        if (
            found is not None
            and (found.project, found.id) == (project, identifier)
            and found.scopes >= wanted
        ):
            return found
        await self.revoke(project, identifier)
        key = self._plan(identifier, project, wanted, "bootstrap", text)
        return await self._put(key, text, new_work=False)


def digest_key(text: str) -> bytes:
    """Return the hash by which a key is stored."""
    # A plain hash is enough, because 200 random bits cannot be guessed.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
