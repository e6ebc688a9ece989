"""The lane that a delivery waits in: one for each URL without its query, in its project.

A whole n8n, Make or Zapier account is one origin, so an origin is no unit that may fail together. The query is left
out, since tools put a token there that differs from one registration to the next.
"""

from collections.abc import Callable
from typing import Final

INBOX: Final = "inbox:"
_DIGEST_CHARACTERS = 16


def name_lane(project: str, origin: str, url: str, *, fingerprint: Callable[[str], bytes]) -> str:
    """Return the name of a URL's lane: project, origin and a keyed digest of the path, since URLs are secret.

    `fingerprint` must need a key: without one a path that can be guessed could be confirmed by its digest.
    """
    if origin == INBOX:
        return f"{project} {INBOX}"
    path = url.partition("#")[0].partition("?")[0]
    return f"{project} {origin} {fingerprint(f'{origin} {path}').hex()[:_DIGEST_CHARACTERS]}"


def read_project(lane: str) -> str:
    """Return the project that a lane belongs to; "?" for the lane that 0.1 shared among projects."""
    return lane.partition(" ")[0]


def read_origin(lane: str) -> str:
    """Return the origin that a lane leads to, `https://host:port` or `inbox:`."""
    return lane.split(" ", 2)[1]


def is_origin_wide(lane: str) -> bool:
    """Return whether a lane is one of version 0.1, which kept all URLs of an origin in one."""
    return lane.count(" ") < 2 and not lane.endswith(f" {INBOX}")
