"""The control API: scripts, keys, and the record of requests."""

import pytest

from tests.simulator.simulator_client import BOT_KEY, KEY, OTHER_KEY, START, Sim, SimMaker


async def test_a_scripted_job(sim: Sim) -> None:
    """Steps apply in the order of their times, whatever order they were written in."""
    post = await sim.job(
        "generated_post",
        id="p1",
        items=[{"id": "a"}, {"id": "b", "media_type": "video"}],
        script=[
            {"after_s": 20, "set": {"status": "completed"}, "items": {"b": {"status": "failed"}}},
            {"after_s": 10, "set": {"status": "generating"}, "items": {"a": {"status": "completed"}}},
        ],
    )
    seen = []
    for _ in range(3):
        now = await sim.read(f"/generated-posts/{post}")
        seen.append((now["status"], [item["status"] for item in now["media_items"]]))
        sim.advance(10)
    assert seen == [
        ("pending", ["pending", "pending"]),
        ("generating", ["completed", "pending"]),
        ("completed", ["completed", "failed"]),
    ]


async def test_scripts_run_at_the_simulators_speed(make_sim: SimMaker) -> None:
    """At speed 50 ten simulated seconds are 0.2 s."""
    sim = await make_sim(speed=50.0)
    job = await sim.job("sync_job", script=[{"after_s": 10, "set": {"status": "completed"}}])
    sim.clock.now = START + 0.19
    assert (await sim.read(f"/sync-jobs/{job}"))["status"] == "pending"
    sim.clock.now = START + 0.2
    assert (await sim.read(f"/sync-jobs/{job}"))["status"] == "completed"


async def test_a_script_can_wait_for_the_first_read(sim: Sim) -> None:
    """With `first_read` time counts from the first upstream read; reading through the control API starts nothing."""
    script = [{"after_s": 5, "set": {"status": "completed", "completed_at": "$now"}}]
    job = await sim.job("sync_job", start="first_read", script=script)
    sim.advance(100)
    assert (await sim.control("GET", f"/jobs/sync_job/{job}"))["object"]["status"] == "pending"
    assert (await sim.read(f"/sync-jobs/{job}"))["status"] == "pending"
    sim.advance(5)
    done = await sim.read(f"/sync-jobs/{job}")
    assert (done["status"], done["completed_at"]) == ("completed", "2027-01-15T08:01:45.000Z")


async def test_a_script_can_delete_and_restore(sim: Sim) -> None:
    """Deleting and restoring are steps too."""
    script = [{"after_s": 1, "delete": True}, {"after_s": 2, "restore": True}]
    job = await sim.job("outgoing_post", script=script)
    statuses = []
    for _ in range(3):
        statuses.append((await sim.mirror("GET", f"/publishing/posts/{job}")).status)
        sim.advance(1)
    assert statuses == [200, 404, 200]


async def test_items_can_be_replaced(sim: Sim) -> None:
    """`set.media_items` replaces all items, `add` and `remove` change some; removed items are a 404."""
    script = [
        {"after_s": 1, "set": {"media_items": [{"id": "c"}, {"id": "d"}]}},
        {"after_s": 2, "remove": ["c"], "add": [{"id": "e"}]},
    ]
    post = await sim.job("generated_post", items=[{"id": "a"}], script=script)
    sim.advance(1)
    await sim.mirror("GET", "/generated-media-items/a", expect=404)
    sim.advance(1)
    items = (await sim.read(f"/generated-posts/{post}"))["media_items"]
    assert [item["id"] for item in items] == ["d", "e"]
    assert (await sim.read("/generated-media-items/e"))["status"] == "pending"


@pytest.mark.parametrize(
    ("kind", "name", "path"),
    [
        ("generated_post", "media_items", "/generated-posts"),
        ("outgoing_post", "deliveries", "/publishing/posts"),
    ],
)
async def test_members_can_be_null(sim: Sim, kind: str, name: str, path: str) -> None:
    """At first, by a step and by a patch; a later step adds some, and what is no list is refused."""
    first = await sim.job(kind, set={name: None}, script=[{"after_s": 5, "add": [{"id": f"{kind}-a"}]}])
    assert (await sim.read(f"{path}/{first}"))[name] is None
    sim.advance(5)
    assert [each["id"] for each in (await sim.read(f"{path}/{first}"))[name]] == [f"{kind}-a"]
    await sim.control("PATCH", f"/jobs/{kind}/{first}", {name: None})
    assert (await sim.read(f"{path}/{first}"))[name] is None
    second = await sim.job(
        kind, script=[{"after_s": 1, "set": {name: None}}, {"after_s": 2, "set": {"status": "x"}}]
    )
    sim.advance(2)
    seen = await sim.read(f"{path}/{second}")
    assert (seen[name], seen["status"]) == (None, "x")
    for wrong in ("x", 7, ["a"], {"id": "a"}):
        body = {"kind": kind, "set": {name: wrong}}
        assert name in (await sim.control("POST", "/jobs", body, expect=400))["error"]


