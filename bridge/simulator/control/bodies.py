"""Request bodies of the control API."""

from typing import Any, Literal

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from bridge.simulator.control.members import Members
from bridge.simulator.jobs.timeline import TimelineStep

Kind = Literal["sync_job", "generated_post", "generated_media_item", "outgoing_post", "reelbot_video"]
PatchKind = Literal[
    "sync_job",
    "generated_post",
    "generated_media_item",
    "outgoing_post",
    "reelbot_video",
    "voice_conversion",
    "publishing_delivery",
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StepBody(_Strict):
    """One step of a script.

    `set` merges fields of the object (`set.media_items` replaces all items), `items` and `deliveries` merge fields by
    member id, `add` appends members and `remove` removes them. Two values have a meaning: `"$now"` stands for the
    time of the step, `"$absent"` removes the field.
    """

    after_s: NonNegativeFloat
    set: dict[str, Any] = Field(default_factory=dict)
    items: dict[str, dict[str, Any]] = Field(default_factory=dict)
    deliveries: dict[str, dict[str, Any]] = Field(default_factory=dict)
    add: list[dict[str, Any]] = Field(default_factory=list)
    remove: list[str] = Field(default_factory=list)
    delete: bool = False
    restore: bool = False

    def step(self, members: Members) -> TimelineStep:
        """Return the step; members that the caller wrote in part are completed."""
        return TimelineStep(
            at_s=self.after_s,
            set=members.in_fields(self.set),
            remove=frozenset(self.remove),
            add=tuple(members.completed(self.add)),
            members=self.items | self.deliveries,
            alive=False if self.delete else True if self.restore else None,
        )


class JobBody(_Strict):
    """`POST /_sim/jobs`: a job and its script; without a script it never changes."""

    kind: Kind
    id: str | None = Field(default=None, min_length=1, max_length=200)
    persona_id: str | None = None
    owner: str | None = None
    set: dict[str, Any] = Field(default_factory=dict)
    items: list[dict[str, Any]] | None = None
    deliveries: list[dict[str, Any]] | None = None
    script: list[StepBody] = Field(default_factory=list)
    start: Literal["now", "first_read"] = "now"


class StepsBody(_Strict):
    """`POST /_sim/jobs/{kind}/{id}/steps`: more steps, their times counted from now."""

    script: list[StepBody]
    drop_rest: bool = False


class MatchBody(_Strict):
    """Which requests a fault applies to."""

    path_prefix: str | None = None
    method: str | None = None
    kind: str | None = None
    id: str | None = None
    key: str | None = None


class FaultBody(_Strict):
    """`POST /_sim/faults`; `for_s`, `delay_s` and `drip_s` are wall-clock seconds.

    `body_base64` is a body of any bytes, also of those that JSON cannot hold.
    """

    match: MatchBody = Field(default_factory=MatchBody)
    status: int | None = Field(default=None, ge=200, le=599)
    code: str | None = None
    times: PositiveInt | None = None
    for_s: float | None = Field(default=None, gt=0)
    body: Any = None
    body_base64: Base64Bytes | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    html: bool = False
    json_garbage: bool = False
    reset: bool = False
    truncate: bool = False
    delay_s: NonNegativeFloat = 0.0
    drip_s: NonNegativeFloat = 0.0
    pad_bytes: NonNegativeInt = 0


class KeyFactsBody(_Strict):
    """`PUT /_sim/keys/{key}`: fields that are left out keep their values."""

    account: str | None = None
    scopes: list[str] | None = None
    missing_scopes: list[str] = Field(default_factory=list)


class KnownKeysBody(_Strict):
    """`PUT /_sim/keys`: accept only these keys; null accepts any of the right form."""

    known: list[str] | None


class PersonaBody(_Strict):
    """`POST /_sim/personas`: a persona that can sync, generate and publish at once."""

    id: str | None = None
    sources: NonNegativeInt = 1
    targets: int = Field(default=1, ge=0, le=2)
    automation_mode: Literal["sync_only", "auto_clone", "auto_publish"] = "sync_only"


class AutomationBody(_Strict):
    """`POST /_sim/automation`: sync a persona as its automation would, without a client's call."""

    persona_id: str
    owner: str = "automation"
