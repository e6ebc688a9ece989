"""Decide which URLs may be called: the text at registration, and the address at every connect.

A URL is split here and not by a library: only what all parsers read alike is accepted, so that the checked host is the
one that is called. The parts are those of RFC 3986, the unusual spellings those of the WHATWG URL standard.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network

from msgspec import Struct

from bridge.domain.urls.denylist import find_rule, read_address
from bridge.domain.urls.host import RefusedUrl, fixed_address, split_authority

__all__ = [
    "CheckedUrl",
    "RefusedUrl",
    "UrlPolicy",
    "check_url",
    "explain_rule",
    "judge_address",
    "judge_connect",
    "mask_url",
    "plan_policy",
]

MAX_URL_CHARACTERS = 4096
LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<rest>.*)")
_QUOTES = ('"', "'", "`", "<", ">")
_BARE = re.compile(r"(?://)?[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::\d+)?(?:[/?#]|\Z)", re.ASCII)
_INBOX = re.compile(r"inbox:[A-Za-z0-9._-]{0,64}")
_UNSAFE = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ud800-\udfff\\]")
_PAIR_VALUE = re.compile(r"=.*", re.DOTALL)
_USER_INFO = re.compile(r"//[^/]*@")


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlPolicy:
    """What is allowed beyond https to public addresses; `own_origins` are the bridge's own addresses, `host:port`."""

    allow_http: bool
    networks: tuple[IPv4Network | IPv6Network, ...]
    own_origins: frozenset[str]


class CheckedUrl(Struct, frozen=True, gc=False):  # one is made for each registration and each attempt
    """An accepted URL; `target` is the path and query of the request line, byte for byte as given."""

    text: str
    inbox: bool
    scheme: str = "inbox"
    host: str = ""
    port: int = 0
    target: str = ""

    @property
    def origin(self) -> str:
        """The URL's origin, `https://host:port` in one spelling; of a text without a host its scheme, as `inbox:`."""
        if not self.host:
            return f"{self.scheme}:"
        return f"{self.scheme}://{_bracket(self.host.removesuffix('.'))}:{self.port}"

    @property
    def masked(self) -> str:
        """The URL as lists and logs may show it: without query values and fragment."""
        return self.text if self.inbox else mask_url(self.text)


def plan_policy(
    *,
    host: str,
    allow_http: bool | None,
    allow_networks: str | None,
    own_origins: frozenset[str],
    behind_proxy: bool = False,
) -> UrlPolicy:
    """Return the policy for the settings; None, for an unset one, allows loopback and http if `host` is loopback.

    It does not with `behind_proxy`: then the bridge is reached from elsewhere although it listens on loopback.
    Raise `ValueError` with the fix for a malformed network.
    """
    local_only = _is_loopback(host) and not behind_proxy
    if allow_networks is None:
        networks: tuple[IPv4Network | IPv6Network, ...] = LOOPBACK if local_only else ()
    else:
        networks = tuple(_read_network(part) for part in re.split(r"[\s,]+", allow_networks.strip()) if part)
    return UrlPolicy(
        allow_http=local_only if allow_http is None else allow_http,
        networks=networks,
        own_origins=frozenset(origin.lower() for origin in own_origins),
    )


def check_url(text: str, policy: UrlPolicy) -> CheckedUrl:
    """Check and split a callback URL, without DNS; raise `RefusedUrl`."""
    if len(text) > MAX_URL_CHARACTERS:
        raise RefusedUrl("too_long", f"the URL is too long: at most {MAX_URL_CHARACTERS} characters")
    if text[:6].lower() == "inbox:":
        return _check_inbox(text)
    if _UNSAFE.search(text):
        raise RefusedUrl(
            "bad_character",
            "the URL holds a space, line break, backslash or control character: remove it or write it as %20, %5C …",
        )
    parts = _URL.fullmatch(text)
    if parts is None or (parts["authority"] in ("http:", "https:") and parts["path"].startswith("//")):
        raise RefusedUrl("not_a_url", _explain_form(text))
    scheme = parts["scheme"].lower()
    _check_scheme(scheme, policy)
    host, port = split_authority(parts["authority"], scheme)
    _check_host(host, port, policy)
    query, _, _ = parts["rest"].partition("#")
    return CheckedUrl(
        text,
        inbox=False,
        scheme=scheme,
        host=host,
        port=port,
        target=_escape(parts["path"] or "/") + _escape(query),
    )


