"""What an account was charged, where its key may read that: it tells when work was begun, and on what."""

from collections.abc import Sequence

from msgspec.structs import replace

from bridge.domain.starts.evidence import ListedObject, Scene, is_in_time
from bridge.domain.starts.records import Start
from bridge.providers.registry import PROVIDERS
from bridge.services.accounts.account_reads import AccountReads
from bridge.store.tables.accounts import Account

Charges = Sequence[tuple[frozenset[str], int]]


async def date_by_charges(
    reads: AccountReads, account: Account, rows: Sequence[ListedObject]
) -> Sequence[ListedObject]:
    """Return a list's rows, those without a time with that of their first charge; raise NotReadNow."""
    if all(each.created_ms is not None for each in rows):
        return rows
    charges, _ = await _read_charges(reads, account)
    first: dict[str, int] = {}
    for ids, at_ms in charges:
        first |= {each: min(at_ms, first.get(each, at_ms)) for each in ids}
    return [
        each if each.created_ms is not None else replace(each, created_ms=first.get(each.id)) for each in rows
    ]


async def was_charged(reads: AccountReads, account: Account, start: Start) -> bool:
    """Return whether what a start is about was charged for in its time; raise NotReadNow."""
    charges, ahead_ms = await _read_charges(reads, account)
    scene = Scene(source="", began_ms=start.began_ms + ahead_ms, until_ms=start.until_ms + ahead_ms)
    return any(start.subject in ids and is_in_time(at_ms, scene) for ids, at_ms in charges)


async def _read_charges(reads: AccountReads, account: Account) -> tuple[Charges, int]:
    """Return an account's latest charges, and how much later than the store's clock the provider's runs."""
    charges = PROVIDERS[account.provider].charges
    page = None if charges is None else await reads.read_optional(charges.path)
    if charges is None or page is None:
        return (), 0
    return charges.read([row for _, row in page.rows.rows]), page.ahead_ms
