"""Plans of jobs of every kind: how the simulator makes each one, and how it ends."""

import random
from dataclasses import dataclass
from typing import Any

SIMULATOR_SPEED = 10


@dataclass(frozen=True, kw_only=True)
class PlannedJob:
    """A job to come: how the simulator makes it, how it is registered, and what it ends in.

    `end_s` is when it ends by itself, in seconds of a wall clock; None: when the test says so.
    """

    kind: str
    id: str
    begun: dict[str, Any]
    ended: dict[str, Any]
    fields: dict[str, Any]
    ending: str
    end_s: float | None

    @property
    def hooks(self) -> list[str]:
        """Name its callbacks: every tenth job has two, which must hear of one event."""
        return [f"{self.id}-1", f"{self.id}-2"] if self.id.endswith("7") else [self.id]

    @property
    def parts(self) -> dict[str, str]:
        """Return the endings of its parts that have events of their own, which endpoints hear of."""
        if self.kind != "outgoing_post":
            return {}
        return {each["id"]: "publishing_delivery.published" for each in self.ended["deliveries"]}

    @property
    def script(self) -> list[dict[str, Any]]:
        """What the simulator is to do by itself."""
        return [] if self.end_s is None else [{"after_s": self.end_s * SIMULATOR_SPEED, "set": self.ended}]

    @property
    def body(self) -> dict[str, Any]:
        """What makes it in the simulator."""
        return {"kind": self.kind, "id": self.id, "script": self.script, **self.begun}


def plan_jobs(
    dice: random.Random, prefix: str, count: int, *, within_s: tuple[float, float] | None
) -> list[PlannedJob]:
    """Plan jobs of all kinds."""
    return [
        _plan(dice, f"{prefix}{number}", number, dice.uniform(*within_s) if within_s else None)
        for number in range(count)
    ]


def plan_ended(prefix: str, count: int) -> list[PlannedJob]:
    """Plan jobs that have ended before they are registered."""
    return [_plan_sync(f"{prefix}{number}", "completed", 0.0) for number in range(count)]


def _plan_sync(name: str, ending: str, end_s: float | None) -> PlannedJob:
    return PlannedJob(
        kind="sync_job",
        id=name,
        begun={},
        ended={"status": ending},
        fields={"job_id": name},
        ending=f"sync_job.{ending}",
        end_s=end_s,
    )


def _plan(dice: random.Random, name: str, number: int, end_s: float | None) -> PlannedJob:
    def planned(
        kind: str, fields: dict[str, Any], ending: str, ended: dict[str, Any], **begun: Any
    ) -> PlannedJob:
        return PlannedJob(
            kind=kind, id=name, begun=begun, ended=ended, fields=fields, ending=ending, end_s=end_s
        )

    done = {"status": "completed", "url": "https://cdn.example/x.jpg"}
    broken = {"status": "failed", "url": None, "error_message": "generation failed"}
    match number % 6:
        case 0:
            return _plan_sync(name, dice.choice(["completed", "failed", "skipped"]), end_s)
        case 1:
            parts = [{"id": f"{name}-{part}", "media_type": "image", "status": "pending"} for part in "ab"]
            items = [{**parts[0], **done}, {**parts[1], **broken}]
            ended = {"status": "completed", "media_items": items}
            fields = {"generated_post_id": name}
            return planned("generated_post", fields, "generated_post.partial", ended, items=parts)
        case 2:
            fields = {"generated_media_item_id": name}
            return planned("generated_media_item", fields, "generated_media_item.completed", done)
        case 3:
            begun = {**done, "media_type": "video", "voice_conversion_status": "processing"}
            fields = {"generated_media_item_id": name, "kind": "voice_conversion"}
            ended = {"voice_conversion_status": "completed"}
            return planned("generated_media_item", fields, "voice_conversion.completed", ended, set=begun)
        case 4:
            told = {"id": f"{name}-d", "platform": "instagram", "username": name}
            ended = {"deliveries": [{**told, "status": "published"}]}
            waiting = [{**told, "status": "publishing"}]  # a pending one would be read once a minute
            fields = {"outgoing_post_id": name}
            return planned("outgoing_post", fields, "outgoing_post.published", ended, deliveries=waiting)
        case _:
            ended = {"status": "completed", "outputKey": f"users/u/{name}.mp4"}
            return planned("reelbot_video", {"projectId": name}, "reelbot_video.completed", ended)
