"""Do together what several tasks ask for in the same iteration of the event loop, so that they share a round trip."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Grouping(Generic[T, R]):
    """Collects items until the end of an iteration of the event loop, hands them over, and returns each its answer."""

    def __init__(
        self, send: Callable[[Sequence[T]], Awaitable[Sequence[R | Exception]]], *, most: int
    ) -> None:
        """Take a function that returns an answer or an error for each item in order, and how many it may be handed."""
        self._send = send
        self._most = most
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._sending: set[asyncio.Task[None]] = set()  # the loop itself refers to its tasks only weakly

    async def ask(self, item: T) -> R:
        """Return the answer for an item; raise the error that was returned for it, or that was raised for all."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._start)  # runs after the tasks that are ready now
        answer: asyncio.Future[R] = loop.create_future()
        self._waiting.append((item, answer))
        return await answer

    async def finish(self) -> None:
        """Wait until what was handed over has been answered, also where nobody waits for it any more."""
        await asyncio.gather(*self._sending, return_exceptions=True)

    def _start(self) -> None:
        asked = [each for each in self._waiting if not each[1].done()]  # a cancelled task waits no more
        self._waiting = []
        for first in range(0, len(asked), self._most):
            task = asyncio.create_task(self._send_some(asked[first : first + self._most]))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _send_some(self, asked: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        answers: Sequence[R | Exception]
        try:
            answers = await self._send([item for item, _ in asked])
        except Exception as error:  # noqa: BLE001 -- raised again in each task that waits
            answers = [error] * len(asked)
        except BaseException:
            for _, waiting in asked:
                waiting.cancel()
            raise
        for (_, waiting), answer in zip(asked, answers, strict=True):
            if waiting.done():
                continue
            if isinstance(answer, Exception):
                waiting.set_exception(answer)
            else:
                waiting.set_result(answer)
