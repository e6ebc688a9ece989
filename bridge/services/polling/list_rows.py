"""What a row of a list shows of its job, which may be less than a read of the job itself shows."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from bridge.domain.ids import job_key
from bridge.domain.jobs.runs import has_ended
from bridge.domain.observation import Observation, Timing
from bridge.providers.lists import Rows, RowSeen, read_row
from bridge.providers.registry import KINDS
from bridge.providers.spec import ExtraWords, Lens
from bridge.services.jobs.observe import Held

Row = Mapping[str, Any]


def rows_by_key(shard: str, account: str, kind: str, page: Rows) -> dict[str, Row]:
    """Return a page's rows by job key, without jobs that are listed twice, since either row may be the outdated one."""
    counted = Counter(identifier for identifier, _ in page.rows)
    return {
        job_key(shard, account, kind, identifier): row
        for identifier, row in page.rows
        if counted[identifier] == 1
    }


def read_row_of(held: Held, row: Row, *, words: ExtraWords, now_ms: int) -> RowSeen | None:
    """Return what a row shows of a job, None if it shows no state."""
    job = held.job.record
    lens = Lens(now_ms=now_ms, words=words, superseded=frozenset(job.superseded))
    return read_row(KINDS[job.kind], job.id, row, lens)


def needs_own_read(held: Held, row: RowSeen) -> bool:
    """Return whether a row shows an ending that has no event yet, but not all that the event needs."""
    seen = row.observation
    shows_end = seen.ending is not None or (
        row.hides_parts and seen.status in KINDS[held.job.record.kind].ends
    )
    return shows_end and not row.is_whole and not has_ended(held.job.record)


def is_partial(held: Held, row: RowSeen) -> bool:
    """Return whether a row shows less of a job than is known of it, or than a read of the job would."""
    hides_known_parts = row.hides_parts and bool(held.job.record.parts)
    return hides_known_parts or not row.is_whole or not row.names_parts


def with_known_timing(held: Held, seen: Observation) -> Observation:
    """Return an observation with the job's known poll interval: the row may lack the media on which that depends."""
    log = held.log
    if not log.interval_s:
        return seen
    return replace(seen, timing=Timing(interval_s=log.interval_s, timeout_s=log.timeout_s))


def digest_of(shown: Mapping[str, object]) -> bytes:
    """Return a hash of an object as one answer shows it; lone surrogates, which UTF-8 cannot encode, are allowed."""
    try:
        text = msgspec.json.encode(shown)
    except UnicodeEncodeError:
        text = json.dumps(shown).encode()
    return hashlib.blake2b(text, digest_size=8).digest()
