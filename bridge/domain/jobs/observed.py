"""Apply an observed object to its job: a state, an end, or a new run."""

from msgspec.structs import replace

from bridge.domain.jobs.baseline import mark_results
from bridge.domain.jobs.claims import accept_claim, sign_claim
from bridge.domain.jobs.emitted import forget_reverted
from bridge.domain.jobs.facts import draft_observed
from bridge.domain.jobs.outcome import KindTraits, PollContext, Step
from bridge.domain.jobs.records import Job, JobState
from bridge.domain.jobs.runs import (
    Parts,
    decide_runs,
    find_replaced,
    find_superseded,
    has_ended,
    is_blank,
    is_new_run,
    is_redone,
    list_parts,
    resume_run,
    start_run,
)
from bridge.domain.observation import Observation

MAX_SUPERSEDED = 1_000  # as many parts as one object shows


def apply_observed(
    job: Job, observation: Observation, *, at: PollContext, traits: KindTraits, overdue: bool = False
) -> Step:
    """Return the effect of an observation on its job; `overdue` means that without an ending it times out."""
    job = _note_presence(job, at=at, traits=traits)
    observation = accept_claim(job, observation, overdue=overdue)
    job = replace(job, claimed=sign_claim(observation))
    parts = list_parts(observation)
    if is_blank(job, observation) or not set(job.superseded).isdisjoint(part for part, _ in parts):
        # Nothing can be concluded, or it was read before it was known which of its items count: the next read decides.
        return Step(job=job, data=observation.data)
    mark = mark_results(observation.data, traits.result_fields) if job.before else ""
    if is_new_run(job, observation, parts, mark=mark):
        return _apply_new_run(job, observation, parts, at=at, traits=traits)
    if has_ended(job):
        return _apply_after_end(job, observation, parts, at=at, traits=traits)
    return _apply_to_run(job, observation, parts, before=job, at=at, traits=traits)


def _note_presence(job: Job, *, at: PollContext, traits: KindTraits) -> Job:
    """Return the job as if it had had no 404s and refusals before."""
    if job.ending == "not_found":
        job = resume_run(job, now_ms=at.now_ms, clock=traits.clock)
    elif job.state is JobState.MISSING:
        job = replace(job, state=JobState.ENDED if has_ended(job) else JobState.WATCHING)
    return replace(job, seen=True, missing_ms=0, missing_reads=0, auth_refused="")


def _apply_after_end(
    job: Job, observation: Observation, parts: Parts, *, at: PollContext, traits: KindTraits
) -> Step:
    """Apply an observation to a job that has ended: only facts such as a review's result can still follow."""
    job = decide_runs(forget_reverted(job, observation), ended=True, begun_ms=at.begun_ms)
    if job.ending == "replaced":
        return Step(job=job, confirms=True, data=observation.data)
    job = replace(job, status=observation.status, parts=parts, persona=_persona(job, observation, traits))
    drafts = draft_observed(job, observation, ended=False, late=False, traits=traits)
    return Step(job=job, drafts=drafts, confirms=True, data=observation.data)


def _apply_new_run(
    job: Job, observation: Observation, parts: Parts, *, at: PollContext, traits: KindTraits
) -> Step:
    """Apply an observation that shows a new run, which may have ended already."""
    superseded = find_superseded(job.parts, parts, failed_words=traits.failed_part_words)
    begun = start_run(job, now_ms=at.now_ms, clock=traits.clock)
    if superseded:
        begun = replace(begun, superseded=(*begun.superseded, *superseded)[-MAX_SUPERSEDED:])
    return _apply_to_run(begun, observation, parts, before=job, at=at, traits=traits)


def _apply_to_run(
    job: Job, observation: Observation, parts: Parts, *, before: Job, at: PollContext, traits: KindTraits
) -> Step:
    """Apply an observation to a run, which goes on or ends now. `before` is the job before this poll."""
    started = job.run != before.run
    redone = is_redone(before.parts, parts)
    awaited = _still_awaited(job, before, parts)
    listed = tuple(each for each in parts if each[0] not in job.superseded)
    undecided = bool(awaited) or listed != parts  # the next read, without the superseded items, decides
    ending = None if undecided else observation.ending
    job = decide_runs(job, ended=ending is not None and not (started or redone), begun_ms=at.begun_ms)
    retry_complete = bool(job.awaited) and not awaited
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
        replaced=_list_replaced(
            seen, before, parts, begun=started and observation.ending is None, retry_complete=retry_complete
        )
        if traits.replaceable_parts
        else (),
        data=observation.data,
    )


def _list_replaced(
    job: Job, before: Job, parts: Parts, *, begun: bool, retry_complete: bool
) -> tuple[str, ...]:
    """Return the items that were replaced: they are no longer listed, or are listed beside their successors."""
    gone = find_replaced(before.parts, parts, begun=begun)
    known = job.superseded if retry_complete else job.superseded[len(before.superseded) :]
    return tuple(dict.fromkeys((*gone, *known)))


def _still_awaited(job: Job, before: Job, parts: Parts) -> tuple[str, ...]:
    """Return the items that must still be seen; none once all were, or once different items have replaced them."""
    if not job.awaited:
        return ()
    listed = {part for part, _ in parts}
    announced = (*before.parts, *((part, "") for part in job.awaited if part in listed))
    overtaken = is_redone(announced, parts)
    return () if overtaken or listed.issuperset(job.awaited) else job.awaited


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
    """Return the start of the watch timeout, which restarts when an item ends; an outgoing post's needs a delivery."""
    if traits.clock == "first_part":
        if observation.idle:
            return 0
        return job.clock_ms or (at.now_ms if parts else 0)
    if traits.clock != "parts" or not before.parts:
        return job.clock_ms
    known = dict(before.parts)
    ended = any(word and not known.get(part) for part, word in parts)
    return at.now_ms if ended or redone else job.clock_ms
