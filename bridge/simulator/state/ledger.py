"""Money: balances and the list of transactions ("List transactions")."""

from bisect import insort
from dataclasses import dataclass
from typing import Any

from bridge.simulator.jobs.timeline import iso


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One transaction; `at` is in Unix seconds and may lie ahead (the refund of a generation that will fail)."""

    id: str
    at: float
    amount_cents: int
    operation: str
    description: str
    post_id: str | None = None
    item_id: str | None = None
    refund_of: str | None = None


class Ledger:
    """Keeps each account's transactions in the order of their times."""

    def __init__(self) -> None:
        self._entries: dict[str, list[Entry]] = {}

    def add(self, account: str, entry: Entry) -> None:
        """Add a transaction."""
        insort(self._entries.setdefault(account, []), entry, key=lambda kept: kept.at)

    def list_until(self, account: str, now: float) -> list[Entry]:
        """Return the transactions up to now, oldest first."""
        return [entry for entry in self._entries.get(account, ()) if entry.at <= now]

    def balance_cents(self, account: str, start_cents: int, now: float) -> int:
        """Return the balance in cents."""
        return start_cents + sum(entry.amount_cents for entry in self.list_until(account, now))

    def clear(self) -> None:
        """Forget all transactions."""
        self._entries.clear()


def transaction(entry: Entry, field: str) -> dict[str, Any]:
    """Return a transaction as JSON; two pages name the field of its operation differently, `field` is that name."""
    return {
        "id": entry.id,
        "amount_cents": entry.amount_cents,
        field: entry.operation,
        "description": entry.description,
        "created_at": iso(entry.at),
        "generated_post_id": entry.post_id,
        "generated_media_item_id": entry.item_id,
        "refund_of_id": entry.refund_of,
    }
