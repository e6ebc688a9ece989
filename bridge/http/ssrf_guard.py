"""Refuse connections to addresses that the policy does not allow: when a name is resolved, and at every socket.

A literal address never reaches a resolver, and a resolver's answer may be old by the time of the connection; so the
socket factory, which sees every connection, decides last. The resolver refuses a name that has any bad address.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult

from bridge.domain.urls.policy import UrlPolicy, judge_address, judge_connect

# (host, port) -> addresses as text; raises OSError when the name does not resolve.
AddressLookup = Callable[[str, int], Awaitable[Sequence[str]]]

LOOKUP_THREADS = 32
MAX_ADDRESSES = 16


class RefusedAddress(OSError):
    """The policy refuses a connection; `rule` names the rule. The address itself is never reported."""

    def __init__(self, rule: str) -> None:
        super().__init__(f"refused address ({rule})")
        self.rule = rule


class SystemAddressLookup:
    """Looks names up as the system does, in threads of its own, so that a dead DNS server delays nothing else."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="dns")

    async def __call__(self, host: str, port: int) -> list[str]:
        """Return every address of a name, in the system's order of preference."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return [str(sockaddr[0]) for _, _, _, _, sockaddr in found]

    def close(self) -> None:
        """Accept no more look-ups; one that is running ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class GuardedResolver(AbstractResolver):
    """Resolves names for aiohttp; a name with one refused address among its addresses is refused as a whole."""

    def __init__(self, policy: UrlPolicy, lookup: AddressLookup) -> None:
        self._policy = policy
        self._lookup = lookup

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - aiohttp's signature; the answer is judged in both families
    ) -> list[ResolveResult]:
        """Return the addresses of a name, at most 16; raise `RefusedAddress` or `OSError`."""
        addresses = list(await self._lookup(host, port))
        if not addresses:
            raise OSError("the name has no address")
        for address in addresses:
            rule = judge_address(address, self._policy)
            if rule is not None:
                raise RefusedAddress(rule)
        return [_result(host, address, port) for address in addresses[:MAX_ADDRESSES]]

    async def close(self) -> None:
        """Do nothing: whoever made the look-up closes it."""


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(
        hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST
    )


def guard_sockets(policy: UrlPolicy) -> Callable[[AddrInfoType], socket.socket]:
    """Return a socket factory that checks each address before its socket is made."""

    def open_socket(info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        rule = judge_connect(str(address[0]), int(address[1]), policy)
        if rule is not None:
            raise RefusedAddress(rule)
        return socket.socket(family=family, type=kind, proto=protocol)

    return open_socket
