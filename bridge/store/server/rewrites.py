"""Keep the store fast while it rewrites its append-only file.

A rewrite is the work of a child process, which takes a core for about a second per 100 MB. Where the server has no core
to itself it waits for its own child: with two cores, reads that are due then began up to 0.4 s late. With a low priority
the child takes what is left of the processor, and a tenth of a core that is never idle.
"""

import asyncio
import os
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path

LOOK_S = 0.1
LOW = 10  # see nice(2): a tenth of the weight of what the server has
ABSENT_S = 1.0
_PEER = struct.Struct("3i")  # pid, uid, gid of unix(7)


async def lower_rewrites(address: Path) -> None:
    """Give each child process of the server at a unix socket a low priority, until cancelled.

    Return at once where the system does not name child processes in /proc, as only Linux does.
    """
    if sys.platform != "linux" or _list_children(os.getpid()) is None:
        return
    while True:
        server = await asyncio.to_thread(_find_server, address)
        if server is not None:
            await _lower_children(server)
        await asyncio.sleep(ABSENT_S)


async def _lower_children(server: int) -> None:
    """Return when the server has ended."""
    lowered: set[int] = set()
    while (children := _list_children(server)) is not None:
        for child in children - lowered:
            with suppress(OSError):  # it has ended meanwhile
                os.setpriority(os.PRIO_PROCESS, child, LOW)
        lowered = children
        await asyncio.sleep(LOOK_S)


def _find_server(address: Path) -> int | None:
    """Return the process that listens at a unix socket; None where none does."""
    with suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(ABSENT_S)
        client.connect(str(address))
        return int(_PEER.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))[0])
    return None


def _list_children(process: int) -> set[int] | None:
    """Return the child processes of a process, None where it has ended or the system does not name them."""
    try:
        return {int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()}
    except OSError:
        return None
