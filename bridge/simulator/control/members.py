"""Complete media items and deliveries of which a control call states only some fields."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.simulator.control.http import refuse
from bridge.simulator.jobs.objects import MEMBERS, new_delivery, new_item
from bridge.simulator.state.personas import CONNECTED_ACCOUNTS


@dataclass(slots=True, kw_only=True)
class Members:
    """Adds the documented fields, and missing ids, to the media items or deliveries of one job."""

    kind: str
    job_id: str
    made: int = 0

    def completed(self, parts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the parts with all documented fields and with ids."""
        return [self._whole(part) for part in parts]

    def in_fields(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return fields of an object, with the members among them completed."""
        name = MEMBERS.get(self.kind)
        if name is None or fields.get(name) is None:  # null stays null: an upstream may answer that
            return dict(fields)
        if not isinstance(fields[name], list) or not all(isinstance(part, dict) for part in fields[name]):
            raise refuse(400, f"{name}: a list of objects, or null")
        return {**fields, name: self.completed(fields[name])}

    def _whole(self, part: Mapping[str, Any]) -> dict[str, Any]:
        self.made += 1
        word = "item" if self.kind == "generated_post" else "delivery"
        part_id = str(part.get("id", f"{self.job_id}-{word}-{self.made}"))
        if self.kind == "generated_post":
            return new_item(part_id) | dict(part) | {"id": part_id}
        account = CONNECTED_ACCOUNTS[(self.made - 1) % len(CONNECTED_ACCOUNTS)]
        return new_delivery(part_id, account) | dict(part) | {"id": part_id}
