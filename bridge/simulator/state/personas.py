"""Personas, their sources and the accounts they publish to."""

from dataclasses import dataclass, field
from typing import Any, Literal

from bridge.simulator.jobs.timeline import iso

AutomationMode = Literal["sync_only", "auto_clone", "auto_publish"]

CONNECTED_ACCOUNTS: tuple[dict[str, Any], ...] = (
    {"id": "bbbb0000-0000-4000-8000-000000000001", "platform": "instagram", "username": "demo"},
    {"id": "bbbb0000-0000-4000-8000-000000000002", "platform": "tiktok", "username": "demo2"},
)


@dataclass(slots=True, kw_only=True)
class Source:
    """A tracked account; each sync is known from its start, with the time at which it ends."""

    id: str
    platform: str
    handle: str
    created_at: float
    mode: AutomationMode = "sync_only"
    last_sync_began_at: float | None = None
    syncs: list[tuple[float, int]] = field(default_factory=list)  # (completed at, posts found)

    def as_json(self, now: float) -> dict[str, Any]:
        """Return the source as "Add source" shows it."""
        done = [(at, found) for at, found in self.syncs if at <= now]
        return {
            "id": self.id,
            "creator_id": f"creator-{self.handle}",
            "platform": self.platform,
            "handle": self.handle,
            "automation_mode": self.mode,
            "status": "active" if done else "pending",
            "last_synced_at": iso(max(done)[0]) if done else None,
            "content_count": sum(found for _, found in done),
            "created_at": iso(self.created_at),
        }


@dataclass(slots=True, kw_only=True)
class Persona:
    """A persona; the form of its read is not documented."""

    id: str
    fields: dict[str, Any]
    created_at: float
    sources: dict[str, Source] = field(default_factory=dict)
    targets: list[str] = field(default_factory=list)  # ids of connected accounts

    def as_json(self) -> dict[str, Any]:
        """Return the persona as the simulator shows it."""
        return {"id": self.id, **self.fields, "created_at": iso(self.created_at)}

    def target_accounts(self) -> list[dict[str, Any]]:
        """Return the connected accounts that this persona publishes to."""
        return [account for account in CONNECTED_ACCOUNTS if account["id"] in self.targets]


def ready_persona(persona_id: str, *, now: float, sources: int = 1, targets: int = 1) -> Persona:
    """Return a persona that can sync, convert voices and publish at once."""
    persona = Persona(
        id=persona_id,
        fields={
            "name": persona_id,
            "writing_style": "casual",
            "discount_mode": False,
            "avatar_url": None,
            "voice_sample_url": "https://cdn.reelmirror.example/voice.mp3",
        },
        created_at=now,
        targets=[account["id"] for account in CONNECTED_ACCOUNTS[:targets]],
    )
    for number in range(1, sources + 1):
        source = Source(
            id=f"{persona_id}-source-{number}",
            platform="instagram",
            handle=f"creator{number}",
            created_at=now,
        )
        persona.sources[source.id] = source
    return persona
