"""Normalize the host of a URL, so that the same form is checked, looked up and connected to."""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

import idna

from bridge.domain.urls.denylist import read_address

DEFAULT_PORTS = {"http": 80, "https": 443}
# Names that have the same address everywhere.
KNOWN_NAMES = {
    "localhost.localdomain": "127.0.0.1",
    "ip6-localhost": "::1",
    "ip6-loopback": "::1",
    "metadata.google.internal": "169.254.169.254",
    "metadata.goog": "169.254.169.254",
}

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


class RefusedUrl(ValueError):
    """A URL is refused; `rule` is a word for statistics, `message` names the rule and the fix, never an address."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule
        self.message = message


# Cached, since the same origin comes with every delivery.
@lru_cache(maxsize=1024)
def split_authority(authority: str, scheme: str) -> tuple[str, int]:
    """Return the host as it is sent (lower case, ASCII, no brackets) and the port; raise RefusedUrl."""
    if "@" in authority:
        raise RefusedUrl(
            "userinfo",
            "user name and password in the URL are not sent: remove them and put an Authorization header in `headers`",
        )
    host, colon, port_text = authority, "", ""
    if authority.startswith("["):
        inside, bracket, after = authority[1:].partition("]")
        parsed = read_address(inside)
        if not bracket or "%" in inside or not isinstance(parsed, IPv6Address) or (after and after[0] != ":"):
            raise RefusedUrl(
                "host", "the part in [ ] is not an IPv6 address: write it like [2606:4700:4700::64]"
            )
        return str(parsed), _read_port(after[1:], scheme)
    host, colon, port_text = authority.partition(":")
    return _read_name(host), _read_port(port_text if colon else "", scheme)


def _read_port(text: str, scheme: str) -> int:
    if text == "":
        return DEFAULT_PORTS[scheme]
    if text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) <= 65535:
        return int(text)
    raise RefusedUrl("port", "the port must be a number from 1 to 65535")


def _read_name(text: str) -> str:
    """Return a host name or dotted IPv4 address in ASCII and lower case; raise RefusedUrl."""
    name = text.lower()
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode()
        except idna.IDNAError as error:
            raise RefusedUrl(
                "host", "the host is not a name that DNS can hold: check its spelling"
            ) from error
    bare = name.removesuffix(".")
    labels = bare.split(".")
    if _NUMBER.fullmatch(labels[-1]):  # then it is an address in some spelling (WHATWG: "ends in a number")
        if text != bare or not isinstance(read_address(bare), IPv4Address):
            raise RefusedUrl(
                "address_spelling",
                "the host is a number in an unusual spelling: write it as four plain decimal numbers with dots between",
            )
    elif not bare or len(bare) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise RefusedUrl("host", "the host is not a name that DNS can hold: check its spelling")
    return name


@lru_cache(maxsize=1024)
def fixed_address(host: str) -> str | None:
    """Return the address of a host that is known without DNS: a literal, `localhost` (RFC 6761), a metadata name."""
    bare = host.removesuffix(".")
    if read_address(bare) is not None:
        return bare
    if bare == "localhost" or bare.endswith(".localhost"):
        return "127.0.0.1"
    return KNOWN_NAMES.get(bare)
