"""Optimistic retry: a change is built anew after each conflict, and ends in a value or a named error."""

import pytest

from bridge.store.commit import Change, CommitResult, Committer, Lease
from bridge.store.errors import LeaseLost, WriteConflict
from bridge.store.unit_of_work import MAX_TRIES, UnitOfWork, retrying


class ScriptedCommitter(Committer):
    """Answers commits from a list, the last answer for ever, and keeps the changes."""

    def __init__(self, *results: CommitResult) -> None:
        self._results = list(results)
        self.changes: list[Change] = []
        self.options: list[tuple[bool, bool]] = []

    async def commit(self, change: Change, *, new_work: bool = False, durable: bool = False) -> CommitResult:
        self.changes.append(change)
        self.options.append((new_work, durable))
        return self._results.pop(0) if len(self._results) > 1 else self._results[0]


class Stage:
    """Builds a new unit at each call and counts the calls."""

    def __init__(self, *, empty_from: int | None = None) -> None:
        self.calls = 0
        self._empty_from = empty_from

    async def __call__(self) -> tuple[UnitOfWork | None, int]:
        self.calls += 1
        if self._empty_from is not None and self.calls >= self._empty_from:
            return None, self.calls
        unit = UnitOfWork("a", now_ms=self.calls, retention_s=1)
        unit.require_lease(Lease("poll", "acc", "member", b"%d" % self.calls))
        return unit, self.calls


async def test_a_conflict_builds_the_change_anew() -> None:
    """Each try commits the unit of its own `stage` call, and the value of the last one is returned."""
    committer, stage = ScriptedCommitter("conflict", "conflict", "done"), Stage()
    assert await retrying(committer, stage, new_work=True, durable=True) == 3
    assert [change.lease and change.lease.token for change in committer.changes] == [b"1", b"2", b"3"]
    assert committer.options == [(True, True)] * 3


async def test_nothing_to_write_ends_the_loop() -> None:
    """A stage without a unit is not committed: what others wrote has made the change unnecessary."""
    committer, stage = ScriptedCommitter("conflict"), Stage(empty_from=2)
    assert await retrying(committer, stage) == 2
    assert len(committer.changes) == 1


async def test_a_lost_lease_is_not_tried_again() -> None:
    """Another holder's item stays his, so a second try would be refused as well."""
    committer, stage = ScriptedCommitter("fenced"), Stage()
    with pytest.raises(LeaseLost):
        await retrying(committer, stage, roll=lambda: 0.0)
    assert stage.calls == 1


async def test_conflicts_without_end_raise_what_the_caller_says() -> None:
    """After the last try the caller's error is raised, or the store's own."""
    committer = ScriptedCommitter("conflict")
    stage = Stage()
    with pytest.raises(KeyError):
        await retrying(committer, stage, conflict=KeyError("busy"), tries=3)
    assert stage.calls == 3
    stage = Stage()
    with pytest.raises(WriteConflict):
        await retrying(committer, stage, roll=lambda: 0.0)
    assert stage.calls == MAX_TRIES
