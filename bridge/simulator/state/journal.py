"""The journal of requests and responses, for tests to read."""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_MAX_RECORDS = 200_000


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request; times are milliseconds, taken when it arrived; `key` is masked."""

    mono_ms: float
    wall_ms: float
    method: str
    path: str
    query: str
    kind: str | None
    id: str | None
    key: str
    status: int  # 0: the connection was reset without a response

    def as_json(self) -> dict[str, Any]:
        """Return the record for the control API."""
        return {name: getattr(self, name) for name in RequestRecord.__slots__}


class Journal:
    """The latest requests in the order of their responses, and counts of all."""

    def __init__(self) -> None:
        self._lines: deque[RequestRecord] = deque(maxlen=_MAX_RECORDS)
        self._by_status: Counter[int] = Counter()
        self._by_kind: Counter[str] = Counter()
        self._limited: Counter[str] = Counter()

    def record(self, line: RequestRecord) -> None:
        """Add a request."""
        self._lines.append(line)
        self._by_status[line.status] += 1
        self._by_kind[line.kind or "other"] += 1
        if line.status == 429:
            self._limited[line.key] += 1

    def find(self, **wanted: str) -> Iterator[RequestRecord]:
        """Yield matching requests; `path` is a prefix, every other field must be equal (`status` as text)."""
        path = wanted.pop("path", "")
        for line in self._lines:
            if line.path.startswith(path) and all(
                str(getattr(line, name)) == value for name, value in wanted.items()
            ):
                yield line

    def stats(self) -> dict[str, Any]:
        """Return the number of requests by status and kind, and of 429s by key."""
        return {
            "requests": self._by_status.total(),
            "by_status": {str(status): count for status, count in sorted(self._by_status.items())},
            "by_kind": dict(self._by_kind),
            "limited_by_key": dict(self._limited),
        }

    def clear(self) -> None:
        """Forget all requests and counts."""
        for kept in (self._lines, self._by_status, self._by_kind, self._limited):
            kept.clear()
