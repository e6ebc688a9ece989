"""JSON for arq's queue: its default, pickle, would run whatever a stranger wrote into Redis."""

import json
from typing import Any


def pack(job: dict[str, Any]) -> bytes:
    """Write one of arq's jobs."""
    return json.dumps(job).encode()


def unpack(text: bytes) -> dict[str, Any]:
    """Read one of arq's jobs."""
    job: dict[str, Any] = json.loads(text)
    return job
