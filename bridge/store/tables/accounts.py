"""Accounts at providers, each with a stable id, a replaceable credential, and exactly one project."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from msgspec import Struct, structs
from redis.asyncio import Redis

from bridge.store import keys
from bridge.store.durable import DurableScripts
from bridge.store.recent import Recent
from bridge.store.records import Loaded, pack
from bridge.store.scripts import SCRIPTS, ScriptCall
from bridge.store.tables.account_health import Health
from bridge.store.tables.table import Dice, Table, draw_id
from bridge.store.vault import Vault, VaultError

WRITE_ACCOUNT = SCRIPTS["account_v1"]
WRITE_ACCOUNT_WHEN_FULL = WRITE_ACCOUNT.accepted_when_full()


class CredentialTaken(Exception):
    """The upstream credential belongs to another account: one login has one project and one budget."""


class NoSuchAccount(LookupError):
    """There is no account with this id."""


class Account(Struct, frozen=True, array_like=True, kw_only=True):
    """One login at a provider. `version` counts its credentials; `base_url` None: the provider's own address."""

    id: str
    project: str
    provider: str
    name: str
    created_ms: int
    version: int = 1
    base_url: str | None = None


class _Row(Struct, frozen=True, array_like=True):
    account: Account
    credential: bytes  # sealed for the account's id
    fingerprint: bytes


