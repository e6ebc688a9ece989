"""The client's address, and the bridge's own address for links.

`X-Forwarded-*` counts only from trusted proxies, and a `Host` header only where it names this machine: whoever sends a
request chooses both.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence

from aiohttp import web

_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?", re.ASCII)
_SCHEMES = frozenset({"http", "https"})
MAX_HOPS = 20


class Forwarding:
    """Addresses behind the proxies of REELBRIDGE_TRUSTED_PROXIES."""

    def __init__(
        self,
        trusted: Sequence[str],
        *,
        public_url: str | None,
        base_url: str,
        every_address: bool,
        own_names: Iterable[str] = (),
    ) -> None:
        """Take the trusted networks, the public URL if the operator set one, and what is known of the listener.

        `base_url` has its host and port as configured. With `every_address` it listens on all addresses of the machine;
        the machine is then also known as `own_names`.
        """
        self._trusted = [ipaddress.ip_network(network, strict=False) for network in trusted]
        self._public_url = public_url
        self._base_url = base_url
        self._every_address = every_address
        self._own_names = frozenset(name.lower() for name in own_names) | {"localhost"}
        self._own_url = ""  # of a listener on one address, once a request has told its port

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
        """Return the URL under which clients reach the bridge, for absolute links.

        It is the public URL; else what a trusted proxy says; else the listener's host and port. A listener on every
        address has no host of its own: there it is `Host`, if that is a name or address of this machine (its port may be
        that of a container), else the address that the client has connected to.
        """
        if self._public_url is not None:
            return self._public_url
        if self._is_trusted(request.remote or ""):
            scheme = _last_entry(request.headers.get("X-Forwarded-Proto", "")) or request.scheme
            host = _last_entry(request.headers.get("X-Forwarded-Host", ""))
            if scheme in _SCHEMES and _HOST.fullmatch(host):
                return f"{scheme}://{host}"
        return self._listener_url(request)

    def _listener_url(self, request: web.BaseRequest) -> str:
        if self._own_url:
            return self._own_url
        local = request.transport.get_extra_info("sockname") if request.transport else None
        if not isinstance(local, tuple):
            return self._base_url
        address, port = str(_parse(str(local[0])) or local[0]), int(local[1])
        if not self._every_address:
            self._own_url = _with_port(self._base_url, port)
            return self._own_url
        host = request.headers.get("Host", "")
        if _HOST.fullmatch(host) and self._is_own(_strip_port(host).lower(), address):
            return f"http://{host}"
        return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"

    def _is_own(self, name: str, address: str) -> bool:
        parsed = _parse(name)
        if parsed is None:
            return name in self._own_names
        return parsed.is_loopback or str(parsed) == address

    def _is_trusted(self, address: str) -> bool:
        if not self._trusted:
            return False
        parsed = _parse(address)
        return parsed is not None and any(parsed in network for network in self._trusted)


def _with_port(url: str, port: int) -> str:
    """Return a URL that ends in a port with another port: port 0 is configured where the system chooses one."""
    return f"{url.rpartition(':')[0]}:{port}"


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
