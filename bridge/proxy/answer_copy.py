"""Copy answers while they pass, and hand over what they show of jobs once their clients have them."""

from collections.abc import Callable

from bridge.api.requests.content_coding import decode_content
from bridge.errors import BridgeError
from bridge.http.client.http_response import HttpResponse
from bridge.providers.passing import Shown, Sight, read_shown
from bridge.providers.registry import PROVIDERS
from bridge.proxy.proxy_call import ProxyCall
from bridge.services.passing.passed_answers import PassedAnswers
from bridge.services.passing.passed_reads import PassedAnswer

COPY_BYTES = 2 * 1024 * 1024  # of a body, also without its coding; a larger one is not used


class AnswerCopy:
    """A copy of one answer's body."""

    def __init__(self, shown: Shown, use: Callable[[Shown, bytes], None]) -> None:
        self._shown = shown
        self._use = use
        self._pieces: list[bytes] = []
        self._is_needed = shown.sight in (Sight.STATE, Sight.ROWS)
        self._left = COPY_BYTES if self._is_needed else 0

    def add(self, piece: bytes) -> None:
        """Add bytes of the body, which are dropped where they are too many or not needed."""
        if self._left:
            self._left = max(0, self._left - len(piece))
            self._pieces.append(piece)

    def end(self) -> None:
        """Use the answer, which has gone out whole."""
        if self._left or not self._is_needed:
            self._use(self._shown, b"".join(self._pieces))


class AnswerCopies:
    """Makes copies of the answers that show a job, for those who watch it."""

    def __init__(self, passed: PassedAnswers, clock_ms: Callable[[], int]) -> None:
        self._passed = passed
        self._clock_ms = clock_ms

    def begin(self, call: ProxyCall, response: HttpResponse) -> AnswerCopy | None:
        """Return a copy to which the body is to be added as it passes, None for an answer that shows nothing of use."""
        if not call.caller.has_account or not self._passed.are_needed(call.caller.account.id, call.path):
            return None
        shown = read_shown(
            PROVIDERS[call.provider],
            method=call.method,
            path=call.path,
            query=call.target.partition("?")[2],
            status=response.status,
            headers=response.headers,
        )
        if shown is None or (shown.sight is Sight.REFUSED and call.caller.is_own_key):
            return None

        def use(shown: Shown, body: bytes) -> None:
            self._note(call, response, shown, body)

        return AnswerCopy(shown, use)

    async def close(self) -> None:
        """Wait until all that was copied is applied."""
        await self._passed.close()

    def _note(self, call: ProxyCall, response: HttpResponse, shown: Shown, body: bytes) -> None:
        if response.flaw or response.body.flaw:
            return
        try:
            coding = response.headers.get("content-encoding", "") if body else ""
            body = decode_content(body, coding, limit=COPY_BYTES)
        except BridgeError:
            return
        answer = PassedAnswer(
            shown=shown,
            path=call.path,
            headers=response.headers,
            body=body,
            begun_ms=call.began_ms,
            ended_ms=self._clock_ms(),
        )
        self._passed.note(call.caller.account.id, answer)