class Accounts:
    """The accounts of all projects, with their credentials."""

    def __init__(
        self,
        redis: Redis,
        vault: Vault,
        health: Health,
        *,
        clock_ms: Callable[[], int],
        dice: Dice = os.urandom,
        durable: DurableScripts | None = None,
    ) -> None:
        """Take the vault that seals credentials, and the health table, which tells workers of a new credential.

        With `durable` changes are on disk when they return.
        """
        self._redis: Any = redis  # redis-py types hash commands for both clients at once
        self._durable = durable or DurableScripts(redis, aof=False)
        self._vault = vault
        self._health = health
        self._clock_ms = clock_ms
        self._dice = dice
        self._rows = Table(redis, keys.ACCOUNTS, _Row, durable=durable)
        self._recent = Recent(self._read_by_project)

    async def create(
        self, project: str, provider: str, credential: str, name: str, *, base_url: str | None = None
    ) -> Account:
        """Create an account, or return the project's account with this credential.

        Raise `CredentialTaken` if the credential belongs to an account of another project.
        """
        account = Account(
            id=draw_id("acc_", self._dice),
            project=project,
            provider=provider,
            name=name,
            created_ms=self._clock_ms(),
            base_url=base_url,
        )
        return await self._make(account, credential)

    async def _make(self, account: Account, credential: str) -> Account:
        holder = await self._write(account, None, credential)
        if holder == account.id:
            await self._health.note_version(account.id, account.version)
            return account
        found = await self.get(holder or account.id)
        if found is None or found.project != account.project:
            raise CredentialTaken
        return found

    async def ensure(
        self, project: str, provider: str, credential: str, *, base_url: str | None = None
    ) -> Account:
        """Return a project's configured account at a provider, created or updated to this credential and address."""
        identifier = "acc_" + hashlib.sha256(f"{project} {provider}".encode()).hexdigest()[:16]
        row = await self._rows.load(identifier)
        if row is None:
            account = Account(
                id=identifier,
                project=project,
                provider=provider,
                name=provider,
                created_ms=self._clock_ms(),
                base_url=base_url,
            )
            return await self._make(account, credential)
        if row.record.account.base_url != base_url:
            account = structs.replace(row.record.account, base_url=base_url)
            await self._replace(identifier, row, structs.replace(row.record, account=account))
        if self._fingerprint(provider, credential) != row.record.fingerprint or not self._opens(row.record):
            return await self.replace_credential(identifier, credential)
        return (await self._load(identifier)).record.account

    async def get(self, account: str) -> Account | None:
        """Return an account, None if it does not exist."""
        row = await self._rows.get(account)
        return row.account if row else None

    async def find(self, provider: str, credential: str) -> Account | None:
        """Return the account with this credential, of whatever project, None without one."""
        holder = await self._redis.hget(keys.CREDENTIALS, self._fingerprint(provider, credential))
        return await self.get(holder.decode()) if holder else None

    async def all(self) -> Sequence[Account]:
        """Return the accounts of all projects, oldest first."""
        found = [row.account for row in (await self._rows.all()).values()]
        return sorted(found, key=lambda account: (account.created_ms, account.id))

    async def list(self, project: str) -> list[Account]:
        """Return a project's accounts, newest first."""
        mine = [row.account for row in (await self._rows.all()).values() if row.account.project == project]
        return sorted(mine, key=lambda account: (account.created_ms, account.id), reverse=True)

    async def list_recent(self, project: str) -> Sequence[Account]:
        """Return a project's accounts as they were half a second ago at most, newest first."""
        by_project = await self._recent.get(keys.ACCOUNTS)
        return (by_project or {}).get(project, ())

    async def _read_by_project(self, _: str) -> Mapping[str, Sequence[Account]]:
        by_project: dict[str, list[Account]] = {}
        for account in reversed(await self.all()):
            by_project.setdefault(account.project, []).append(account)
        return by_project

    async def credential(self, account: str) -> str:
        """Return an account's credential in clear; raise `NoSuchAccount`."""
        row = await self._load(account)
        sealed = row.record.credential
        plain = self._vault.open(sealed, record=account)
        if self._vault.needs_reseal(sealed):
            fresh = structs.replace(row.record, credential=self._vault.seal(plain, record=account))
            await self._replace(account, row, fresh)
        return plain.decode()

    async def credentials(self, accounts: Sequence[str]) -> dict[str, str]:
        """Return the credentials of accounts in clear, in one round trip; those that do not open are left out."""
        found = {}
        for account, row in (await self._rows.some(accounts)).items():
            with suppress(VaultError):
                found[account] = self._vault.open(row.credential, record=account).decode()
        return found

    async def reseal(self) -> Sequence[bytes]:
        """Seal all credentials with the first master key; return them as they are stored then, opened or not."""
        found = []
        async for account, row in self._rows.readable():
            sealed = row.record.credential
            with suppress(VaultError):  # the count shows it under its key
                fresh = structs.replace(row.record, credential=self._vault.reseal(sealed, record=account))
                if fresh != row.record and await self._replace(account, row, fresh):
                    sealed = fresh.credential
            found.append(sealed)
        return found

    async def count_unreadable(self) -> dict[str, int]:
        """Count the accounts that cannot be read, which lists leave out."""
        return {"accounts": await self._rows.count_unreadable()}

    async def replace_credential(self, account: str, credential: str) -> Account:
        """Replace an account's credential, which workers use from now on; raise `NoSuchAccount`, `CredentialTaken`."""
        while True:
            row = await self._load(account)
            former = row.record.account
            fresh = structs.replace(former, version=former.version + 1)
            holder = await self._write(fresh, row, credential)
            if holder == account:
                await self._health.note_version(account, fresh.version)
                return fresh
            if holder is not None:
                raise CredentialTaken

    async def _replace(self, account: str, row: Loaded[_Row], fresh: _Row) -> bool:
        """Write a row that is about as long as before, so that a full store takes it too."""
        return await self._rows.swap(account, row.raw, fresh, new_work=False)

    def _opens(self, row: _Row) -> bool:
        try:
            self._vault.open(row.credential, record=row.account.id)
        except VaultError:  # its master key is gone; the credential itself has just been given again
            return False
        return True

    async def _load(self, account: str) -> Loaded[_Row]:
        row = await self._rows.load(account)
        if row is None:
            raise NoSuchAccount(account)
        return row

    async def _write(self, account: Account, former: Loaded[_Row] | None, credential: str) -> str | None:
        """Write an account; return the id of the account that has the credential now, None after a conflict.

        Raise `StoreFull` for a new one at the memory limit; a credential is replaced there too.
        """
        fingerprint = self._fingerprint(account.provider, credential)
        sealed = self._vault.seal(credential.encode(), record=account.id)
        row = _Row(account, sealed, fingerprint)
        expected, released = (former.raw, former.record.fingerprint) if former else (b"", b"")
        call = ScriptCall(
            WRITE_ACCOUNT_WHEN_FULL if former else WRITE_ACCOUNT,
            (keys.ACCOUNTS, keys.CREDENTIALS),
            (account.id, expected, pack(row), fingerprint, released),
        )
        answer = await self._durable.run(call, touched=keys.touched("g"), new_work=former is None)
        self._recent.forget(keys.ACCOUNTS)
        if answer == b"conflict":
            return None
        return account.id if answer == b"done" else str(answer.decode())

    def _fingerprint(self, provider: str, credential: str) -> bytes:
        return self._vault.fingerprint(f"{provider}\0{credential}")
