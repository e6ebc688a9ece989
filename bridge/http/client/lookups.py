"""Find the addresses of host names, without one slow name delaying others, and remember them for a while."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

# (host, port) -> addresses as text; raises OSError when the name does not resolve.
AddressLookup = Callable[[str, int], Awaitable[Sequence[str]]]

LOOKUP_THREADS = 32
MAX_REMEMBERED = 1024


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


class RememberingLookup:
    """Remembers addresses for `ttl_s` seconds; whoever asks for a name that is being looked up shares the answer."""

    def __init__(self, lookup: AddressLookup, *, ttl_s: float) -> None:
        self._lookup = lookup
        self._ttl_s = ttl_s
        self._known: dict[tuple[str, int], tuple[float, Sequence[str]]] = {}
        self._running: dict[tuple[str, int], asyncio.Task[Sequence[str]]] = {}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a name."""
        place = (host, port)
        until, addresses = self._known.get(place, (0.0, ()))
        if asyncio.get_running_loop().time() < until:
            return addresses
        task = self._running.get(place)
        if task is None:
            task = self._running[place] = asyncio.create_task(self._look_up(place))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(task)

    async def _look_up(self, place: tuple[str, int]) -> Sequence[str]:
        try:
            addresses = await self._lookup(*place)
        finally:
            del self._running[place]
        self._known.pop(place, None)
        if len(self._known) >= MAX_REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[place] = (asyncio.get_running_loop().time() + self._ttl_s, addresses)
        return addresses

    async def close(self) -> None:
        """Give up the look-ups that are running."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
