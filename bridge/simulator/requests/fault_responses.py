"""Send responses with a fault applied: slow, cut off, padded, or not at all."""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any

from aiohttp import web

from bridge.simulator.behaviour.faults import Fault
from bridge.simulator.jobs.job_store import encode
from bridge.simulator.requests.errors import Problem
from bridge.simulator.requests.upstream_call import UpstreamResponse

_PAGE = (
    b"<!DOCTYPE html><html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1></body></html>"
)
_GARBAGE = b'{"data": {"status": "comp'
_PIECES = 20


def replacement_response(fault: Fault, write_error: Callable[[Problem], bytes]) -> UpstreamResponse:
    """Return the response that a fault sends in place of the ordinary one."""
    if fault.html:
        return UpstreamResponse(fault.status or 502, _PAGE)
    if fault.json_garbage:
        return UpstreamResponse(fault.status or 200, _GARBAGE)
    status = fault.status or 200
    if fault.raw_body is not None:
        return UpstreamResponse(status, fault.raw_body)
    if fault.body is not None:
        return UpstreamResponse(status, _encode_body(fault.body))
    return UpstreamResponse(status, write_error(Problem(status, "A fault was asked for", code=fault.code)))


def _encode_body(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else encode(body)


async def send_with_fault(
    request: web.Request, fault: Fault, response: UpstreamResponse, headers: dict[str, str]
) -> web.StreamResponse:
    """Send a response, with what the fault does to the connection."""
    if fault.delay_s:
        await asyncio.sleep(fault.delay_s)
    if fault.reset:
        _reset(request)
        return web.Response(status=response.status)
    body = response.body + b" " * fault.pad_bytes
    if fault.html:
        headers = headers | {"Content-Type": "text/html"}
    headers = headers | dict(fault.headers)
    if fault.truncate or fault.drip_s:
        return await _send_in_pieces(
            request, fault, web.StreamResponse(status=response.status, headers=headers), body
        )
    return web.Response(status=response.status, body=body, headers=headers)


def _reset(request: web.Request) -> None:
    """Close with a reset instead of an orderly end, by lingering for no time (socket(7), SO_LINGER)."""
    transport = request.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _send_in_pieces(
    request: web.Request, fault: Fault, response: web.StreamResponse, body: bytes
) -> web.StreamResponse:
    response.content_length = len(body)
    await response.prepare(request)
    if fault.truncate:
        await response.write(body[: len(body) // 2])
        if request.transport is not None:
            request.transport.close()
        return response
    size = max(1, -(-len(body) // _PIECES))
    for start in range(0, len(body), size):
        await asyncio.sleep(fault.drip_s / _PIECES)
        await response.write(body[start : start + size])
    await response.write_eof()
    return response
