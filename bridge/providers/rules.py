"""Decide from an object what state its job is in: by its own word, by a post's items, by deliveries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.domain.observation import Ending, Observation, Part, Timing
from bridge.providers.spec import KindSpec, Lens
from bridge.providers.status_words import (
    Word,
    fold,
    read_ending,
    read_id,
    read_message,
    read_related,
    read_word,
)
from bridge.providers.text import MESSAGE_CHARS, WORD_CHARS, name_type, show
from bridge.providers.timestamps import read_moment_ms

# A hostile answer may hold thousands of strange words; a timeline needs to see a few.
_MOST_UNKNOWN = 10
# A carousel has some ten items and a persona some ten accounts; each part costs time and memory down the line. Further
# ones count towards the end, and are not followed one by one.
_MOST_PARTS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    word: Word
    data: Mapping[str, Any]
    id: str | None
    ending: Ending | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pieces:
    """The objects under a kind's parts field that count; `superseded` says that others were left out."""

    counted: tuple[_Piece, ...]
    superseded: bool = False
    trouble: str | None = None

    @property
    def open(self) -> list[_Piece]:
        return [piece for piece in self.counted if piece.ending is None]

    def ended_as(self, word: str) -> list[_Piece]:
        return [piece for piece in self.counted if piece.ending and piece.ending.word == word]

    def parts(self) -> tuple[Part, ...]:
        return tuple(
            Part(id=piece.id, status=piece.word.status, ending=piece.ending, data=piece.data)
            for piece in self.counted[:_MOST_PARTS]
            if piece.id is not None
        )


def observe_status(kind: KindSpec, data: Mapping[str, Any], lens: Lens) -> Observation:
    """Return the state that the object's own status word stands for."""
    word = read_word(kind, data, lens)
    media_type = data.get(kind.media_field) if kind.media_field else None
    return Observation(
        status=word.status,
        ending=read_ending(kind, word.ending, data),
        data=data,
        timing=kind.timing_for(media_type),
        progress=word.progress,
        related=read_related(kind, data),
        unknown=_list_unknown(word.unknown),
    )


def observe_generated_post(kind: KindSpec, data: Mapping[str, Any], lens: Lens) -> Observation:
    """Judge a post by its word and its items together.

    Done is the documented test, post and every item completed (Webhooks guide), and never true of no items. One item
    that still runs, or speaks an unknown word, keeps the post running even where the post itself says `failed`: after
    a retry of failed items the post may still carry its old word, and an end must not lose what is being made. So such
    a word is only a claim, and while any item has begun or ended, one that must wait.
    """
    word = read_word(kind, data, lens)
    pieces = _read_pieces(kind, data, lens)
    ending = _end_post(kind, word, pieces, data)
    begun = bool(word.ending or word.progress or any(not piece.word.queued for piece in pieces.counted))
    review, strange_review = _read_review(kind, data)
    return Observation(
        status=word.status,
        ending=ending,
        data=data,
        timing=_pace_by_media(kind, pieces.open),
        progress=kind.progress_words[0] if begun and ending is None else None,
        review=review,
        parts=pieces.parts(),
        related=read_related(kind, data),
        unknown=_list_unknown(word.unknown, pieces.trouble, *_strange(pieces), strange_review),
        claimed=_claim_failure(kind, data, failed=word.ending == "failed", pieces=pieces, ending=ending),
        moves=not _all_wait(pieces),
    )


def observe_outgoing_post(kind: KindSpec, data: Mapping[str, Any], lens: Lens) -> Observation:
    """Judge an outgoing post by its deliveries; its own word tells whether it has begun, and may claim a failure.

    A draft or scheduled post whose deliveries, if any are listed, all still wait has not begun. One that says how it
    ended and shows no delivery is read at the same slow pace: only a person can move it.
    """
    word = read_word(kind, data, lens)
    pieces = _read_pieces(kind, data, lens)
    ending = _end_outgoing(kind, pieces, data)
    begun = word.progress is not None or bool(pieces.counted)
    said = fold(word.status, loose=False)
    waiting = said in kind.dormant_words and all(piece.word.queued for piece in pieces.counted)
    claimed = _claim_failure(kind, data, failed=said == "failed", pieces=pieces, ending=ending)
    idle = ending is None and (waiting or not (begun or pieces.trouble))
    return Observation(
        status=word.status,
        ending=ending,
        data=data,
        timing=kind.timing,
        progress=kind.progress_words[0] if begun and ending is None and not idle else None,
        parts=pieces.parts(),
        related=read_related(kind, data),
        unknown=_list_unknown(word.unknown, pieces.trouble, *_strange(pieces)),
        claimed=claimed,
        moves=not _all_wait(pieces),
        settled=said in kind.settled_words and not (claimed or pieces.counted or pieces.trouble),
        idle=idle,
        scheduled_for_ms=read_moment_ms(data.get("scheduled_for")),
    )


