"""Scripts of jobs: which fields change at which simulated second."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bridge.simulator.behaviour.switches import Switches
from bridge.simulator.jobs.timeline import NOW, TimelineStep

ScriptOutcome = Literal["completed", "failed", "partial", "skipped"]
_AFTER_ITEMS_S = 5.0
_REVEAL = 0.25  # share of the shortest part's duration after which parts appear, where they appear late


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPart:
    """A media item or delivery to come: its first state, how long it takes, and whether it fails."""

    fields: Mapping[str, Any]
    seconds: float
    fails: bool = False

    @property
    def id(self) -> str:
        """Return the part's id."""
        return str(self.fields["id"])


def outcome_of(*texts: str, default: ScriptOutcome) -> ScriptOutcome:
    """Return the outcome that an id or another text asks for by containing `partial`, `skip` or `fail`."""
    joined = " ".join(texts).lower()
    for word, outcome in _OUTCOME_WORDS:
        if word in joined:
            return outcome
    return default


_OUTCOME_WORDS: tuple[tuple[str, ScriptOutcome], ...] = (
    ("partial", "partial"),
    ("skip", "skipped"),
    ("fail", "failed"),
)


def fails_by_position(outcome: ScriptOutcome, count: int) -> list[bool]:
    """Return for each part whether it fails: all of them, or for `partial` the last of several."""
    if outcome == "failed":
        return [True] * count
    return [outcome == "partial" and place == count - 1 for place in range(count)]


def sync_steps(seconds: float, outcome: ScriptOutcome, switches: Switches) -> tuple[TimelineStep, ...]:
    """Return the steps of a sync job: `pending`, `running`, then the end."""
    begins = min(5.0, seconds / 4)
    ending: dict[str, Any] = {"status": outcome if outcome in ("failed", "skipped") else "completed"}
    if outcome == "failed":
        ending["error_message"] = "source account is private"
    if switches.extra_fields:
        ending |= {"completed_at": NOW, "posts_found": 0 if outcome in ("failed", "skipped") else 3}
    running = {"status": "ingesting" if switches.unknown_words else "running"}
    started = {"started_at": NOW} if switches.extra_fields else {}
    return (TimelineStep(at_s=begins, set=running | started), TimelineStep(at_s=seconds, set=ending))


def item_end(part: PlannedPart) -> dict[str, Any]:
    """Return the fields of a media item that has ended."""
    if part.fails:
        return {"status": "failed", "url": None, "error_message": "generation failed"}
    suffix = "mp4" if part.fields.get("media_type") == "video" else "jpg"
    return {"status": "completed", "url": f"https://cdn.reelmirror.example/{part.id}.{suffix}"}


def generating(switches: Switches) -> str:
    """Return the word for work in progress."""
    return "rendering" if switches.unknown_words else "generating"


def item_steps(
    part: PlannedPart, *, begins_s: float, switches: Switches, alone: bool
) -> tuple[TimelineStep, ...]:
    """Return the steps of one listed item from `pending` to its end.

    `alone`: the item is an object of its own, not a part of its post.
    """
    working = {"status": generating(switches)}
    ends_s = begins_s + part.seconds
    if alone:
        return TimelineStep(at_s=begins_s, set=working), TimelineStep(at_s=ends_s, set=item_end(part))
    return (
        TimelineStep(at_s=begins_s, members={part.id: working}),
        TimelineStep(at_s=ends_s, members={part.id: item_end(part)}),
    )


def post_steps(
    parts: Sequence[PlannedPart], *, begins_s: float, switches: Switches
) -> tuple[TimelineStep, ...]:
    """Return the steps of a generated post whose items are made in parallel."""
    last_s = begins_s + max(part.seconds for part in parts)
    shows_s = {
        "at_once": 0.0,
        "later": begins_s + _REVEAL * min(part.seconds for part in parts),
        "when_done": last_s,
    }[switches.items_appear]
    listed = tuple(part.fields for part in parts)
    steps = [
        TimelineStep(at_s=begins_s, set={"status": generating(switches)}),
        TimelineStep(at_s=shows_s, add=listed),
    ]
    for part in parts:
        course = item_steps(part, begins_s=begins_s, switches=switches, alone=False)
        steps += [step.shifted(max(0.0, shows_s - step.at_s)) for step in course]
    return (*steps, *post_end(parts, last_s=last_s, switches=switches))


def post_end(parts: Sequence[PlannedPart], *, last_s: float, switches: Switches) -> tuple[TimelineStep, ...]:
    """Return the step that ends the post itself once its items have ended; none where its status never changes."""
    failed = sum(part.fails for part in parts)
    some_failed = switches.partial_status if failed else "completed"
    status = "failed" if failed == len(parts) else some_failed
    if status == "generating":
        return ()
    longest = max(part.seconds for part in parts)
    shift = {"with_items": 0.0, "after_items": _AFTER_ITEMS_S, "before_items": -longest / 2}
    caption = {} if status == "failed" else {"caption": "A caption in the persona's voice"}
    stamp = {"updated_at": NOW} if switches.extra_fields else {}
    return (TimelineStep(at_s=last_s + shift[switches.post_ends], set={"status": status} | caption | stamp),)


