"""A registration whose commit is repeated on the way is still one registration, and answered as a new one."""

from typing import Any

import pytest

from bridge.store.commit import Change
from tests.api.serving import Client

BODY = {"job_id": "job-1", "callback_url": "https://hooks.example.test/"}


async def test_a_try_whose_answer_was_lost_is_no_update(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store has made the change, and another writer has touched the job since: the next try finds its callback."""
    committer = api.services.store.committer
    commit, lost = committer.commit, [1]

    async def losing(change: Change, **how: Any) -> Any:
        result = await commit(change, **how)
        return "conflict" if lost and lost.pop() else result

    monkeypatch.setattr(committer, "commit", losing)
    status, first = await api.call("POST", "/v1/callbacks", json=BODY)
    assert (status, first["state"], first.get("updated")) == (201, "watching", None)
    status, again = await api.call("POST", "/v1/callbacks", json=BODY)
    assert (status, again["id"], again["updated"]) == (200, first["id"], True)