async def test_a_post_without_a_list_of_items_can_be_listed_and_regenerated(sim: Sim) -> None:
    """Every call that looks at a post's items takes null for none."""
    persona = await sim.control("POST", "/personas", {})
    post = await sim.job("generated_post", persona_id=persona["id"], set={"media_items": None})
    assert (await sim.mirror("GET", f"/personas/{persona['id']}/generated-posts")).status == 200
    for body in ({"generated_post_id": post}, {"generated_post_id": post, "failed_only": True}):
        assert (await sim.mirror("POST", "/generate/regenerate-post", body)).status < 500
    assert (await sim.mirror("POST", f"/generated-posts/{post}/approve", {})).status < 500


async def test_a_patch_acts_at_once(sim: Sim) -> None:
    """A test ends a job when it wants to; `script=drop` cancels the steps to come."""
    script = [{"after_s": 60, "set": {"status": "failed"}}]
    job = await sim.job("sync_job", script=script)
    await sim.control("PATCH", f"/jobs/sync_job/{job}?script=drop", {"status": "completed"})
    assert (await sim.read(f"/sync-jobs/{job}"))["status"] == "completed"
    sim.advance(61)
    assert (await sim.read(f"/sync-jobs/{job}"))["status"] == "completed"


@pytest.mark.parametrize(
    ("kind", "part", "fields", "path", "name"),
    [
        ("generated_media_item", "i", {"status": "failed"}, "/generated-posts/g", "media_items"),
        ("voice_conversion", "i", {"voice_conversion_status": "x"}, "/generated-posts/g", "media_items"),
        ("publishing_delivery", "d", {"status": "published"}, "/publishing/posts/o", "deliveries"),
    ],
)
async def test_a_patch_reaches_parts(
    sim: Sim, *, kind: str, part: str, fields: dict[str, str], path: str, name: str
) -> None:
    """Items and deliveries are changed inside the job that holds them."""
    await sim.job("generated_post", id="g", items=[{"id": "i"}])
    await sim.job("outgoing_post", id="o", deliveries=[{"id": "d"}])
    await sim.control("PATCH", f"/jobs/{kind}/{part}", fields)
    [member] = (await sim.read(path))[name]
    assert fields.items() <= member.items()
    assert fields.items() <= (await sim.control("GET", f"/jobs/{kind}/{part}"))["object"].items()


async def test_a_deleted_job_is_a_404(sim: Sim) -> None:
    """Whole jobs and parts are deleted in the same way."""
    await sim.job("generated_post", id="g", items=[{"id": "i"}, {"id": "j"}])
    await sim.control("DELETE", "/jobs/generated_media_item/i")
    await sim.mirror("GET", "/generated-media-items/i", expect=404)
    assert (await sim.control("GET", "/jobs/generated_media_item/i"))["exists"] is False
    await sim.control("DELETE", "/jobs/generated_post/g")
    await sim.mirror("GET", "/generated-posts/g", expect=404)


async def test_a_script_can_be_continued(sim: Sim) -> None:
    """More steps count from now, as for a regeneration."""
    job = await sim.job(
        "generated_post", items=[{"id": "a", "status": "completed"}], set={"status": "completed"}
    )
    sim.advance(50)
    body = {
        "script": [
            {"after_s": 0, "set": {"status": "pending", "media_items": [{"id": "b"}]}},
            {"after_s": 5, "set": {"status": "completed"}, "items": {"b": {"status": "completed"}}},
        ]
    }
    await sim.control("POST", f"/jobs/generated_post/{job}/steps", body)
    assert (await sim.read(f"/generated-posts/{job}"))["status"] == "pending"
    sim.advance(5)
    post = await sim.read(f"/generated-posts/{job}")
    assert (post["status"], post["media_items"][0]["id"]) == ("completed", "b")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "word"),
    [
        ("POST", "/jobs", {"kind": "nothing"}, 400, "kind"),
        ("POST", "/jobs", {"kind": "sync_job", "scirpt": []}, 400, "scirpt"),
        ("POST", "/jobs", {"kind": "sync_job", "script": [{"after_s": -1}]}, 400, "after_s"),
        ("PATCH", "/jobs/sync_job/none", {}, 404, "none"),
        ("DELETE", "/jobs/nothing/x", None, 404, "nothing"),
        ("PUT", "/switches", {"no_switch": 1}, 400, "no_switch"),
        ("PUT", "/switches", {"list_order": "random"}, 400, "list_order"),
        ("POST", "/faults", {"status": 42}, 400, "status"),
        ("POST", "/automation", {"persona_id": "none"}, 404, "none"),
    ],
)
async def test_mistakes_are_refused_by_name(
    sim: Sim, *, method: str, path: str, body: object, status: int, word: str
) -> None:
    """A typo in a test is refused."""
    assert word in (await sim.control(method, path, body, expect=status))["error"]


