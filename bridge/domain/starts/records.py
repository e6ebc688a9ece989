"""The record of a guarded start: one call that makes a provider begin work, from before it is sent until a day later.

Times are Unix milliseconds; records are packed as arrays, so new fields go to the end and carry a default.
"""

from enum import StrEnum

from msgspec import Struct

from bridge.domain.jobs.baseline import Baseline

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS
KEPT_MS = DAY_MS  # an answer, for repetitions
OPEN_MS = 7 * DAY_MS  # a start of which the outcome is not known; far longer than any client repeats one


class StartState(StrEnum):
    """The states of a start; docs/architecture.md draws the same chart. One that was released has no record."""

    INTENT = "intent"  # on disk; whether the request has left is known to its owner alone
    DOUBT = "doubt"  # its owner is gone, or got no answer: it may have been done
    ANSWERED = "answered"  # the provider's answer is on disk
    REBUILT = "rebuilt"  # the one thing that it can have started was found, and stands for the answer


TRANSITIONS: dict[StartState, frozenset[StartState]] = {
    StartState.INTENT: frozenset({StartState.DOUBT, StartState.ANSWERED}),
    StartState.DOUBT: frozenset({StartState.ANSWERED, StartState.REBUILT}),
    StartState.ANSWERED: frozenset(),
    StartState.REBUILT: frozenset(),
}


class Fingerprint(Struct, frozen=True, array_like=True):
    """What must be the same in a repetition: the method, and hashes of the target and of the body with its type."""

    method: str
    target: bytes
    body: bytes


class StartedJob(Struct, frozen=True, array_like=True):
    """A job that a start began, with what its answer says about it; see `RegisterCallback`."""

    kind: str
    id: str
    persona: str = ""
    media: str = ""
    expect: str = "any"
    retried: tuple[tuple[str, str], ...] = ()
    parent: str = ""  # id of the job of another kind that the call was about


class Start(Struct, frozen=True, array_like=True, kw_only=True):
    """A guarded start; written only by compare-and-set on the whole record.

    `owner` is the process that sends the request, `token` the proof that a later write comes from the same call.
    `rule` names the provider's call (`StartSpec.name`), `persona`, `source` and `subject` the ids in its request that
    evidence is looked for with: a persona, a source post, and the post or item that the call is about.
    `webhook` and `answer` are sealed under the start's place.
    """

    state: StartState
    token: bytes
    owner: str
    project: str
    account: str
    rule: str
    began_ms: int  # when the request was about to leave
    fingerprint: Fingerprint
    keyed: bool = True  # it has an Idempotency-Key, so its answer is kept
    persona: str = ""
    source: str = ""
    subject: str = ""
    baseline: Baseline | None = None  # what the subject looked like before
    webhook: bytes | None = None  # what is to be registered for each job
    answer: bytes | None = None
    jobs: tuple[StartedJob, ...] = ()
    registered: tuple[str, ...] = ()  # ids of its callbacks
    pending: bool = False  # answered, and its jobs are still to be found or registered
    ended_ms: int = 0  # when the answer came, or the doubt began
    looks: int = 0
    look_ms: int = 0  # of the last look
    found: tuple[str, ...] = ()  # ids of what the last look found and could not tell from the start's own
    until_ms: int = 0  # when the answer or the waiting for it ended
    watched: bool = False  # for endpoints alone: what is registered are watches, no callbacks of the client's


def is_open(start: Start) -> bool:
    """Whether something is still to be found out about a start or to be done for it."""
    return start.pending or start.state in (StartState.INTENT, StartState.DOUBT)


def expires_ms(start: Start) -> int:
    """Return when the record of a start may be removed."""
    if start.state is StartState.INTENT:
        return start.began_ms + OPEN_MS
    return start.ended_ms + (OPEN_MS if start.state is StartState.DOUBT else KEPT_MS)
