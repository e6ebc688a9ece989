"""What ReelMirror's starts leave behind, by which they are found when their answer was lost (guide "Generation")."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from bridge.providers.reelmirror.kinds import GENERATED_POST
from bridge.providers.start_evidence import StartEvidence

SOURCES = "/v1/personas/{persona}/sources"


def makes_posts(source: Mapping[str, Any]) -> bool:
    """Whether a persona's source makes posts without a call (automation modes, guide "Automation")."""
    return source.get("automation_mode") in ("auto_clone", "auto_publish")


def rebuild_generate(post_id: str) -> tuple[int, Mapping[str, Any]]:
    """Return the documented answer to `POST /v1/generate`."""
    return 202, {"status": "started", "generated_post_id": post_id}


EVIDENCE: Mapping[str, StartEvidence] = MappingProxyType(
    {
        "generate": StartEvidence(
            kind=GENERATED_POST,
            source_field="source_post_id",
            automation_path=SOURCES,
            automatic=makes_posts,
            rebuild=rebuild_generate,
        ),
        # What it answers is not documented, and a post does not name the URL that it was made from.
        "clone_url": StartEvidence(kind=GENERATED_POST, automation_path=SOURCES, automatic=makes_posts),
    }
)
