"""Read a proxied request's target: which provider it is for, and what is asked of it. No I/O."""

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from bridge.errors import ValidationFailed
from bridge.providers.registry import PROVIDERS
from bridge.proxy.proxy_errors import ProxyError

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


def find_provider(raw: str) -> str | None:
    """Return the provider whose prefix a request's target, as it was sent, lies behind; None for any other target."""
    found = _PREFIX.match(_split_authority(raw)[1])
    return PREFIXES[found[1]] if found else None


def prefix_of(provider: str) -> str:
    """Return the beginning of the paths that lead to a provider."""
    return f"/{provider}/api"


def read_target(raw: str, *, host: str) -> Target:
    """Return what a target behind a provider's prefix means; `host` is the request's Host header.

    Raise ValidationFailed for a target that an upstream may read as a path outside of its own, ProxyError for one of
    another host.
    """
    authority, local = _split_authority(raw)
    if authority and authority.lower() != host.lower():
        raise ProxyError(
            "misdirected", "this is not the host that the request names", status=421, code="VALIDATION_ERROR"
        )
    provider = find_provider(raw)
    assert provider is not None, "other targets are not proxied"
    tail = local[len(prefix_of(provider)) :] or "/"
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
    return Target(provider=provider, tail=tail, path=decoded.decode("utf-8", "replace"))


def fold_path(path: str) -> str:
    """Return a path as a lenient upstream may read it: without case, doubled slashes, parameters, the last slash."""
    parts = _SLASHES.sub("/", path.casefold()).split("/")
    return "/".join(part.partition(";")[0].strip() for part in parts).rstrip("/") or "/"


def is_under(path: str, beginnings: tuple[str, ...]) -> bool:
    """Return whether a path, read as leniently as an upstream may, is one of some paths or lies below one."""
    folded = fold_path(path)
    return any(folded == each or folded.startswith(f"{each}/") for each in beginnings)


def _split_authority(raw: str) -> tuple[str, str]:
    found = _AUTHORITY.match(raw)
    return (found[1], raw[found.end() :]) if found else ("", raw)
