"""Guess the words of `voice_conversion_status`: ReelMirror documents none but null ("none applied", Generation guide).

Words are compared without case and separators: "In Progress", "in-progress" and "inprogress" are one. What stands in
neither table is still running and shows in the timeline; an operator's setting can name more.
"""

from collections.abc import Mapping
from types import MappingProxyType

_DONE = (
    "completed",
    "complete",
    "done",
    "success",
    "succeeded",
    "successful",
    "finished",
    "ready",
    "converted",
    "processed",
    "applied",
    "conversioncompleted",
    "conversioncomplete",
    "conversiondone",
    "conversionsucceeded",
)
_FAILED = (
    "failed",
    "failure",
    "fail",
    "error",
    "errored",
    "unsuccessful",
    "aborted",
    "cancelled",
    "canceled",
    "rejected",
    "expired",
    "timeout",
    "timedout",
    "conversionfailed",
    "conversionerror",
)
_WAITING = (
    "none",
    "null",
    "notstarted",
    "notrequested",
    "idle",
    "new",
    "created",
    "requested",
    "submitted",
    "accepted",
    "pending",
    "queued",
    "waiting",
    "scheduled",
)
_CONVERTING = (
    "processing",
    "converting",
    "generating",
    "running",
    "inprogress",
    "progress",
    "started",
    "starting",
    "initializing",
    "initialising",
    "working",
    "active",
    "ongoing",
    "uploading",
    "downloading",
    "transcoding",
    "rendering",
    "cloning",
    "synthesizing",
    "synthesising",
    "analyzing",
    "analysing",
    "retrying",
    "retry",
    "finalizing",
    "finalising",
)

VOICE_ENDS: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(_DONE, "completed") | dict.fromkeys(_FAILED, "failed")
)
VOICE_RUNS: Mapping[str, str | None] = MappingProxyType(
    dict.fromkeys(_WAITING) | dict.fromkeys(_CONVERTING, "processing")
)
