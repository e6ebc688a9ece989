"""What the object itself says, once it is shown: a state, an end, another life."""

from msgspec.structs import replace

from bridge.domain.jobs.emitted import forget_reverted
from bridge.domain.jobs.facts import draft_observed
from bridge.domain.jobs.outcome import KindTraits, PollContext, Step
from bridge.domain.jobs.records import Job, JobState
from bridge.domain.jobs.runs import (
    Parts,
    decide_runs,
    find_again,
    find_replaced,
    find_superseded,
    has_ended,
    is_blank,
    is_new_run,
    is_redone,
    list_parts,
    start_run,
)
from bridge.domain.observation import Observation

MOST_SUPERSEDED = 1_000  # as many as one object shows parts


def apply_observed(job: Job, observation: Observation, *, at: PollContext, traits: KindTraits) -> Step:
    """Take an object that the upstream showed."""
    job = _note_presence(job, at=at, traits=traits)
    parts = list_parts(observation)
    if is_blank(job, observation) or not set(job.superseded).isdisjoint(part for part, _ in parts):
        # It says nothing, or was read before it was known which of its items count: the next read decides.
        return Step(job=job, data=observation.data)
    if is_new_run(job, observation, parts):
        return _see_run(job, observation, parts, at=at, traits=traits)
    if has_ended(job):
        return _see_again(job, observation, parts, at=at, traits=traits)
    return _see_on(job, observation, parts, before=job, at=at, traits=traits)


def _note_presence(job: Job, *, at: PollContext, traits: KindTraits) -> Job:
    """Forget the 404s and refusals before it; the state is again what it was without them."""
    if job.ending == "not_found":
        job = find_again(job, now_ms=at.now_ms, clock=traits.clock)
    elif job.state is JobState.MISSING:
        job = replace(job, state=JobState.ENDED if has_ended(job) else JobState.WATCHING)
    return replace(job, seen=True, missing_ms=0, missing_reads=0, auth_refused="")


def _see_again(
    job: Job, observation: Observation, parts: Parts, *, at: PollContext, traits: KindTraits
) -> Step:
    """An ended job stands as it ended; what outlasts its end, such as a review, may go on."""
    job = decide_runs(forget_reverted(job, observation), ended=True, begun_ms=at.begun_ms)
    if job.ending == "replaced":
        return Step(job=job, confirms=True, data=observation.data)
    job = replace(job, status=observation.status, parts=parts, persona=_persona(job, observation, traits))
    drafts = draft_observed(job, observation, ended=False, late=False, traits=traits)
    return Step(job=job, drafts=drafts, confirms=True, data=observation.data)


def _see_run(
    job: Job, observation: Observation, parts: Parts, *, at: PollContext, traits: KindTraits
) -> Step:
    """Run n + 1 has begun, and may have ended between two reads."""
    superseded = find_superseded(job.parts, parts)
    begun = start_run(job, now_ms=at.now_ms, clock=traits.clock)
    if superseded:
        begun = replace(begun, superseded=(*begun.superseded, *superseded)[-MOST_SUPERSEDED:])
    return _see_on(begun, observation, parts, before=job, at=at, traits=traits)


def _see_on(
    job: Job, observation: Observation, parts: Parts, *, before: Job, at: PollContext, traits: KindTraits
) -> Step:
    """A run goes on, or ends now. `before` is the job as the former reading left it."""
    started = job.run != before.run
    redone = is_redone(before.parts, parts)
    awaited = _still_awaited(job, before, parts)
    listed = tuple(each for each in parts if each[0] not in job.superseded)
    undecided = bool(awaited) or listed != parts  # the next read, without the superseded items, decides
    ending = None if undecided else observation.ending
    job = decide_runs(job, ended=ending is not None and not (started or redone), begun_ms=at.begun_ms)
    came = bool(job.awaited) and not awaited
    seen = replace(
        forget_reverted(job, observation),
        status=observation.status,
        clock_ms=_clock(job, observation, parts, before=before, redone=redone, at=at, traits=traits),
        parts=listed,
        persona=_persona(job, observation, traits),
        awaited=awaited,
        state=JobState.ENDED if ending else job.state,
        ending=ending.word if ending else job.ending,
        tail_ms=0 if ending else job.tail_ms,
    )
    return Step(
        job=seen,
        drafts=draft_observed(
            seen, observation, ended=ending is not None, late=bool(job.tail_ms), traits=traits
        ),
        confirms=ending is not None,
        replaced=_list_replaced(seen, before, parts, begun=started and observation.ending is None, came=came)
        if traits.replaceable_parts
        else (),
        data=observation.data,
    )


def _list_replaced(job: Job, before: Job, parts: Parts, *, begun: bool, came: bool) -> tuple[str, ...]:
    """List the items that were redone: no longer listed, or listed beside their successors."""
    gone = find_replaced(before.parts, parts, begun=begun)
    known = job.superseded if came else job.superseded[len(before.superseded) :]
    return tuple(dict.fromkeys((*gone, *known)))


def _still_awaited(job: Job, before: Job, parts: Parts) -> tuple[str, ...]:
    """Give the items that must still come, none once all were seen, or once quite others took the place of items."""
    listed = {part for part, _ in parts}
    announced = (*before.parts, *((part, "") for part in job.awaited if part in listed))
    passed_by = is_redone(announced, parts)
    return () if passed_by or listed.issuperset(job.awaited) else job.awaited


def _persona(job: Job, observation: Observation, traits: KindTraits) -> str:
    return observation.related.get(traits.persona_field, job.persona)


def _clock(
    job: Job,
    observation: Observation,
    parts: Parts,
    *,
    before: Job,
    redone: bool,
    at: PollContext,
    traits: KindTraits,
) -> int:
    """Give the start of the watch clock: documented times are per item, a publication's begins with a delivery."""
    if traits.clock == "first_part":
        if observation.idle:
            return 0
        return job.clock_ms or (at.now_ms if parts else 0)
    if traits.clock != "parts" or not before.parts:
        return job.clock_ms
    known = dict(before.parts)
    ended = any(word and not known.get(part) for part, word in parts)
    return at.now_ms if ended or redone else job.clock_ms