def _explain_form(text: str) -> str:
    """Return what is wrong with a text that is no URL, without the text."""
    if text.startswith(_QUOTES) or text.endswith(_QUOTES):
        return "the URL has quotes or brackets around it: remove them"
    if _URL.fullmatch(text):
        return "the URL begins with http:// or https:// twice: remove one"
    if _BARE.match(text):
        return "the URL does not begin with https:// (or http:// where that is allowed): add it"
    return "the URL is not complete: it must look like https://host/path"


def mask_url(text: str) -> str:
    """Return a URL with user info, query values and fragment hidden; names in the query stay recognizable."""
    head, hash_sign, _ = text.partition("#")
    head, mark, query = head.partition("?")
    shown = _USER_INFO.sub("//***@", head, count=1) + mark
    if query:
        shown += "&".join(
            _PAIR_VALUE.sub("=***", pair) if "=" in pair else "***" for pair in query.split("&")
        )
    return shown + ("#***" if hash_sign else "")


def judge_address(address: str, policy: UrlPolicy) -> str | None:
    """Return the name of the rule that refuses an address (text, as a resolver returns it), None if it is allowed."""
    parsed = read_address(address)
    if parsed is None:
        return "not_an_address"
    if any(parsed in network for network in policy.networks):
        return None
    return find_rule(parsed)


def judge_connect(address: str, port: int, policy: UrlPolicy) -> str | None:
    """Do as `judge_address` for a connection, and refuse the bridge's own API under whatever name it was looked up."""
    if _is_own(address.partition("%")[0], port, policy):
        return "own_api"
    return judge_address(address, policy)


def explain_rule(rule: str) -> str:
    """Return a sentence that says why an address is refused and what to do, without the address."""
    if rule == "own_api":
        return (
            "the URL points to this bridge itself: use the URL of your receiver, or `inbox:` for trying out"
        )
    return (
        f"the URL points to a refused address range ({rule}): use a public address, or let the operator allow "
        "the network in REELBRIDGE_ALLOW_NETWORKS"
    )


def _check_inbox(text: str) -> CheckedUrl:
    if _INBOX.fullmatch(text) is None:
        raise RefusedUrl(
            "bad_inbox", "write `inbox:` alone, or with a name of letters, digits, `.`, `_` or `-`"
        )
    return CheckedUrl(text, inbox=True)


def _check_scheme(scheme: str, policy: UrlPolicy) -> None:
    if scheme == "https" or (scheme == "http" and policy.allow_http):
        return
    if scheme == "http":
        raise RefusedUrl(
            "http",
            "plain http is not allowed here: use https://, or let the operator set REELBRIDGE_ALLOW_HTTP=true",
        )
    raise RefusedUrl(
        "scheme",
        "only https:// URLs can be called (and http:// where that is allowed): change the part before ://",
    )


@lru_cache(maxsize=1024)
def _check_host(host: str, port: int, policy: UrlPolicy) -> None:
    address = fixed_address(host)
    if _is_own(address or host.removesuffix("."), port, policy):
        raise RefusedUrl("own_api", explain_rule("own_api"))
    if address is not None:
        rule = judge_address(address, policy)
        if rule is not None:
            raise RefusedUrl(rule, explain_rule(rule))


def _is_own(host: str, port: int, policy: UrlPolicy) -> bool:
    """Return whether host and port are the bridge's own API; if that listens on loopback, any local address is."""
    if f"{_bracket(host)}:{port}" in policy.own_origins:
        return True
    if not _is_local(host):
        return False
    return any(
        own.endswith(f":{port}") and _is_local(own.rpartition(":")[0].strip("[]"))
        for own in policy.own_origins
    )


@lru_cache(maxsize=1024)
def _is_local(host: str) -> bool:
    address = read_address(fixed_address(host) or host)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address is not None and (address.is_loopback or address.is_unspecified)


def _is_loopback(host: str) -> bool:
    address = read_address(fixed_address(host.strip("[]").lower()) or "")
    return address is not None and address.is_loopback


def _read_network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError:
        pass
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f"REELBRIDGE_ALLOW_NETWORKS: {text!r} is no network: write 10.0.0.0/8 or fd00::/8, commas between several"
        ) from None
    raise ValueError(f"REELBRIDGE_ALLOW_NETWORKS: {text!r} has bits set behind its mask: write {meant}")


def _bracket(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _escape(part: str) -> str:
    """Percent-encode non-ASCII characters, which a request line cannot hold, as UTF-8; leave the rest as given."""
    if part.isascii():
        return part
    return "".join(c if c.isascii() else "".join(f"%{byte:02X}" for byte in c.encode()) for c in part)
