"""Act upon each event once, and upon none that is older than what is known of its job."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

TABLE = (
    "CREATE TABLE IF NOT EXISTS jobs (job TEXT PRIMARY KEY, time TEXT NOT NULL, sequence INTEGER NOT NULL)"
)
NEWS = """INSERT INTO jobs (job, time, sequence) VALUES (?, ?, ?) ON CONFLICT (job) DO UPDATE
    SET time = excluded.time, sequence = excluded.sequence
    WHERE (excluded.time, excluded.sequence) > (jobs.time, jobs.sequence)"""


def handle_once(event: dict[str, Any], handle: Callable[[dict[str, Any]], None]) -> bool:
    """Call `handle` with an event that is news, and return whether it was; if it raises, nothing is kept."""
    job = f"{event['object']}/{event['job_id']}"
    with closing(sqlite3.connect(os.environ.get("WEBHOOK_DB", "webhooks.db"), timeout=10)) as db, db:
        db.execute(TABLE)
        fresh = db.execute(NEWS, (job, event["timestamp"], event["sequence"])).rowcount == 1
        if fresh:
            handle(event)
    return fresh
