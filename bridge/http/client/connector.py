"""Open connections: look a name up, connect to the first address that answers, and shake hands."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, Self
from urllib.parse import urlsplit

import aiohappyeyeballs

from bridge.http.client.client_errors import (
    CertificateRefused,
    ConnectFailed,
    ConnectTimeout,
    HandshakeFailed,
    LookupFailed,
)
from bridge.http.client.connection import Connection
from bridge.http.client.lookups import AddressLookup

NEXT_ADDRESS_S = 0.25  # RFC 8305, section 5, "Connection Attempt Delay"
READ_BYTES = 64 * 1024
_PORTS = {"http": 80, "https": 443}

OpenSocket = Callable[[aiohappyeyeballs.AddrInfoType], socket.socket]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a connection leads to."""

    host: str
    port: int
    is_tls: bool

    @classmethod
    def read(cls, text: str) -> Self:
        """Return what `https://host:port` means; raise ValueError for another scheme or what is no origin."""
        parts = urlsplit(text)
        is_origin = text == f"{parts.scheme}://{parts.netloc}" and "@" not in parts.netloc
        if parts.scheme not in _PORTS or not parts.hostname or not is_origin:
            raise ValueError("no origin of http or https")
        return cls(
            host=parts.hostname, port=parts.port or _PORTS[parts.scheme], is_tls=parts.scheme == "https"
        )

    @property
    def host_header(self) -> str:
        """Return the value of the `Host` header: without the scheme's own port, and without a dot at the end."""
        name = f"[{self.host}]" if ":" in self.host else self.host.rstrip(".")
        return name if self.port == _PORTS["https" if self.is_tls else "http"] else f"{name}:{self.port}"


class Connector:
    """Opens connections of its own; whoever asks for one closes it.

    `lookup` finds the addresses of a name and may refuse them. `open_socket` makes the socket for one address, a literal
    one too, and may refuse it: both do so with an `OSError`.
    """

    def __init__(
        self, *, lookup: AddressLookup, tls: ssl.SSLContext, open_socket: OpenSocket | None = None
    ) -> None:
        self._lookup = lookup
        self._tls = tls
        self._open_socket = open_socket
        self._buffer = memoryview(bytearray(READ_BYTES))

    async def connect(self, origin: Origin, *, until: float) -> Connection:
        """Return a new connection; raise `NotConnected`. `until` is a time of the event loop's clock."""
        if asyncio.get_running_loop().time() >= until:
            raise ConnectTimeout
        try:
            async with asyncio.timeout_at(until):
                raw = await self._dial(origin)
                return await self._shake_hands(origin, raw)
        except TimeoutError as late:
            raise ConnectTimeout from late

    async def _dial(self, origin: Origin) -> socket.socket:
        addresses = await self._find(origin)
        infos = [_address_info(address, origin.port) for address in addresses]
        try:
            return await aiohappyeyeballs.start_connection(
                infos, happy_eyeballs_delay=NEXT_ADDRESS_S, socket_factory=self._open_socket
            )
        except (OSError, RuntimeError) as error:  # uvloop raises RuntimeError for some failures
            raise ConnectFailed(error if isinstance(error, OSError) else OSError()) from error

    async def _find(self, origin: Origin) -> list[str]:
        try:
            ipaddress.ip_address(origin.host)
        except ValueError:
            pass
        else:
            return [origin.host]
        try:
            return list(await self._lookup(origin.host, origin.port))
        except OSError as error:
            raise LookupFailed(error) from error
        except UnicodeError as error:  # a label that is too long for DNS
            raise LookupFailed(OSError()) from error

    async def _shake_hands(self, origin: Origin, raw: socket.socket) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(
                lambda: Connection(loop, self._buffer),
                sock=raw,
                ssl=self._tls if origin.is_tls else None,
                server_hostname=origin.host.rstrip(".") if origin.is_tls else None,
            )
        except OSError as error:
            raw.close()
            _refuse(error)
        except BaseException:
            raw.close()
            raise
        return connection


def _refuse(error: OSError) -> NoReturn:
    match error:
        case ssl.SSLCertVerificationError():
            raise CertificateRefused(error.verify_code) from error
        case ssl.SSLError():
            raise HandshakeFailed(type(error).__name__) from error
        case _:
            raise ConnectFailed(error) from error


def _address_info(address: str, port: int) -> aiohappyeyeballs.AddrInfoType:
    if ":" in address:
        return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)
