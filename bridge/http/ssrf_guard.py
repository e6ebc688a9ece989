"""Refuse connections to addresses the policy does not allow: once for a name's whole answer, once at every socket.

A literal address never reaches a resolver, and a resolver's answer may be old by the time of the connect; so the socket
factory, which sees every connect, has the last word. The resolver's part is to refuse a name with any bad address.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult

from bridge.domain.urls.policy import UrlPolicy, judge_address, judge_connect

# (host, port) -> addresses as text; raises OSError when the name does not resolve.
LookUp = Callable[[str, int], Awaitable[Sequence[str]]]

LOOK_UP_THREADS = 32
MAX_ADDRESSES = 16


class RefusedAddress(OSError):
    """A connect was refused by the policy; `rule` says by which, the address is told nowhere."""

    def __init__(self, rule: str) -> None:
        super().__init__(f"refused address ({rule})")
        self.rule = rule


class SystemLookUp:
    """Look names up as the system does, in threads of its own, so that a dead DNS server holds up nobody else."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOK_UP_THREADS, thread_name_prefix="dns")

    async def __call__(self, host: str, port: int) -> list[str]:
        """Give every address of a name, in the system's order of preference."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return [str(sockaddr[0]) for _, _, _, _, sockaddr in found]

    def close(self) -> None:
        """Stop taking look-ups; one under way ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class GuardedResolver(AbstractResolver):
    """Resolve names for aiohttp; a name with one refused address among its answers is refused as a whole."""

    def __init__(self, policy: UrlPolicy, look_up: LookUp) -> None:
        self._policy = policy
        self._look_up = look_up

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - aiohttp's signature; the answer is judged in both families
    ) -> list[ResolveResult]:
        """Give the addresses of a name (16 at most), or raise `RefusedAddress` or `OSError`."""
        addresses = list(await self._look_up(host, port))
        if not addresses:
            raise OSError("the name has no address")
        for address in addresses:
            rule = judge_address(address, self._policy)
            if rule is not None:
                raise RefusedAddress(rule)
        return [_result(host, address, port) for address in addresses[:MAX_ADDRESSES]]

    async def close(self) -> None:
        """Nothing is held here; whoever made the look-up closes it."""


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(
        hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST
    )


def guard_sockets(policy: UrlPolicy) -> Callable[[AddrInfoType], socket.socket]:
    """Give the socket factory that judges each connect before its socket exists."""

    def open_socket(info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        rule = judge_connect(str(address[0]), int(address[1]), policy)
        if rule is not None:
            raise RefusedAddress(rule)
        return socket.socket(family=family, type=kind, proto=protocol)

    return open_socket
