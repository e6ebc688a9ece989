"""What `/readyz` shows of the master keys, and of records that cannot be read."""

from collections.abc import Sequence

from bridge.api.responses.models import MasterKeyShape, ReadinessDetails
from bridge.domain.times import iso_ms
from bridge.store.tables.key_usage import KeyUsage


def view_master_keys(configured: Sequence[str], usage: KeyUsage | None) -> ReadinessDetails:
    """Return what each key holds, the configured ones in their order, then missing ones; and what cannot be read."""
    held = usage.held if usage else {}
    missing = sorted(set(held) - set(configured))
    keys: list[MasterKeyShape] = [
        {
            "id": key_id,
            "configured": key_id in configured,
            "encrypts": key_id == configured[0],
            "holds": held.get(key_id, {}),
        }
        for key_id in [*configured, *missing]
    ]
    return {
        "master_keys": keys,
        "master_keys_counted_at": iso_ms(usage.counted_ms) if usage else None,
        "unreadable_records": usage.unreadable if usage else {},
    }
