"""Approve each post of a persona as soon as it is completed; look again until so many were approved."""

import json
import os
import time
import urllib.request
from typing import Any

API, KEY, PERSONA, PACE = (os.environ[name] for name in ("API", "KEY", "PERSONA", "PACE"))


def call(method: str, path: str) -> Any:
    request = urllib.request.Request(API + path, method=method, headers={"Authorization": f"Bearer {KEY}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def is_ready(post: Any) -> bool:
    is_new = post["status"] == "completed" and post["review_status"] == "pending_review"
    return is_new and all(item["status"] == "completed" for item in post["media_items"])


approved: set[str] = set()
while len(approved) < int(os.environ["COUNT"]):
    for post in call("GET", f"/v1/personas/{PERSONA}/generated-posts?limit=100")["data"]:
        if is_ready(post) and post["id"] not in approved:
            call("POST", f"/v1/generated-posts/{post['id']}/approve")
            approved.add(post["id"])
            print(post["id"], "approved", flush=True)
    time.sleep(10 * float(PACE))
