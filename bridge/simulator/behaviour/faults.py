"""Faults that a test orders: which requests they apply to, and what they do to them."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultMatch:
    """Which requests a fault applies to; every field that is set must match."""

    path_prefix: str | None = None
    method: str | None = None
    kind: str | None = None
    id: str | None = None
    key: str | None = None

    def matches(self, *, path: str, method: str, kind: str | None, job_id: str | None, key: str) -> bool:
        """Return whether a request matches."""
        return (
            (self.path_prefix is None or path.startswith(self.path_prefix))
            and (self.method is None or self.method == method)
            and (self.kind is None or self.kind == kind)
            and (self.id is None or self.id == job_id)
            and (self.key is None or self.key == key)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to a response, or in its place; durations are wall-clock seconds.

    `status` sends an error in the documented shape, unless `body`, `raw_body` or `html` says otherwise. `delay_s`, `drip_s` (the
    body comes slowly), `truncate` and `pad_bytes` (spaces after the body) also apply to the ordinary response.
    """

    id: str
    match: FaultMatch
    times: int | None = None
    until: float | None = None  # Unix seconds
    status: int | None = None
    code: str | None = None
    body: Any = None
    raw_body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    html: bool = False
    json_garbage: bool = False
    reset: bool = False
    truncate: bool = False
    delay_s: float = 0.0
    drip_s: float = 0.0
    pad_bytes: int = 0

    @property
    def answers(self) -> bool:
        """Return whether the fault replaces the ordinary response."""
        has_body = self.body is not None or self.raw_body is not None
        return self.status is not None or has_body or self.html or self.json_garbage


class FaultRegistry:
    """The faults in force; the oldest that matches a request applies to it."""

    def __init__(self) -> None:
        self._faults: dict[str, Fault] = {}
        self._met: dict[str, int] = {}
        self._made = 0

    def next_id(self) -> str:
        """Return an id for the next fault."""
        self._made += 1
        return f"fault-{self._made}"

    def add(self, fault: Fault) -> None:
        """Put a fault in force."""
        self._faults[fault.id] = fault
        self._met[fault.id] = 0

    def take_matching(
        self, *, path: str, method: str, kind: str | None, job_id: str | None, key: str, now: float
    ) -> Fault | None:
        """Return the fault that applies to a request, or None, and count its use."""
        if not self._faults:
            return None
        for fault in list(self._faults.values()):
            if fault.until is not None and now >= fault.until:
                del self._faults[fault.id]
            elif fault.match.matches(path=path, method=method, kind=kind, job_id=job_id, key=key):
                self._met[fault.id] += 1
                if fault.times is not None and self._met[fault.id] >= fault.times:
                    del self._faults[fault.id]
                return fault
        return None

    def as_json(self) -> list[dict[str, Any]]:
        """Return the faults in force for the control API, with how often each was applied."""
        return [{"id": fault_id, "met": self._met[fault_id]} for fault_id in self._faults]

    def remove(self, fault_id: str) -> bool:
        """Remove one fault; return whether there was one."""
        return self._faults.pop(fault_id, None) is not None

    def clear(self) -> None:
        """Remove all faults."""
        self._faults.clear()
        self._met.clear()
