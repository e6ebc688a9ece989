"""Read a proxied request's target: which provider it is for, and what is asked of it. No I/O."""

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from bridge.errors import NotFound, ValidationFailed
from bridge.providers.registry import PROVIDERS

PREFIXES = {f"/{name}/api": name for name in PROVIDERS}
_PREFIX = re.compile(f"({'|'.join(map(re.escape, PREFIXES))})(?=[/?]|$)")
_AUTHORITY = re.compile(r"https?://([^/?#]*)", re.IGNORECASE)
_VISIBLE = re.compile(r"[\x21-\x7e]*")
_ENCODED = re.compile(r"%(?:2f|5c|00)", re.IGNORECASE)
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_SLASHES = re.compile("/{2,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a request is for. `tail` is the text behind the prefix, as it was sent, and is what goes upstream.

    `path` is that text without the query, decoded once, for rules only: what is forwarded is never made from it.
    """

    provider: str
    tail: str
    path: str


def is_proxied(raw: str) -> bool:
    """Return whether a request's target, as it was sent, lies behind a provider's prefix."""
    return _PREFIX.match(_strip_authority(raw)[1]) is not None


def read_target(raw: str, *, host: str) -> Target:
    """Return what a target means; `host` is the request's Host header.

    Raise ValidationFailed for a target that an upstream may read as a path outside of its own, NotFound for one of
    another host or with no provider's prefix.
    """
    authority, local = _strip_authority(raw)
    found = _PREFIX.match(local)
    if found is None or (authority and authority.lower() != host.lower()):
        raise NotFound("there is nothing at this path: proxied paths begin with " + ", ".join(PREFIXES))
    tail = local[found.end() :] or "/"
    tail = tail if tail.startswith("/") else "/" + tail
    path, _, _ = tail.partition("?")
    if not _VISIBLE.fullmatch(tail) or "\\" in path or "#" in tail or _ENCODED.search(path):
        raise ValidationFailed(
            "path",
            "it holds a character that has no place there, or an encoded slash: encode it as the provider documents",
        )
    decoded = unquote_to_bytes(path)
    if _CONTROL.search(decoded) or any(
        part.partition(b";")[0] in (b".", b"..") for part in decoded.split(b"/")
    ):
        raise ValidationFailed(
            "path", "a part of it is `.` or `..`, or holds a control character: send it resolved"
        )
    return Target(
        provider=PROVIDERS[PREFIXES[found[1]]].name, tail=tail, path=decoded.decode("utf-8", "replace")
    )


def fold_path(path: str) -> str:
    """Return a path as a lenient upstream may read it: without case, doubled slashes, parameters, the last slash."""
    parts = _SLASHES.sub("/", path.casefold()).split("/")
    return "/".join(part.partition(";")[0].strip() for part in parts).rstrip("/") or "/"


def _strip_authority(raw: str) -> tuple[str, str]:
    found = _AUTHORITY.match(raw)
    return (found[1], raw[found.end() :]) if found else ("", raw)
