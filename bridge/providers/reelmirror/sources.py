"""ReelMirror's list of a persona's sources (reference "Add source"; the list itself is not documented)."""

from bridge.domain.events.fields import ID, STATUS, Field, Shape, text_fields, time_fields
from bridge.providers.reelmirror.evidence import SOURCES as PATH
from bridge.providers.start_evidence import SourceList

_PERSONA = "0d9c8b7a-6f5e-4d3c-8b2a-1f0e9d8c7b6a"

SOURCES = SourceList(
    path=PATH,
    synced_field="last_synced_at",
    synced_by="sync_job",
    persona_field="persona_id",
    fields=(
        ID,
        STATUS,
        *text_fields("creator_id", "platform", "handle"),
        Field(name="automation_mode", note="`sync_only`, `auto_clone` or `auto_publish`."),
        Field(name="content_count", shape=Shape.NUMBER, note="How many posts of it were found so far."),
        *time_fields("last_synced_at", "created_at"),
    ),
    sample={
        "id": "b7d0a9c8-1e2f-4a3b-8c4d-5e6f7a8b9c0d",
        "creator_id": "3c2b1a09-8f7e-4d6c-9b5a-0f1e2d3c4b5a",
        "platform": "instagram",
        "handle": "example",
        "automation_mode": "auto_clone",
        "status": "active",
        "last_synced_at": "2026-11-21T10:33:02.000Z",
        "content_count": 12,
        "created_at": "2026-10-01T08:00:00.000Z",
    },
    persona=_PERSONA,
)
