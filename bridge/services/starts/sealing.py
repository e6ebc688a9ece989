"""Seal and open what a guarded start keeps secret: what is to be registered for its jobs, and the provider's answer.

Each value is sealed under the start's place and opens under no other. Opening raises `VaultError`.
"""

from msgspec import Struct, msgpack
from msgspec.structs import replace

from bridge.domain.starts.records import Start
from bridge.services.context import Services
from bridge.services.jobs.registration_case import RegisterCallback
from bridge.store.vault import Vault, VaultError


class StartAnswer(Struct, frozen=True, array_like=True):
    """A provider's answer to a start as a repetition gets it: status, fields in their order, and the body as it came."""

    status: int
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes


def seal_answer(vault: Vault, place: str, answer: StartAnswer) -> bytes:
    """Return an answer as it is stored."""
    return vault.seal(msgpack.encode(answer), record=_record(place))


def open_answer(vault: Vault, place: str, sealed: bytes) -> StartAnswer:
    """Return a stored answer."""
    return msgpack.decode(vault.open(sealed, record=_record(place)), type=StartAnswer)


def seal_webhook(vault: Vault, place: str, webhook: RegisterCallback) -> bytes:
    """Return what is to be registered for a start's jobs as it is stored."""
    return vault.seal(msgpack.encode(webhook), record=_record(place))


def open_webhook(vault: Vault, place: str, sealed: bytes) -> RegisterCallback:
    """Return what is to be registered for a start's jobs."""
    return msgpack.decode(vault.open(sealed, record=_record(place)), type=RegisterCallback)


def reseal_start(vault: Vault, place: str, start: Start) -> Start:
    """Return the record with everything sealed under the newest master key; what does not open stays as it is."""

    def renew(sealed: bytes | None) -> bytes | None:
        try:
            return sealed and vault.reseal(sealed, record=_record(place))
        except VaultError:
            return sealed

    return replace(start, webhook=renew(start.webhook), answer=renew(start.answer))


def _record(place: str) -> str:
    return f"start {place}"


async def reseal_starts(services: Services) -> list[bytes]:
    """Seal all starts with the first master key; return what is sealed in them, as it is stored then."""
    found: list[bytes] = []
    for shard in services.store.shards:
        async for place, loaded in services.store.starts.scan(shard):
            fresh = reseal_start(services.store.vault, place, loaded.record)
            if fresh != loaded.record:
                unit = services.unit_of_work(shard)
                unit.put_start(place, fresh, loaded)
                # One that changes meanwhile is found by the next sweep.
                written = await services.store.committer.commit(unit.change()) == "done"
                fresh = fresh if written else loaded.record
            found += [sealed for sealed in (fresh.webhook, fresh.answer) if sealed is not None]
    return found
