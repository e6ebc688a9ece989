"""Sources that were synced without a job that the bridge knows: told to the endpoints that ask for it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from bridge.domain.following.sources import read_sources
from bridge.services.following.reconcile_followed import reconcile
from bridge.store.commit import Change
from bridge.store.tables.following import note_synced
from tests.services.endpoints.standing import create, end_job
from tests.services.following.swept import Swept, post
from tests.services.polling.upstreams import PERSONA

SOURCES = f"/v1/personas/{PERSONA}/sources"


def moment(ago_s: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=ago_s)).isoformat()


def show_source(swept: Swept, synced: str | None, name: str = "source-1") -> None:
    """Let the provider show one source, last synced then."""
    swept.bench.upstream.answers.pop(SOURCES, None)
    row = {"id": name, "status": "active", "platform": "instagram", "last_synced_at": synced}
    swept.bench.upstream.lay(SOURCES, {"data": [row], "count": 1})


async def asked(swept: Swept) -> Swept:
    """Return a followed persona with an endpoint that asks for syncs of its sources, past its baseline."""
    await create(swept.bench, personas=[PERSONA], events=["source.synced"])
    await reconcile(swept.bench.api.services)
    swept.show(post("old"))
    await swept.sweep()
    return swept


async def sweep_sources(swept: Swept) -> list[str]:
    """Make the sources due, then sweep."""
    services = swept.bench.api.services
    followed = (await services.store.following.load(swept.account))[PERSONA]
    due = replace(followed, sources_ms=min(1, followed.sources_ms))
    await services.store.following.save(swept.account, PERSONA, due, None)
    return await swept.sweep()


async def synced(swept: Swept) -> list[dict[str, Any]]:
    _, page = await swept.bench.api.call("GET", "/v1/events?type=source.synced")
    return list(page["data"])


async def test_a_sync_that_no_known_job_did_is_told_once(swept: Swept) -> None:
    """The first read is a baseline; each later time is an event of its own, to whoever follows the persona and asks for it."""
    await asked(swept)
    show_source(swept, moment(3600))
    assert await sweep_sources(swept) == [SOURCES]
    assert await synced(swept) == []
    show_source(swept, moment(300))
    await sweep_sources(swept)
    await sweep_sources(swept)
    (event,) = await synced(swept)
    assert (event["object"], event["job_id"], event["related"]) == (
        "source",
        "source-1",
        {"persona_id": PERSONA},
    )
    assert event["data"]["platform"] == "instagram"
    _, page = await swept.bench.api.call("GET", f"/v1/deliveries?event_id={event['id']}")
    assert len(page["data"]) == 1, "the endpoint that asks for posts hears nothing of it"
    show_source(swept, moment(200))
    await sweep_sources(swept)
    assert len(await synced(swept)) == 2


async def test_a_sync_of_a_known_job_is_not_told(swept: Swept) -> None:
    """Nor is one that ended just now, until the next read: its job may not have been seen to end."""
    await asked(swept)
    show_source(swept, moment(3600))
    await sweep_sources(swept)
    await end_job(swept.bench, "sync-1", persona_id=PERSONA)
    show_source(swept, moment(1))
    await sweep_sources(swept)
    assert await synced(swept) == []
    store, now_ms = swept.bench.api.services.store, swept.bench.api.services.clock_ms()
    shard = store.shard_of(swept.account)
    ended = note_synced(shard, swept.account, "", at_ms=now_ms - 300_000, window_ms=60_000)
    await store.committer.commit(Change(shard, (), (ended,)))
    show_source(swept, moment(310))
    await sweep_sources(swept)
    assert await synced(swept) == [], "of a sync whose persona nobody named it may be"
    show_source(swept, moment(150))
    await sweep_sources(swept)
    assert len(await synced(swept)) == 1


async def test_a_sync_that_ends_is_noted_for_its_persona(swept: Swept) -> None:
    """A failed one is not, since it moves nothing."""
    await end_job(swept.bench, "good", persona_id="n7")
    await end_job(swept.bench, "bad", "failed", persona_id="n8")
    services = swept.bench.api.services
    noted = [
        await services.store.following.was_synced(swept.account, each, services.clock_ms(), window_ms=60_000)
        for each in ("n7", "n8")
    ]
    assert noted == [True, False]


async def test_sources_are_read_only_where_an_endpoint_asks(swept: Swept) -> None:
    """They cost a request of the account's budget."""
    swept.show(post("old"))
    await swept.sweep()
    show_source(swept, moment(3600))
    assert SOURCES not in await swept.sweep()


async def test_a_provider_without_the_list_is_asked_once_a_day(swept: Swept) -> None:
    """The endpoint's `following` says why; posts are followed as before."""
    await asked(swept)
    assert await swept.sweep() == [SOURCES]
    assert "does not list this persona's sources" in (await swept.state())["reason"]
    assert (await swept.state())["state"] == "following"
    assert SOURCES not in await swept.sweep()


@pytest.mark.parametrize(
    ("known", "shown", "moved"),
    [
        (None, {"a": "2"}, []),  # the first read
        ((("a", "1"),), {"a": "1"}, []),
        ((("a", "1"),), {"a": "2"}, ["a"]),
        ((("a", "1"),), {"a": "9"}, []),  # a moment ago
        ((("a", "1"),), {"a": ""}, []),  # no longer shown
        ((("a", ""),), {"a": "2"}, ["a"]),  # its first sync
        ((("a", "1"),), {"a": "1", "b": "2"}, []),  # a source that was added
        ((("a", "1"),), {"a": "odd"}, ["a"]),  # not a time that can be read
    ],
)
def test_what_a_list_tells(
    known: tuple[tuple[str, str], ...] | None, shown: dict[str, str], moved: list[str]
) -> None:
    """Times after 5 are too new; what was not told is told by the next read."""
    moments = {each: int(text) if text.isdigit() else None for each, text in shown.items()}
    reading = read_sources(known, shown, moments=moments, settled_ms=5)
    assert list(reading.moved) == moved
    again = read_sources(reading.known, shown, moments=moments, settled_ms=10)
    assert list(again.moved) == (["a"] if shown == {"a": "9"} else [])
