"""What `reelbridge doctor` says of master keys, from the body of `/readyz`."""

from collections.abc import Mapping

import pytest

from bridge.cli.commands.key_checks import check_master_keys

NOUNS = ("callbacks", "endpoints", "signing_secrets", "credentials", "idempotent_responses", "starts")


def describe(holds: Mapping[str, int]) -> str:
    """Return what is said of a key that encrypts and holds so many of each."""
    key = {"id": "k1", "configured": True, "encrypts": True, "holds": holds}
    ready = {"details": {"master_keys_counted_at": "2026-11-21T10:00:00.000Z", "master_keys": [key]}}
    (finding,) = check_master_keys(ready)
    return finding.text


COUNTED = "(counted 2026-11-21T10:00:00.000Z)"
ONE = (
    "1 callback",
    "1 endpoint",
    "1 signing secret",
    "1 upstream credential",
    "1 answer kept for an Idempotency-Key (a day at most)",
    "1 call that starts work and its answer (7 days at most)",
)
TWO = (
    "2 callbacks",
    "2 endpoints",
    "2 signing secrets",
    "2 upstream credentials",
    "2 answers kept for an Idempotency-Key (a day at most)",
    "2 calls that start work and their answers (7 days at most)",
)


@pytest.mark.parametrize(("count", "words"), [(1, ONE), (2, TWO)])
def test_what_a_key_holds_is_counted_in_words(count: int, words: tuple[str, ...]) -> None:
    """One secret is no secrets."""
    said = describe(dict.fromkeys(NOUNS, count))
    assert said == f"master key k1 encrypts and holds {', '.join(words)} {COUNTED}"


def test_what_a_newer_bridge_counts_keeps_its_name() -> None:
    """Words for it are not known here."""
    assert describe({"wonders": 1}) == f"master key k1 encrypts and holds 1 wonders {COUNTED}"
