"""Sweeps of one persona, made one by one."""

from dataclasses import dataclass
from typing import Any

from bridge.domain.following.records import sweep_member
from bridge.services.following.reconcile_followed import reconcile
from bridge.store.queue.lanes import Settled
from tests.services.endpoints.standing import create
from tests.services.polling.upstreams import LIST, PERSONA, Bench


def post(job_id: str, status: str = "completed", *, item: str = "", **fields: Any) -> dict[str, Any]:
    """Return a row with one item, which has ended as its post has."""
    url = {"url": "https://cdn.example.test/a.mp4"} if status == "completed" else {}
    items = [{"id": item or f"{job_id}-i", "status": status, "media_type": "image", **url}]
    return {"id": job_id, "status": status, "review_status": "pending_review", "media_items": items, **fields}


@dataclass
class Swept:
    bench: Bench
    account: str
    endpoint: str

    def show(self, *rows: dict[str, Any]) -> None:
        """Let the list show these rows from now on."""
        self.bench.upstream.answers.pop(LIST, None)
        self.bench.upstream.lay(LIST, {"data": list(rows), "count": len(rows)})

    async def sweep(self, persona: str = PERSONA) -> list[str]:
        """Make the persona's sweep now, and what else is due; return the paths that were asked for."""
        lanes = self.bench.api.services.store.poll
        shard = self.bench.api.services.store.shard_of(self.account)
        claim = await lanes.hold(shard, self.account, [sweep_member(shard, persona)], lease_ms=60_000)
        assert claim.items, "its place is in the lane"
        await lanes.settle(shard, [Settled(self.account, claim.items[0].member, claim.token, 0)])
        await lanes.unblock(shard, self.account, due_all=False)
        return await self.bench.turn()

    async def heard(self) -> list[tuple[str, str, int]]:
        """Return (type, job, run) of all events so far, oldest first."""
        _, page = await self.bench.api.call("GET", "/v1/events?limit=100")
        return [(each["type"], each["job_id"], each["run"]) for each in reversed(page["data"])]

    async def state(self) -> dict[str, Any]:
        _, shown = await self.bench.api.call("GET", f"/v1/endpoints/{self.endpoint}")
        return dict(shown["following"])


async def following(bench: Bench, persona: str = PERSONA) -> Swept:
    """Return a persona that is followed, before its first sweep."""
    endpoint = await create(bench, personas=[persona], events=["generated_post.*"], description="follows")
    await reconcile(bench.api.services)
    (account,) = [
        each for each in await bench.api.services.store.accounts.all() if each.provider == "reelmirror"
    ]
    return Swept(bench=bench, account=account.id, endpoint=endpoint)
