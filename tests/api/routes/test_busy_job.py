"""Many registrations for one job at the same time."""

import asyncio

from bridge.store.commit import Change, CommitResult, Committer
from tests.api.serving import Client


class BusyCommitter(Committer):
    """Finds that somebody else has changed the job, each time."""

    async def commit(self, change: Change, *, new_work: bool = False, durable: bool = False) -> CommitResult:
        return "conflict"


async def test_sixty_registrations_of_one_job_at_once_all_succeed(api: Client) -> None:
    """Each has a URL of its own, and each is written on top of those that came before."""
    answers = await asyncio.gather(
        *(
            api.call(
                "POST", "/v1/callbacks", json={"job_id": "1", "callback_url": f"https://hooks.example/{n}"}
            )
            for n in range(60)
        )
    )
    assert {status for status, _ in answers} == {201}
    assert len({body["id"] for _, body in answers}) == 60


async def test_a_job_that_stays_busy_is_a_503_that_says_when_to_repeat(api: Client) -> None:
    """A 409 would make clients give up, although nothing is wrong with the request."""
    api.services.store.committer = BusyCommitter(api.services.store.redis, aof=False)
    body = {"job_id": "1", "callback_url": "inbox:"}
    status, refused, headers = await api.ask("POST", "/v1/callbacks", json=body)
    assert (status, refused["error"]["code"], headers["Retry-After"]) == (503, "SERVICE_UNAVAILABLE", "1")
    assert "nothing was registered" in refused["error"]["message"]
