"""The health of accounts: whether the provider refuses the key or forbids a kind, and how many jobs vanished lately.

Fields of `{s}:acct:<acc>`: suspect_ms, outage_ms, outage_note; `suspect:<kind>` and `forbidden:<kind>` in ms;
probed_ms; version (of the credential, as accounts.py last replaced it).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from redis.asyncio import Redis

from bridge.store import keys
from bridge.store.records import UnreadableRecord, log_unreadable
from bridge.store.scripts import SCRIPTS, ScriptCall, run

Verdict = Literal["suspect", "confirmed"]
VERDICTS: dict[bytes, Verdict] = {b"suspect": "suspect", b"confirmed": "confirmed"}
_NEVER_MS = 0  # a read that began so early confirms nothing
SUSPECT, FORBIDDEN = "suspect:", "forbidden:"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountHealth:
    """The health of an account; times in Unix milliseconds, 0: never or not now. By kind for a 403 of one kind only."""

    outage_ms: int = 0
    outage_note: str = ""
    suspect_ms: int = 0
    forbidden: Mapping[str, int] = field(default_factory=dict)
    suspect_kinds: Mapping[str, int] = field(default_factory=dict)
    probed_ms: int = 0
    version: int = 0
    vanished: int = 0  # distinct jobs that were not found in the last window

    @property
    def well(self) -> bool:
        """Whether there is no refusal or suspicion, so that a good answer need not be recorded."""
        return not (self.outage_ms or self.suspect_ms or self.forbidden or self.suspect_kinds)


class Health:
    """The health of accounts. `shard_of` gives an account's shard letter."""

    def __init__(self, redis: Redis, shard_of: Callable[[str], str]) -> None:
        """Take the store's client."""
        self._redis = redis
        self._shard_of = shard_of

    async def load(self, account: str) -> AccountHealth:
        """Load an account's health."""
        return (await self.load_many((account,)))[account]

    async def load_many(self, accounts: Sequence[str]) -> dict[str, AccountHealth]:
        """Load the health of several accounts in one round trip."""
        pipe = self._redis.pipeline(transaction=False)
        for account in accounts:
            pipe.hgetall(self._place(account))
            pipe.zcard(self._gone(account))
        answers = await pipe.execute()
        return {
            account: _read_health(account, fields, gone)
            for account, fields, gone in zip(accounts, answers[::2], answers[1::2], strict=True)
        }

    def _place(self, account: str) -> str:
        return keys.account(self._shard_of(account), account)

    def _gone(self, account: str) -> str:
        return keys.gone(self._shard_of(account), account)

    async def note_refused(
        self, account: str, now_ms: int, *, begun_ms: int | None = None, note: str = ""
    ) -> Verdict:
        """Record a 401; it is confirmed by a second one whose read began after the first (default: begun now)."""
        return await self._refuse(account, ("suspect_ms", "outage_ms"), now_ms, begun_ms, note)

    async def note_forbidden(
        self, account: str, kind: str, now_ms: int, *, begun_ms: int | None = None
    ) -> Verdict:
        """Record a 403 in JSON, which stops the reads of one kind once it is confirmed, as in `note_refused`."""
        return await self._refuse(account, (SUSPECT + kind, FORBIDDEN + kind), now_ms, begun_ms, "")

    async def suspect_refused(self, account: str, now_ms: int) -> None:
        """Record a 401 that somebody else got: it confirms nothing, and is confirmed by one whose read begins later."""
        await self.note_refused(account, now_ms, begun_ms=_NEVER_MS)

    async def suspect_forbidden(self, account: str, kind: str, now_ms: int) -> None:
        """Record a 403 that somebody else got, likewise."""
        await self.note_forbidden(account, kind, now_ms, begun_ms=_NEVER_MS)

    async def _refuse(
        self, account: str, fields: tuple[str, str], now_ms: int, begun_ms: int | None, note: str
    ) -> Verdict:
        begun = now_ms if begun_ms is None else begun_ms
        args = (*fields, now_ms, begun, "outage_note", note)
        return VERDICTS[
            await run(self._redis, ScriptCall(SCRIPTS["refused_v1"], (self._place(account),), args))
        ]

    async def note_ok(self, account: str, kind: str | None = None) -> bool:
        """Record an accepted read (of this kind); return whether that ended a confirmed refusal."""
        pipe = self._redis.pipeline(transaction=True)
        place = self._place(account)
        confirmed = ["outage_ms"] + ([FORBIDDEN + kind] if kind else [])
        suspected = ["suspect_ms", "outage_note", "probed_ms"] + ([SUSPECT + kind] if kind else [])
        pipe.hdel(place, *confirmed)
        pipe.hdel(place, *suspected)
        ended, _ = await pipe.execute()
        return int(ended) > 0

    async def forget(self, account: str) -> None:
        """Remove all refusals and suspicions, because the credential was replaced."""
        asked = self._redis.hkeys(self._place(account))
        known = [name for name in await asked if name != b"version"]  # type: ignore[misc]  # redis-py types both clients at once
        if known:
            await self._redis.hdel(self._place(account), *known)  # type: ignore[misc]  # as above

    async def take_probe(self, account: str, now_ms: int, *, every_ms: int) -> bool:
        """Return whether the caller may try a refused account again, which one caller per interval may."""
        place = self._place(account)
        return bool(
            await run(self._redis, ScriptCall(SCRIPTS["probe_v1"], (place,), (now_ms, every_ms))) == b"1"
        )

    async def note_vanished(self, account: str, job: str, now_ms: int, window_ms: int) -> int:
        """Record that a seen job was not found; return how many distinct ones vanished in the window."""
        call = ScriptCall(SCRIPTS["vanished_v1"], (self._gone(account),), (job, now_ms, window_ms))
        return int(await run(self._redis, call))

    async def note_version(self, account: str, version: int) -> None:
        """Set the valid version of the credential, which workers read with their next claim."""
        call = ScriptCall(SCRIPTS["credential_version_v1"], (self._place(account),), (version,))
        await run(self._redis, call)


def _read_health(account: str, fields: Mapping[bytes, bytes], gone: int) -> AccountHealth:
    """Return an account's health; one that cannot be read counts as good, which the next read upstream shows."""
    try:
        return _parse_health(fields, gone)
    except ValueError:
        log_unreadable("account_health", account, UnreadableRecord(f"a hash of {len(fields)} fields"))
        return AccountHealth(vanished=gone)


def _parse_health(fields: Mapping[bytes, bytes], gone: int) -> AccountHealth:
    found = {name.decode(): value for name, value in fields.items()}
    return AccountHealth(
        outage_ms=int(found.get("outage_ms", 0)),
        outage_note=found.get("outage_note", b"").decode(),
        suspect_ms=int(found.get("suspect_ms", 0)),
        forbidden=_by_kind(found, FORBIDDEN),
        suspect_kinds=_by_kind(found, SUSPECT),
        probed_ms=int(found.get("probed_ms", 0)),
        version=int(found.get("version", 0)),
        vanished=gone,
    )


def _by_kind(found: Mapping[str, bytes], prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): int(ms) for name, ms in found.items() if name.startswith(prefix)}
