"""Turn what a page of a followed persona tells into jobs: each post with news gets a record, and its row is applied to it."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from bridge.domain.following.marks import is_running, make_mark, restore_job
from bridge.domain.following.pages import PageReading
from bridge.domain.ids import callback_id, job_key
from bridge.domain.jobs.callbacks import list_live_callbacks
from bridge.domain.jobs.outcome import PollContext
from bridge.domain.jobs.records import Job
from bridge.domain.jobs.registration import new_job
from bridge.domain.jobs.runs import GONE
from bridge.domain.jobs.watches import WATCH, is_only_watched
from bridge.providers.lists import Rows, read_row
from bridge.providers.spec import KindSpec, Lens
from bridge.services.context import Services
from bridge.services.following.followed_kinds import mark_words
from bridge.services.jobs.registration_case import RegistrationCase, add_callback
from bridge.services.jobs.watching import watch_command
from bridge.services.polling.piggyback import Piggyback
from bridge.services.queries import load_jobs
from bridge.store.chains.chains import note_found
from bridge.store.queue.lanes import Settled
from bridge.store.records import Loaded
from bridge.store.unit_of_work import UnitOfWork, retrying

AT_ONCE: Final = 50  # posts of one commit
# A followed post is shown by the sweeps; it is polled by itself if they have not shown it for so many poll intervals.
PATIENCE: Final = 8.0


class FollowedPersona(Struct, frozen=True, kw_only=True):
    """Whose posts a page shows."""

    project: str
    account: str
    persona: str
    kind: KindSpec


class SweptPage(Struct, frozen=True, kw_only=True):
    """A page, what it tells, and the marks of its posts by id; `chains` are the keys of those that wait for new posts."""

    rows: Rows
    reading: PageReading
    marks: Mapping[str, bytes]
    chains: Sequence[str] = ()


def patience_for(job: Job) -> float:
    """Return how many poll intervals a job that a sweep showed waits for its own poll: 0 where somebody registered it."""
    return PATIENCE if is_only_watched(job) else 0.0


def mark_rows(services: Services, kind: KindSpec, page: Rows, *, now_ms: int) -> dict[str, bytes]:
    """Return the marks of a page's posts by id; rows that show no state are left out."""
    lens = Lens(now_ms=now_ms, words=services.upstream.words)
    words = mark_words(kind.name)
    seen = {identifier: read_row(kind, identifier, row, lens) for identifier, row in page.rows}
    return {each: make_mark(row.observation, words) for each, row in seen.items() if row is not None}


class _Post(Struct, frozen=True, kw_only=True):
    id: str
    key: str
    loaded: Loaded[Job] | None


async def apply_page(
    services: Services, of: FollowedPersona, page: SweptPage, at: PollContext, *, piggyback: Piggyback
) -> None:
    """Make or wake the jobs of posts with news, then apply all rows of the page to the jobs that are watched.

    A process that dies in between leaves jobs that are polled by themselves.
    """
    reading = page.reading
    posts = [*dict.fromkeys((*reading.new, *reading.changed, *reading.missing))]
    for start in range(0, len(posts), AT_ONCE):
        await _wake(services, of, posts[start : start + AT_ONCE], page)
    observed = await piggyback.observe_rows(of.account, of.kind.name, page.rows, at)
    if observed.incomplete:
        shard = services.store.shard_of(of.account)
        due = [Settled(of.account, each.held.key, each.held.token, 0) for each in observed.incomplete]
        await services.store.poll.settle(shard, due)


async def _wake(services: Services, of: FollowedPersona, posts: Sequence[str], page: SweptPage) -> None:
    """Put posts into the poll queue, each with a record; those that run or are missing with a watch that keeps them there."""
    shard = services.store.shard_of(of.account)
    keys = {post: job_key(shard, of.account, of.kind.name, post) for post in posts}

    async def stage() -> tuple[UnitOfWork, None]:
        unit = services.unit_of_work(shard)
        loaded = await load_jobs(services.store, list(keys.values()))
        for post, key in keys.items():
            await _stage_post(services, unit, of, page, _Post(id=post, key=key, loaded=loaded.get(key)))
        return unit, None

    await retrying(services.store.committer, stage, new_work=True)


async def _stage_post(
    services: Services, unit: UnitOfWork, of: FollowedPersona, page: SweptPage, post: _Post
) -> None:
    mark, is_missing = page.marks.get(post.id), post.id in page.reading.missing
    if post.loaded is None:
        before = page.reading.missing.get(post.id) or page.reading.changed.get(post.id)
        job = restore_job(_begin(of, post.id, now_ms=unit.now_ms), before, mark, mark_words(of.kind.name))
    else:
        job = post.loaded.record
    if is_missing and job.ending in GONE:
        return
    needs_watch = is_missing or (mark is not None and is_running(mark))
    if needs_watch and not list_live_callbacks(job):
        job = await _watch(services, post, job, now_ms=unit.now_ms)
    unit.put_job(post.key, job, post.loaded)
    if post.id in page.reading.new:
        for chain in page.chains:
            unit.add((note_found(chain, post.id, now_ms=unit.now_ms),))
            unit.poll_at(chain, job, 0, how="sooner")
    if is_missing:
        unit.poll_at(post.key, job, 0, how="sooner")
    else:
        delay_ms = services.time_scale.ms(PATIENCE * of.kind.timing.interval_s)
        unit.poll_at(post.key, job, delay_ms, how="absent")


def _begin(of: FollowedPersona, post: str, *, now_ms: int) -> Job:
    return new_job(
        project=of.project,
        account=of.account,
        kind=of.kind.name,
        job_id=post,
        now_ms=now_ms,
        clock=str(of.kind.clock),
        persona=of.persona,
    )


async def _watch(services: Services, post: _Post, job: Job, *, now_ms: int) -> Job:
    """Return a job with a watch, which no list of callbacks shows."""
    case = RegistrationCase(
        key=post.key,
        command=replace(watch_command(job.kind), job_id=job.id),
        fingerprint=services.store.vault.fingerprint(WATCH.text),
        loaded=post.loaded,
        job=job,
        identifier=callback_id(post.key, services.dice),
    )
    return (await add_callback(services, case, now_ms=now_ms, held=())).job
