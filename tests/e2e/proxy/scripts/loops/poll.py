"""Sync a persona's sources and wait for each job, with growing pauses."""

import json
import os
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from typing import Any

API, KEY, PERSONA, PACE = (os.environ[name] for name in ("API", "KEY", "PERSONA", "PACE"))


def call(method: str, path: str) -> Any:
    request = urllib.request.Request(API + path, method=method, headers={"Authorization": f"Bearer {KEY}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def poll(
    read: Callable[[], Any],
    is_done: Callable[[Any], bool],
    first: float = 5,
    longest: float = 60,
    tries: int = 60,
) -> Any:
    pause = first
    for _ in range(tries):
        found = read()
        if is_done(found):
            return found
        time.sleep(pause * float(PACE))
        pause = min(pause * 1.5, longest)
    raise TimeoutError(f"no end after {tries} reads")


def is_over(found: Any) -> bool:
    return found["data"]["status"] in ("completed", "failed", "skipped")


begun = call("POST", f"/v1/personas/{PERSONA}/sync")
for job in begun.get("data", begun)["job_ids"]:
    done = poll(partial(call, "GET", f"/v1/sync-jobs/{job}"), is_over)
    print(job, done["data"]["status"])
