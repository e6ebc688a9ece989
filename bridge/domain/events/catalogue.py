"""The catalogue of event types (contract, section 4): what each one says, and which of them end a job."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bridge.domain.observation import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """One type, `kind.word`. `outcome` is None on progress and notices.

    `service` marks the events that tell of the bridge's own objects, not of one upstream job.
    """

    type: str
    kind: str
    word: str
    ending: bool
    outcome: Outcome | None
    summary: str
    service: bool = False


def event_type(kind: str, word: str) -> str:
    """Give the type of a kind's event: `sync_job.completed`."""
    return f"{kind}.{word}"


# kind -> its name in a sentence
NOUNS: Mapping[str, str] = MappingProxyType(
    {
        "sync_job": "sync job",
        "generated_post": "generated post",
        "generated_media_item": "generated media item",
        "voice_conversion": "voice conversion",
        "publishing_delivery": "publishing delivery",
        "outgoing_post": "outgoing post",
        "reelbot_video": "ReelBot video",
    }
)

_ENDINGS: Mapping[str, Mapping[str, tuple[Outcome, str]]] = {
    "sync_job": {
        "completed": (Outcome.SUCCEEDED, "The sync is done: new source posts can be read."),
        "failed": (Outcome.FAILED, "The sync failed; `error.message` is the provider's reason."),
        "skipped": (Outcome.SKIPPED, "The sync was skipped: the source was synced less than 15 minutes ago."),
    },
    "generated_post": {
        "completed": (Outcome.SUCCEEDED, "The post and every one of its media items are done."),
        "partial": (Outcome.PARTIAL, "The post has ended, and some but not all of it failed."),
        "failed": (Outcome.FAILED, "The post has ended and nothing of it was made."),
    },
    "generated_media_item": {
        "completed": (Outcome.SUCCEEDED, "The media item is done: `data.url` is its file."),
        "failed": (Outcome.FAILED, "The media item failed; `error.message` is the provider's reason."),
        "replaced": (Outcome.DELETED, "The media item was regenerated: another item took its place."),
    },
    "voice_conversion": {
        "completed": (Outcome.SUCCEEDED, "The media item's voice has been converted."),
        "failed": (Outcome.FAILED, "The voice conversion failed; the media item itself is untouched."),
    },
    "publishing_delivery": {
        "published": (Outcome.SUCCEEDED, "The post is published on one account."),
        "failed": (Outcome.FAILED, "The post could not be published on one account."),
    },
    "outgoing_post": {
        "published": (Outcome.SUCCEEDED, "The post is published on every account."),
        "partial": (Outcome.PARTIAL, "The post is published on some accounts and failed on others."),
        "failed": (Outcome.FAILED, "The post could not be published on any account."),
    },
    "reelbot_video": {
        "completed": (Outcome.SUCCEEDED, "The video is rendered and can be downloaded."),
        "failed": (Outcome.FAILED, "The rendering failed; `error.message` is the provider's reason."),
    },
}

_PROGRESS: Mapping[str, Mapping[str, str]] = {
    "sync_job": {"running": "The sync has begun."},
    "generated_post": {
        "generating": "The post's media items are being made.",
        "approved": "The post was approved in review.",
        "rejected": "The post was rejected in review.",
        "published": "The post was published on at least one account.",
    },
    "generated_media_item": {"generating": "The media item is being made."},
    "voice_conversion": {"processing": "The voice is being converted."},
    "outgoing_post": {"publishing": "The post is being published on its accounts."},
    "reelbot_video": {"processing": "The video is being rendered."},
}

_EVERY_ENDING: Mapping[str, tuple[Outcome, str]] = {
    "deleted": (Outcome.DELETED, "The {noun} was there and is gone, confirmed by a second read."),
    "not_found": (Outcome.UNKNOWN, "The {noun} was never seen: the provider still knows no such id."),
    "timed_out": (Outcome.UNKNOWN, "The {noun} showed no ending in time; it has not failed, it may yet end."),
}
_UNAUTHORIZED = "The provider refuses the account's key: the {noun} is watched again once the key works."

# type -> (ends a callback, summary)
_SERVICE: Mapping[str, tuple[bool, str]] = {
    "webhook.test": (False, "A sample, sent because somebody asked for it; it tells of no real job."),
}


def _of_kind(kind: str) -> Iterator[EventType]:
    noun = NOUNS[kind]
    for word, (outcome, summary) in {**_ENDINGS[kind], **_EVERY_ENDING}.items():
        yield EventType(
            type=event_type(kind, word),
            kind=kind,
            word=word,
            ending=True,
            outcome=outcome,
            summary=summary.format(noun=noun),
        )
    for word, summary in {**_PROGRESS.get(kind, {}), "unauthorized": _UNAUTHORIZED}.items():
        yield EventType(
            type=event_type(kind, word),
            kind=kind,
            word=word,
            ending=False,
            outcome=None,
            summary=summary.format(noun=noun),
        )


def _of_service() -> Iterator[EventType]:
    for name, (ending, summary) in _SERVICE.items():
        kind, _, word = name.partition(".")
        yield EventType(
            type=name, kind=kind, word=word, ending=ending, outcome=None, summary=summary, service=True
        )


EVENT_TYPES: Mapping[str, EventType] = MappingProxyType(
    {each.type: each for each in (*(each for kind in NOUNS for each in _of_kind(kind)), *_of_service())}
)
