"""The client's address, and the address that it used; `X-Forwarded-*` counts only from trusted proxies."""

import ipaddress
import re
from collections.abc import Sequence

from aiohttp import web

_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?", re.ASCII)
_SCHEMES = frozenset({"http", "https"})
MAX_HOPS = 20


class Forwarding:
    """Addresses behind the proxies of REELBRIDGE_TRUSTED_PROXIES."""

    def __init__(self, trusted: Sequence[str], *, public_url: str | None, fallback_url: str) -> None:
        """Take the trusted networks, the public URL if the operator set one, and a URL for requests without Host."""
        self._trusted = [ipaddress.ip_network(network, strict=False) for network in trusted]
        self._public_url = public_url
        self._fallback_url = fallback_url

    def client(self, request: web.BaseRequest) -> str:
        """Return the client's address: the last hop that is no trusted proxy; of IPv6 its /64, which is one client's."""
        address = request.remote or ""
        hops = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")[-MAX_HOPS:]
        while hops and self._is_trusted(address):
            hop = _strip_port(hops.pop())
            if _parse(hop) is None:
                break
            address = hop
        parsed = _parse(address)
        if isinstance(parsed, ipaddress.IPv6Address):
            return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
        return str(parsed or address)

    def base_url(self, request: web.BaseRequest) -> str:
        """Return the URL under which this client reaches the bridge, for absolute links."""
        if self._public_url is not None:
            return self._public_url
        scheme, host = request.scheme, request.headers.get("Host", "")
        if self._is_trusted(request.remote or ""):
            scheme = _last_entry(request.headers.get("X-Forwarded-Proto", "")) or scheme
            host = _last_entry(request.headers.get("X-Forwarded-Host", "")) or host
        if scheme not in _SCHEMES or not _HOST.fullmatch(host):
            return self._fallback_url
        return f"{scheme}://{host}"

    def _is_trusted(self, address: str) -> bool:
        parsed = _parse(address)
        return parsed is not None and any(parsed in network for network in self._trusted)


def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _strip_port(hop: str) -> str:
    """Return an address without brackets and port, which some proxies add."""
    hop = hop.strip()
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _last_entry(value: str) -> str:
    return value.rpartition(",")[2].strip()