def regenerate_steps(
    parts: Sequence[PlannedPart], old_ids: frozenset[str], switches: Switches
) -> tuple[TimelineStep, ...]:
    """Return the steps of a full new run: the old items go, new ones come, the post is open again."""
    reopened = {"status": "pending", "review_status": "pending_review", "caption": None}
    begins = TimelineStep(at_s=0, set=reopened, remove=old_ids)
    return (begins, *post_steps(parts, begins_s=2.0, switches=switches))


def retry_steps(
    parts: Sequence[PlannedPart], old_ids: frozenset[str], switches: Switches
) -> tuple[TimelineStep, ...]:
    """Return the steps of retrying single items inside a post; `old_ids` are the items that go."""
    begins_s = 1.0
    begins = TimelineStep(
        at_s=0,
        set={"status": generating(switches)},
        remove=old_ids,
        add=tuple(part.fields for part in parts),
    )
    tries = [
        step for part in parts for step in item_steps(part, begins_s=begins_s, switches=switches, alone=False)
    ]
    last_s = begins_s + max(part.seconds for part in parts)
    return (begins, *tries, *post_end(parts, last_s=last_s, switches=switches))


def publish_steps(
    parts: Sequence[PlannedPart], *, at_s: float, switches: Switches
) -> tuple[TimelineStep, ...]:
    """Return the steps of an outgoing post: its deliveries in parallel, and its own status."""
    shows_s = 0.0 if switches.deliveries_appear == "at_once" else _REVEAL * min(p.seconds for p in parts)
    steps = [
        TimelineStep(at_s=at_s, set={"status": outgoing_word("publishing", switches), "updated_at": NOW}),
        TimelineStep(at_s=at_s + shows_s, add=tuple(part.fields for part in parts)),
    ]
    for part in parts:
        steps += [step.shifted(at_s) for step in _delivery_steps(part, shows_s, switches)]
    failed = sum(part.fails for part in parts)
    ended = "failed" if failed == len(parts) else "partial" if failed else "published"
    last_s = at_s + max(part.seconds for part in parts)
    steps.append(TimelineStep(at_s=last_s, set={"status": outgoing_word(ended, switches), "updated_at": NOW}))
    return tuple(steps)


def _delivery_steps(part: PlannedPart, shows_s: float, switches: Switches) -> list[TimelineStep]:
    words = (*switches.delivery_words, *(("queued_remotely",) if switches.unknown_words else ()))
    pace = (part.seconds - shows_s) / (len(words) + 1)
    steps = [
        TimelineStep(at_s=shows_s + pace * place, members={part.id: {"status": word}})
        for place, word in enumerate(words, start=1)
    ]
    ended: dict[str, Any] = {"status": "published", "platform_post_id": "1789000000", "published_at": NOW}
    if part.fails:
        ended = {"status": "failed", "error_message": "token expired"}
    return [*steps, TimelineStep(at_s=part.seconds, members={part.id: ended})]


def outgoing_word(word: str, switches: Switches) -> str:
    """Return the word in which an outgoing post's own status is shown; only `draft` is documented."""
    return switches.outgoing_words.get(word, word)


def voice_steps(
    item_id: str, *, seconds: float, fails: bool, switches: Switches, alone: bool
) -> tuple[TimelineStep, ...]:
    """Return the steps of a conversion of a finished item: only `voice_conversion_status` changes."""
    words = switches.voice_words
    course = (
        (0.0, words.waiting),
        (seconds / 4, words.working),
        (seconds, words.failed if fails else words.done),
    )
    field = "voice_conversion_status"
    if alone:
        return tuple(TimelineStep(at_s=at_s, set={field: word}) for at_s, word in course)
    return tuple(TimelineStep(at_s=at_s, members={item_id: {field: word}}) for at_s, word in course)


def video_steps(
    *, queued_s: float, processing_s: float, fails: bool, switches: Switches
) -> tuple[TimelineStep, ...]:
    """Return the steps of a ReelBot render: `queued`, `processing`, then the end ("Check Status")."""
    stamp = {"updatedAt": NOW} if switches.reelbot_updated_at else {}
    failed = {"status": "failed", "message": "Video generation failed", "error": "B-roll file not found"}
    if fails and switches.reelbot_fails_from == "queued":
        return (TimelineStep(at_s=queued_s, set=failed | stamp),)
    word = "encoding" if switches.unknown_words else "processing"
    processing = {"status": word, "message": "Video is being processed"}
    done = {
        "status": "completed",
        "message": "Video generation completed",
        "outputKey": "users/sim/output/v1.mp4",
    }
    return (
        TimelineStep(at_s=queued_s, set=processing | stamp),
        TimelineStep(at_s=queued_s + processing_s, set=(failed if fails else done) | stamp),
    )
