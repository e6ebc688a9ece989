"""Open a client for addresses that the operator has set, which are connected to as they are."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from math import inf

from bridge.http.client.connector import Connector
from bridge.http.client.http_client import HttpClient
from bridge.http.client.lookups import RememberingLookup, SystemAddressLookup

LOOKUP_TTL_S = 60.0


@asynccontextmanager
async def open_client(
    *, headers: Mapping[str, str] | None = None, connect_s: float = inf, tls: ssl.SSLContext | None = None
) -> AsyncIterator[HttpClient]:
    """Run a client that looks names up as the system does; see `HttpClient` for `headers` and `connect_s`."""
    lookup = SystemAddressLookup()
    remembering = RememberingLookup(lookup, ttl_s=LOOKUP_TTL_S)
    connector = Connector(lookup=remembering, tls=tls or ssl.create_default_context())
    client = HttpClient(connector, headers=headers, connect_s=connect_s)
    try:
        yield client
    finally:
        await client.close()
        await remembering.close()
        lookup.close()
