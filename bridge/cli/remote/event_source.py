"""Read a bridge's stream of server-sent events, across cuts, without a gap."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Final

from aiohttp import ClientError, ClientPayloadError

from bridge.cli.local.api_client import ApiClient, explain_refusal, explain_silence, read_answer
from bridge.cli.local.errors import CommandError

PATH: Final = "/v1/events/stream?resends=true"
SILENCE_S: Final = 45.0  # the bridge sends something every 15
PAUSES_S: Final = (0.5, 1.0, 2.0, 5.0)
BUSY = frozenset({429, 502, 503, 504})
MAX_BLOCK_BYTES: Final = 4 << 20  # an event has up to 256 KB


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block of the stream: `place` is the position behind which to go on, empty where it says none."""

    place: str
    event: str
    data: bytes


class BlockReader:
    """Puts the bytes of a stream together to blocks, as https://html.spec.whatwg.org/multipage/server-sent-events.html says.

    The bridge ends lines with a line feed and writes data in one line.
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Block]:
        """Yield the blocks that are complete with these bytes; raise ValueError for one that does not end."""
        *blocks, self._rest = (self._rest + data).split(b"\n\n")
        if len(self._rest) > MAX_BLOCK_BYTES:
            raise ValueError("a block of the stream does not end")
        for block in blocks:
            fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line[1:])
            yield Block(
                place=fields.get(b"id", b"").decode(),
                event=fields.get(b"event", b"").decode(),
                data=fields.get(b"data", b""),
            )


class EventSource:
    """A stream that is opened again wherever it was cut. `place` is the last position that was taken."""

    def __init__(self, api: ApiClient, *, place: str, say: Callable[[str], None]) -> None:
        """Take where to begin, empty for now, and whom to tell that the stream stands or was cut."""
        self._api = api
        self._say = say
        self.place = place

    async def read(self) -> AsyncIterator[Block]:
        """Yield events for ever; raise `CommandError` if the bridge refuses, or cannot be reached at the start."""
        failures = 0
        stood = False
        while True:
            try:
                async for block in self._read_once():
                    if not stood or failures:
                        self._say(
                            f"listening at {self._api.url}" + (f", behind {self.place}" if stood else "")
                        )
                    stood, failures = True, 0
                    if block.data:
                        yield block
                    self.place = block.place or self.place
                reason = "ended"
            except (ClientError, TimeoutError, OSError, ValueError) as error:
                if not stood:
                    raise CommandError(explain_silence(self._api.url)) from None
                reason = "cut" if isinstance(error, ClientPayloadError) else "away"
            if failures == 0 and stood:
                self._say(f"the stream was {reason}: connecting again")
            await asyncio.sleep(PAUSES_S[min(failures, len(PAUSES_S) - 1)])
            failures += 1

    async def _read_once(self) -> AsyncIterator[Block]:
        headers = {"Last-Event-ID": self.place} if self.place else {}
        async with self._api.stream(PATH, headers, silence_s=SILENCE_S) as response:
            if response.status != 200:
                answer = await read_answer(response)
                if response.status in BUSY:
                    raise ClientError(str(response.status))
                raise CommandError(explain_refusal("GET", PATH, response.status, answer))
            blocks = BlockReader()
            async for data in response.content.iter_any():
                for block in blocks.feed(data):
                    yield block