async def test_a_revoked_key_is_refused_until_restored(sim: Sim) -> None:
    """Keys of both vendors are refused and accepted again at once."""
    for key, ask, path in ((KEY, sim.mirror, "/sync-jobs/demo"), (BOT_KEY, sim.bot, "/status/demo")):
        await ask("GET", path, key=key, expect=200)
        await sim.control("POST", f"/keys/{key}/revoke")
        await ask("GET", path, key=key, expect=401)
        await sim.control("POST", f"/keys/{key}/restore")
        await ask("GET", path, key=key, expect=200)


async def test_only_known_keys(sim: Sim) -> None:
    """A list of keys excludes all others; null accepts any again."""
    await sim.control("PUT", "/keys", {"known": [OTHER_KEY]})
    await sim.mirror("GET", "/sync-jobs/demo", expect=401)
    await sim.mirror("GET", "/sync-jobs/demo", key=OTHER_KEY, expect=200)
    await sim.control("PUT", "/keys", {"known": None})
    await sim.mirror("GET", "/sync-jobs/demo", expect=200)


async def test_a_missing_scope_is_a_403(sim: Sim) -> None:
    """A missing scope refuses the reads of that kind only."""
    await sim.control("PUT", f"/keys/{KEY}", {"missing_scopes": ["publishing:read"]})
    refused = await sim.mirror("GET", "/publishing/posts/demo", expect=403)
    assert refused.json["error"]["code"] == "FORBIDDEN"
    await sim.mirror("GET", "/generated-posts/demo", expect=200)
    await sim.control("PUT", f"/keys/{KEY}", {"missing_scopes": [], "scopes": ["publishing:read"]})
    await sim.mirror("GET", "/publishing/posts/demo", expect=200)
    await sim.mirror("GET", "/generated-posts/demo", expect=403)


async def test_requests_are_recorded(sim: Sim) -> None:
    """A record has time, call, masked key and status; filters select records, DELETE clears them."""
    await sim.read("/sync-jobs/demo-1")
    sim.clock.now += 1.2345
    await sim.mirror("GET", "/personas/demo/generated-posts?limit=7")
    await sim.bot("GET", "/status/none")
    log = (await sim.control("GET", "/requests"))["data"]
    assert [(line["kind"], line["id"], line["status"]) for line in log] == [
        ("sync_job", "demo-1", 200),
        ("generated_post_list", "demo", 200),
        ("reelbot_video", "none", 404),
    ]
    assert [line["wall_ms"] for line in log[:2]] == [START * 1000, START * 1000 + 1234.5]
    assert log[1]["query"] == "limit=7"
    assert KEY not in str(log)
    for query in (
        "kind=sync_job",
        "id=demo-1",
        "path=/reelmirror/api/v1/sync",
        f"key={BOT_KEY}",
        "status=404",
    ):
        assert (await sim.control("GET", f"/requests?{query}"))["count"] == 1
    await sim.control("DELETE", "/requests")
    assert (await sim.control("GET", "/requests"))["data"] == []
    assert (await sim.control("GET", "/stats"))["requests"] == 0


async def test_reset_forgets_everything(sim: Sim) -> None:
    """After a reset the simulator is as if just started."""
    job = await sim.job("sync_job")
    await sim.switch(envelope_sync_job="bare")
    await sim.control("POST", "/faults", {"status": 500})
    await sim.control("POST", "/reset")
    await sim.mirror("GET", f"/sync-jobs/{job}", expect=404)
    state = await sim.control("GET", "/state")
    assert state["jobs"] == {}
    assert state["faults"] == []
    assert state["switches"]["envelope_sync_job"] == "data"


async def test_one_seed_gives_one_course(make_sim: SimMaker) -> None:
    """The same seed draws the same ids and durations, another seed draws others."""
    ids = [await (await make_sim(seed=seed)).generate() for seed in (1, 1, 2)]
    assert ids[0] == ids[1] != ids[2]
