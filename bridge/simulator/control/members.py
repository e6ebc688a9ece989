"""Media items and deliveries that a control call writes in part."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.simulator.jobs.objects import MEMBERS, new_delivery, new_item
from bridge.simulator.state.personas import CONNECTED_ACCOUNTS


@dataclass(slots=True, kw_only=True)
class Members:
    """Completes media items or deliveries that a control call writes in part."""

    kind: str
    job_id: str
    made: int = 0

    def completed(self, parts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Add the documented fields, and ids where they are missing."""
        return [self._whole(part) for part in parts]

    def in_fields(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Complete the members that replace all others."""
        name = MEMBERS.get(self.kind)
        if name is None or name not in fields:
            return dict(fields)
        return {**fields, name: self.completed(fields[name])}

    def _whole(self, part: Mapping[str, Any]) -> dict[str, Any]:
        self.made += 1
        word = "item" if self.kind == "generated_post" else "delivery"
        part_id = str(part.get("id", f"{self.job_id}-{word}-{self.made}"))
        if self.kind == "generated_post":
            return new_item(part_id) | dict(part) | {"id": part_id}
        account = CONNECTED_ACCOUNTS[(self.made - 1) % len(CONNECTED_ACCOUNTS)]
        return new_delivery(part_id, account) | dict(part) | {"id": part_id}
