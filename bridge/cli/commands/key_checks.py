"""What `reelbridge doctor` says of the master keys of a running bridge, and of records that it cannot read."""

from collections.abc import Iterator
from typing import Any

from bridge.cli.commands.findings import Finding
from bridge.domain.counts import say_count

# What a key holds: the words for one, and those for more.
NAMES = {
    "callbacks": ("callback", "callbacks"),
    "endpoints": ("endpoint", "endpoints"),
    "signing_secrets": ("signing secret", "signing secrets"),
    "credentials": ("upstream credential", "upstream credentials"),
    "idempotent_responses": (
        "answer kept for an Idempotency-Key (a day at most)",
        "answers kept for an Idempotency-Key (a day at most)",
    ),
    "starts": (
        "call that starts work and its answer (7 days at most)",
        "calls that start work and their answers (7 days at most)",
    ),
}


def check_master_keys(ready: Any) -> Iterator[Finding]:
    """Yield a finding for each master key, from the body of `/readyz`; none before the first count."""
    details = ready.get("details") if isinstance(ready, dict) else None
    if not isinstance(details, dict) or not details.get("master_keys_counted_at"):
        return
    for number, key in enumerate(details.get("master_keys") or [], start=1):
        yield _judge(key, number, str(details["master_keys_counted_at"]))


def check_records(ready: Any) -> Iterator[Finding]:
    """Yield a finding if the body of `/readyz` tells of records that cannot be read."""
    details = ready.get("details") if isinstance(ready, dict) else None
    unreadable = details.get("unreadable_records") if isinstance(details, dict) else None
    if isinstance(unreadable, dict) and unreadable:
        held = ", ".join(f"{count} of {table}" for table, count in unreadable.items())
        yield Finding(
            level="wrong",
            text=f"records in the store cannot be read ({held}) and are passed over: the workers' log names each one as"
            " store.record_unreadable; restore them from a backup, or go back to the version that wrote them",
        )


def _judge(key: dict[str, Any], number: int, counted_at: str) -> Finding:
    name = f"master key {key.get('id')}"
    holds = ", ".join(
        say_count(count, *NAMES.get(noun, (noun, noun)))
        for noun, count in dict(key.get("holds") or {}).items()
    )
    if not key.get("configured"):
        return Finding(
            level="wrong",
            text=f"{name} is not in REELBRIDGE_MASTER_KEYS, and {holds} cannot be read without it: add it again,"
            " at the end of the list",
        )
    if key.get("encrypts"):
        return Finding(
            level="ok", text=f"{name} encrypts and holds {holds or 'nothing yet'} (counted {counted_at})"
        )
    if holds:
        return Finding(
            level="warning",
            text=f"{name} (number {number} of REELBRIDGE_MASTER_KEYS) still holds {holds}: keep it, and look again in"
            " a few minutes",
        )
    return Finding(
        level="ok",
        text=f"{name} (number {number} of REELBRIDGE_MASTER_KEYS) holds nothing (counted {counted_at}): it may be"
        " removed, if every process was started before that with another key at the front",
    )