def _read_pieces(kind: KindSpec, data: Mapping[str, Any], lens: Lens) -> _Pieces:
    listed = data.get(kind.parts_field) if kind.parts_field else None
    if listed is None:
        return _Pieces(counted=())
    if not isinstance(listed, list):
        return _Pieces(counted=(), trouble=f"{kind.parts_field} {name_type(listed)}")
    read = [_read_piece(kind, entry, lens) for entry in listed]
    counted = tuple(piece for piece in read if piece.id is None or piece.id not in lens.superseded)
    return _Pieces(counted=counted, superseded=len(counted) < len(read))


def _read_piece(kind: KindSpec, entry: object, lens: Lens) -> _Piece:
    if kind.part is None or not isinstance(entry, dict):
        return _Piece(word=Word(status="", unknown=name_type(entry)), data={}, id=None, ending=None)
    word = read_word(kind.part, entry, lens)
    return _Piece(
        word=word, data=entry, id=read_id(entry.get("id")), ending=read_ending(kind.part, word.ending, entry)
    )


def _claim_failure(
    kind: KindSpec, data: Mapping[str, Any], *, failed: bool, pieces: _Pieces, ending: Ending | None
) -> Ending | None:
    """Return the failure that the object's own word claims against its parts, None where nothing is left to claim."""
    if not failed or ending is not None or pieces.superseded:
        return None
    return read_ending(kind, "failed", data)


def _all_wait(pieces: _Pieces) -> bool:
    return pieces.trouble is None and all(piece.word.queued for piece in pieces.counted)


def _end_post(kind: KindSpec, word: Word, pieces: _Pieces, data: Mapping[str, Any]) -> Ending | None:
    if pieces.open or pieces.trouble:
        return None
    if not pieces.counted:
        # Nothing but superseded items: the word is the former run's, its new items are still to come.
        failed_empty = word.ending == "failed" and not pieces.superseded
        return read_ending(kind, "failed", data) if failed_empty else None
    failed, completed = pieces.ended_as("failed"), pieces.ended_as("completed")
    if failed:
        word_seen = "partial" if completed else "failed"
        return _count_failures(kind, failed, pieces, data, word=word_seen, nouns=("item", "items"))
    if word.ending == "failed":
        # Every item is there and yet the post failed, by its caption for one: not all, not nothing.
        return read_ending(kind, "partial", data)
    return read_ending(kind, "completed", data) if word.ending == "completed" else None


def _end_outgoing(kind: KindSpec, pieces: _Pieces, data: Mapping[str, Any]) -> Ending | None:
    if pieces.open or pieces.trouble or not pieces.counted:
        return None
    failed = pieces.ended_as("failed")
    if not failed:
        return read_ending(kind, "published", data)
    word = "failed" if len(failed) == len(pieces.counted) else "partial"
    return _count_failures(kind, failed, pieces, data, word=word, nouns=("delivery", "deliveries"))


def _count_failures(
    kind: KindSpec,
    failed: Sequence[_Piece],
    pieces: _Pieces,
    data: Mapping[str, Any],
    *,
    word: str,
    nouns: tuple[str, str],
) -> Ending:
    total = len(pieces.counted)
    said = f"{len(failed)} of {total} {nouns[total != 1]} failed"
    own = read_message(kind, data)
    reason = own or next((p.ending.message for p in failed if p.ending and p.ending.message), None)
    message = show(f"{said}: {reason}" if reason else said, limit=MESSAGE_CHARS)
    return Ending(word=word, outcome=kind.ending_words[word], message=message)


def _pace_by_media(kind: KindSpec, open_pieces: Sequence[_Piece]) -> Timing:
    """Return the shortest interval and the longest timeout of the open items."""
    part = kind.part
    if part is None or not open_pieces:
        return kind.timing
    paces = [part.timing_for(piece.data.get(part.media_field or "")) for piece in open_pieces]
    return Timing(interval_s=min(p.interval_s for p in paces), timeout_s=max(p.timeout_s for p in paces))


def _read_review(kind: KindSpec, data: Mapping[str, Any]) -> tuple[str | None, str | None]:
    raw = data.get(kind.review_field) if kind.review_field else None
    if raw is None:
        return None, None
    if not isinstance(raw, str):
        return None, f"{kind.review_field} {name_type(raw)}"
    review = fold(show(raw, limit=WORD_CHARS), loose=False)
    known = review in kind.review_words or review in kind.quiet_review_words
    return review, None if known else review


def _strange(pieces: _Pieces) -> list[str | None]:
    return [piece.word.unknown for piece in pieces.counted]


def _list_unknown(*words: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for word in words if word))[:_MOST_UNKNOWN]
