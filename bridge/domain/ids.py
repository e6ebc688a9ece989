"""Make and read ids; they are deterministic where a repetition must be harmless, and each contains its shard.

The first character behind the prefix is the shard, so that a record can be found by its id alone. A job's key is a
hash of (account, kind, upstream id); a callback's id starts with its job's key; an event's id is a hash of
(project, job key, incarnation, run, fact); a delivery's id is a hash of (event, subscription).
"""

import hashlib
from collections.abc import Callable, Iterable
from functools import lru_cache

SHARD_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_HASHED_BYTES = 20  # which are 32 letters, as many as any id may take
JOB_KEY_LENGTH = 17  # shard letter + 16 letters of hash (80 bits)


def _hash(*parts: str, letters: int) -> str:
    digest = hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).digest()
    return _spell(digest[:_HASHED_BYTES])[:letters]


def _plan_halvings() -> list[tuple[int, int, int]]:
    """Return the steps that spread 32 groups of 5 bits over 32 bytes: masks of the lower and upper halves, and a shift."""
    steps, width, apart = [], _HASHED_BYTES * 8, 256
    while width > 5:
        starts = range(0, 256, apart)
        half = (1 << width // 2) - 1
        lower = sum(half << start for start in starts)
        steps.append((lower, lower << width // 2, (apart - width) // 2))
        width, apart = width // 2, apart // 2
    return steps


_HALVINGS = _plan_halvings()
_LETTERS = bytes.maketrans(bytes(range(32)), SHARD_LETTERS.encode())


def _spell(data: bytes) -> str:
    """Return 20 bytes as base32 in lower case; `base64.b32encode` takes ten times as long, and each event has two ids."""
    number = int.from_bytes(data)
    for lower, upper, shift in _HALVINGS:
        number = number & lower | (number & upper) << shift
    return number.to_bytes(32).translate(_LETTERS).decode()


@lru_cache(maxsize=10_000)
def shard_of(account: str, shards: int) -> str:
    """Return the shard letter of an account; `shards` (1 to 32) must never change for an installation."""
    number = int.from_bytes(hashlib.sha256(account.encode()).digest()[:4], "big") % shards
    return SHARD_LETTERS[number]


def job_key(shard: str, account: str, kind: str, job_id: str) -> str:
    """Return the key of a job, which is always the same for the same provider object in the same account."""
    return shard + _hash(account, kind, job_id, letters=JOB_KEY_LENGTH - 1)


def callback_id(key: str, dice: Callable[[int], bytes]) -> str:
    """Return an id for a new callback: its job's key and 40 random bits, which the request that registers it draws."""
    return f"cb_{key}{_spell(dice(5).ljust(_HASHED_BYTES))[:8]}"


def read_request_id(callback: str) -> str:
    """Return the id of the request that registered a callback, which all callbacks of one request end with."""
    return f"req_{callback[-8:]}"


def event_id(*, project: str, key: str, born_ms: int, run: int, fact: str) -> str:
    """Return the id of a fact's event, which is the same when the fact is found again, after a crash for instance."""
    return f"evt_{key[0]}{_hash(project, key, str(born_ms), str(run), fact, letters=25)}"


class SharedHash:
    """Makes hashes of (first part, second part), hashing the first part once; each is as `delivery_id` makes it."""

    def __init__(self, first: str) -> None:
        """Take the first part."""
        self._begun = hashlib.sha256(f"{first}\x1f".encode("utf-8", "surrogatepass"))

    def letters(self, second: str, count: int) -> str:
        """Return so many letters of the hash with a second part."""
        whole = self._begun.copy()
        whole.update(second.encode("utf-8", "surrogatepass"))
        return _spell(whole.digest()[:_HASHED_BYTES])[:count]


def group_id(kind: str, ids: Iterable[str], fingerprint: bytes) -> str:
    """Return the id of a group of jobs that are waited for together: the same for the same jobs and URL in any order."""
    return f"grp_{_hash(kind, *sorted(ids), fingerprint.hex(), letters=16)}"


def chain_id(kind: str, job_id: str, fingerprint: bytes) -> str:
    """Return the id of a job's chain: the same for the same job and URL."""
    return f"chn_{_hash(kind, job_id, fingerprint.hex(), letters=16)}"


def endpoint_id(dice: Callable[[int], bytes]) -> str:
    """Return an id for a new endpoint: 80 random bits."""
    return f"ep_{_spell(dice(10).ljust(_HASHED_BYTES))[:16]}"


def is_endpoint(identifier: str) -> bool:
    """Return whether a subscription's id is that of an endpoint, not of a callback."""
    return identifier.startswith("ep_")


def delivery_id(event: str, subscription: str) -> str:
    """Return the id of the delivery of an event to a subscription."""
    return f"dlv_{event[4]}{_hash(event, subscription, letters=25)}"


def _tail(identifier: str, prefix: str, length: int) -> str | None:
    rest = identifier.removeprefix(prefix)
    whole = rest != identifier and len(rest) == length and set(rest) <= set(SHARD_LETTERS)
    return rest if whole else None


def read_callback_job(identifier: str) -> str | None:
    """Return the job key inside a callback's id, None for a malformed id."""
    rest = _tail(identifier, "cb_", JOB_KEY_LENGTH + 8)
    return rest[:JOB_KEY_LENGTH] if rest else None


def read_shard(identifier: str, prefix: str) -> str | None:
    """Return the shard letter of an `evt_` or `dlv_` id, None for a malformed id."""
    rest = _tail(identifier, prefix, 26)
    return rest[0] if rest else None
