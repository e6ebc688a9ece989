"""Projects and their default signing secrets."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import cast

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from bridge.domain.deliveries.signing import make_secret
from bridge.store import keys
from bridge.store.durable import DurableScripts
from bridge.store.records import Loaded
from bridge.store.tables.table import Dice, Table, draw_id
from bridge.store.vault import Vault, VaultError

DEFAULT = "prj_default"
ROTATION_MS = 24 * 3600 * 1000  # for so long both secrets sign


class Project(Struct, frozen=True, array_like=True, kw_only=True):
    """A tenant; `guest`: made for a caller who logged in with an upstream key of one's own."""

    id: str
    name: str
    created_ms: int
    guest: bool = False


class Secrets(Struct, frozen=True, array_like=True, kw_only=True):
    """A project's signing secrets: the current one, and for 24 hours after a rotation the previous one."""

    current: str
    previous: str | None = None
    previous_expires_ms: int = 0

    @property
    def signing(self) -> list[str]:
        """The secrets that sign now, the newest first."""
        return [self.current, self.previous] if self.previous else [self.current]


class _Sealed(Struct, frozen=True, array_like=True):
    secrets: bytes


class Projects:
    """The projects of this installation, and their signing secrets."""

    def __init__(
        self,
        redis: Redis,
        vault: Vault,
        *,
        clock_ms: Callable[[], int],
        dice: Dice = os.urandom,
        durable: DurableScripts | None = None,
    ) -> None:
        """Take the vault that seals secrets; with `durable` changes are on disk when they return."""
        self._vault = vault
        self._clock_ms = clock_ms
        self._dice = dice
        self._projects = Table(redis, keys.PROJECTS, Project, durable=durable)
        self._secrets = Table(redis, keys.SECRETS, _Sealed, durable=durable)

    async def ensure_default(self) -> Project:
        """Return the project `default`, created if it does not exist."""
        found = await self.get(
            DEFAULT
        )  # read first: a full store refuses even a write that would change nothing
        return found or await self.create("default", project=DEFAULT)

    async def create(self, name: str, *, project: str | None = None, guest: bool = False) -> Project:
        """Create a project, or return the existing one with the given id."""
        identifier = project or draw_id("prj_", self._dice)
        fresh = Project(id=identifier, name=name, created_ms=self._clock_ms(), guest=guest)
        await self._projects.swap(fresh.id, None, fresh)
        return cast("Project", await self.get(fresh.id))

    async def list(self) -> list[Project]:
        """Return all projects, newest first."""
        rows = await self._projects.all()
        return sorted(rows.values(), key=lambda project: (project.created_ms, project.id), reverse=True)

    async def get(self, project: str) -> Project | None:
        """Return a project, None if it does not exist."""
        return await self._projects.get(project)

    async def default_secret(self, project: str) -> Secrets:
        """Return a project's secrets, created on first use; an expired previous one is left out."""
        while (loaded := await self._secrets.load(project)) is None:
            made = self._seal(project, Secrets(current=make_secret(self._dice)))
            # Deliveries of accepted jobs are signed with it, so that a full store takes it too.
            await self._secrets.swap(project, None, made, new_work=False)
        secrets = await self._open(project, loaded)
        if secrets.previous is not None and secrets.previous_expires_ms <= self._clock_ms():
            return Secrets(current=secrets.current)
        return secrets

    async def rotate(self, project: str, new: str | None = None) -> Secrets:
        """Replace a project's secret (None: by a new one); only the one before signs too, for 24 hours."""
        chosen = new or make_secret(self._dice)
        while True:
            secrets = await self.default_secret(project)
            if secrets.current == chosen:
                return secrets
            loaded = await self._secrets.load(project)
            if loaded is None or (await self._open(project, loaded)).current != secrets.current:
                continue
            rotated = Secrets(
                current=chosen,
                previous=secrets.current,
                previous_expires_ms=self._clock_ms() + ROTATION_MS,
            )
            if await self._secrets.swap(project, loaded.raw, self._seal(project, rotated)):
                return rotated

    async def reseal(self) -> Sequence[bytes]:
        """Seal all secrets with the first master key; return them as they are stored then, opened or not."""
        found = []
        async for project, loaded in self._secrets.readable():
            sealed = loaded.record.secrets
            with suppress(VaultError):  # the count shows it under its key
                fresh = _Sealed(self._vault.reseal(sealed, record=project))
                if fresh.secrets != sealed and await self._replace(project, loaded, fresh):
                    sealed = fresh.secrets
            found.append(sealed)
        return found

    async def count_unreadable(self) -> dict[str, int]:
        """Count the projects and the signing secrets that cannot be read, which lists leave out."""
        return {
            "projects": await self._projects.count_unreadable(),
            "signing_secrets": await self._secrets.count_unreadable(),
        }

    def _seal(self, project: str, secrets: Secrets) -> _Sealed:
        return _Sealed(self._vault.seal(msgspec.msgpack.encode(secrets), record=project))

    async def _open(self, project: str, loaded: Loaded[_Sealed]) -> Secrets:
        plain = self._vault.open(loaded.record.secrets, record=project)
        secrets = msgspec.msgpack.decode(plain, type=Secrets)
        if self._vault.needs_reseal(loaded.record.secrets):
            await self._replace(project, loaded, self._seal(project, secrets))
        return secrets

    async def _replace(self, project: str, loaded: Loaded[_Sealed], resealed: _Sealed) -> bool:
        """Write what is sealed anew; a full store takes it too, because it is as long as before."""
        return await self._secrets.swap(project, loaded.raw, resealed, new_work=False)
