"""The cases of `reelbridge certify`: what a receiver meets in its life, and what it should do."""

from collections.abc import Iterator
from dataclasses import replace

from bridge.domain.certification.events import (
    UNICODE,
    EventMaker,
    fill_up,
    find_progress,
    find_word,
    list_endings,
)
from bridge.domain.certification.steps import Case, CaseRequest, Signing
from bridge.domain.deliveries.signature_check import TOLERANCE_S
from bridge.domain.events.event import DATA_BYTES
from bridge.domain.observation import Outcome

VERIFY = "verify the raw body with a library of Standard Webhooks before anything else, and answer 401 if it raises"


def plan_cases(events: EventMaker) -> list[Case]:
    """Return the cases in the order in which they are to be sent; the first must pass for the others to mean anything."""
    done = find_word(events.catalogue, events.kind, Outcome.SUCCEEDED)
    return [*_signatures(events, done), *_repeats(events, done), *_contents(events, done)]


def _signatures(events: EventMaker, done: str) -> Iterator[Case]:
    yield Case(
        name="valid",
        asks="accept a signed event",
        fix="check that the receiver has this signing secret, and gives the library the raw body instead of parsed JSON",
        hint="act upon a valid event; one with `test` set too, while you try the receiver out",
        steps=[events.make(done, job="valid")],
    )
    yield Case(
        name="unicode",
        asks="accept text beyond ASCII, which is not escaped in the body",
        fix="verify the bytes as they came: JSON that was parsed and written again is another text",
        steps=[events.make(done, job="unicode", extra={"text": UNICODE})],
    )
    yield Case(
        name="rotated",
        asks="accept an event with two signatures of which the second is good, as while a secret is being replaced",
        fix="try every signature of `webhook-signature`, which a blank separates",
        steps=[replace(events.make(done, job="rotated"), signing=Signing.ROTATED)],
    )
    forged = (Signing.CHANGED, Signing.OTHER, Signing.NONE)
    yield Case(
        name="forged",
        asks="refuse a changed body, a signature by another secret, and a request without signature",
        fix=VERIFY,
        steps=[_refused(events.make(done, job="forged"), signing=each) for each in forged],
    )
    yield Case(
        name="stale",
        asks=f"refuse a timestamp that is more than {TOLERANCE_S} s off, in either direction",
        fix=f"compare `webhook-timestamp` with the clock, as the libraries do, and check that the receiver's clock is right: {VERIFY}",
        steps=[_refused(events.make(done, job="stale"), age_s=sign * 2 * TOLERANCE_S) for sign in (1, -1)],
    )


def _repeats(events: EventMaker, done: str) -> Iterator[Case]:
    first = events.make(done, job="duplicate")
    yield Case(
        name="duplicate",
        asks="accept the same event twice, and act upon it once",
        fix="answer a repeat with 2xx: after any other answer it is sent again",
        hint="keep each `webhook-id` for some days and leave one that you know aside",
        steps=[first, replace(first, handled=False)],
    )
    newer = events.make(done, job="order", sequence=2)
    older = events.make(find_progress(events.catalogue, events.kind), job="order", sequence=1)
    yield Case(
        name="out_of_order",
        asks="accept an event that is older than one it has, and leave it aside",
        fix="answer an older event with 2xx: after any other answer it is sent again",
        hint="compare `sequence` with the greatest that you have seen of the job",
        steps=[newer, replace(older, handled=False)],
    )
    yield Case(
        name="late",
        asks="accept the real ending of a job that had timed out",
        fix="take `timed_out` for what it says, that the ending is unknown: the job's ending may follow",
        hint="act upon an ending that follows `timed_out`",
        steps=[
            events.make("timed_out", job="late", sequence=1),
            events.make(done, job="late", sequence=2, late=True),
        ],
    )
    yield Case(
        name="run_2",
        asks="accept the ending of a job's second run, which has the same job id",
        fix="tell events apart by `webhook-id` instead of the job's id: a job that is started anew ends again",
        hint="act upon the ending of run 2: tell events apart by `webhook-id` instead of the job's id",
        steps=[
            events.make(done, job="run_2", sequence=1),
            events.make(done, job="run_2", sequence=2, run=2),
        ],
    )


def _contents(events: EventMaker, done: str) -> Iterator[Case]:
    partial = find_word(events.catalogue, events.kind, Outcome.PARTIAL)
    yield Case(
        name="partial",
        asks="accept a job that ended in part",
        fix="take the `outcome` partial for an ending too; `error` names the parts that failed",
        steps=[events.make(partial, job="partial")],
    )
    yield Case(
        name="endings",
        asks="accept every way in which a job ends, also where `data` holds no more than an id",
        fix="answer 2xx to every event that is signed, and read fields of `data` as ones that may be missing",
        steps=[
            replace(events.make(each.word, job=f"ending-{each.word}"), handled=None)
            for each in list_endings(events.catalogue, events.kind)
        ],
    )
    whole = events.make(done, job="truncated", extra={"text": "x" * DATA_BYTES})
    yield Case(
        name="truncated",
        asks="accept an event whose `data` was too large and is cut to its status fields",
        fix="where `bridge.truncated` is true, fetch what is missing, and do not fail",
        steps=[whole],
    )
    yield Case(
        name="huge",
        asks=f"accept the largest event there is, with {DATA_BYTES >> 10} KB of `data`",
        fix="raise the limit for a request's body to 1 MB (Express has 100 KB unless told otherwise)",
        steps=[_make_huge(events, done)],
    )


def _make_huge(events: EventMaker, done: str) -> CaseRequest:
    data = events.data_of(done, job="huge")
    return events.make(done, job="huge", extra={"text": fill_up(data)})


def _refused(step: CaseRequest, *, signing: Signing = Signing.OWN, age_s: int = 0) -> CaseRequest:
    return replace(step, accepted=False, handled=None, signing=signing, age_s=age_s)
