"""A reader of server-sent events, and a writer of events that need no job."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from bridge.domain.events.records import EventRecord
from bridge.domain.ids import event_id
from bridge.services.context import Services
from tests.api.serving import BEARER

JOB = "a" * 17


@dataclass(frozen=True, kw_only=True)
class Block:
    """One block of a stream; `place` is its id."""

    place: str | None = None
    event: str | None = None
    data: str | None = None
    comment: str | None = None
    retry: int | None = None

    @property
    def id(self) -> str:
        """The id of the event that it carries."""
        assert self.data is not None
        return str(json.loads(self.data)["id"])


_FIELDS = {"id": "place", "event": "event", "data": "data", "": "comment", "retry": "retry"}


def parse(lines: Sequence[str]) -> Block:
    """Read a block; each field may stand in it once."""
    fields: dict[str, Any] = {}
    for line in lines:
        name, _, value = line.partition(":")
        assert _FIELDS[name] not in fields, lines
        fields[_FIELDS[name]] = value.removeprefix(" ")
    if "retry" in fields:
        fields["retry"] = int(fields["retry"])
    return Block(**fields)


class Stream:
    """An open stream."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer

    async def next(self, *, within_s: float = 20.0) -> Block | None:
        """Return the next block, None at the end of the stream."""
        lines: list[str] = []
        async with asyncio.timeout(within_s):
            while line := (await self.answer.content.readline()).decode():
                if line == "\n":
                    return parse(lines)
                lines.append(line.removesuffix("\n"))
        assert not lines, f"cut off in {lines}"
        return None

    async def event(self) -> Block:
        """Return the next event, whatever comes before it."""
        while (block := await self.next()) is not None:
            if block.data is not None:
                return block
        raise AssertionError("the stream has ended")


@asynccontextmanager
async def streaming(
    http: aiohttp.ClientSession,
    url: str,
    query: str = "",
    *,
    last_id: str | None = None,
    headers: dict[str, str] | None = None,
) -> AsyncIterator[Stream]:
    """Open a stream, and cut it at the end of the block."""
    sent = {**(BEARER if headers is None else headers)}
    if last_id is not None:
        sent["Last-Event-ID"] = last_id
    answer = await http.get(f"{url}/v1/events/stream{query}", headers=sent, timeout=aiohttp.ClientTimeout())
    try:
        assert answer.status == 200, await answer.text()
        yield Stream(answer)
    finally:
        answer.close()


async def write_event(
    services: Services,
    number: int,
    *,
    type_: str = "sync_job.completed",
    size: int = 0,
    publish: bool = True,
) -> str:
    """Write an event as a worker would, and return its id."""
    project, now_ms = "prj_default", services.clock_ms()
    identifier = event_id(project=project, key=JOB, born_ms=1, run=number, fact=type_)
    body = {"id": identifier, "type": type_, "job_id": f"job-{number}", "data": "x" * size}
    unit = services.unit_of_work(JOB[0])
    unit.put_event(
        EventRecord(
            id=identifier,
            type=type_,
            project=project,
            job=JOB,
            at_ms=now_ms,
            body=json.dumps(body, separators=(",", ":")).encode(),
        )
    )
    assert await services.store.committer.commit(unit.change()) == "done"
    if publish:
        await services.store.feed.publish(project, [identifier])
    return identifier
