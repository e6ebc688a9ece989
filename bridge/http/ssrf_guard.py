"""Refuse connections to addresses that the policy does not allow: when a name is resolved, and at every socket.

A literal address is never looked up, and a look-up's answer may be old by the time of the connection; so the socket
factory, which sees every connection, decides last. The look-up refuses a name that has any bad address.
"""

import socket
from collections.abc import Callable

from aiohappyeyeballs import AddrInfoType

from bridge.domain.urls.policy import UrlPolicy, judge_connect
from bridge.http.client.lookups import AddressLookup

MAX_ADDRESSES = 16


class RefusedAddress(OSError):
    """The policy refuses a connection; `rule` names the rule. The address itself is never reported."""

    def __init__(self, rule: str) -> None:
        super().__init__(f"refused address ({rule})")
        self.rule = rule


class GuardedLookup:
    """Looks names up for connections; a name with one refused address among its addresses is refused as a whole.

    Addresses that `lookup` remembers are judged again for each connection.
    """

    def __init__(self, policy: UrlPolicy, lookup: AddressLookup) -> None:
        self._policy = policy
        self._lookup = lookup

    async def __call__(self, host: str, port: int) -> list[str]:
        """Return the addresses of a name, at most 16; raise `RefusedAddress` or `OSError`."""
        addresses = list(await self._lookup(host, port))
        if not addresses:
            raise OSError("the name has no address")
        for address in addresses:
            rule = judge_connect(address, port, self._policy)
            if rule is not None:
                raise RefusedAddress(rule)
        return addresses[:MAX_ADDRESSES]


def guard_sockets(policy: UrlPolicy) -> Callable[[AddrInfoType], socket.socket]:
    """Return a socket factory that checks each address before its socket is made."""

    def open_socket(info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        rule = judge_connect(str(address[0]), int(address[1]), policy)
        if rule is not None:
            raise RefusedAddress(rule)
        return socket.socket(family=family, type=kind, proto=protocol)

    return open_socket
