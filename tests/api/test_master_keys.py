"""Master keys over the API: an answer names the key that is missing, `/readyz` shows what each key holds."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bridge.api.app import build_app
from bridge.container import bootstrap, open_services
from bridge.store import keys
from bridge.store.vault import UnknownKeyError, Vault
from tests.api.serving import Client, make_settings, running
from tests.api.store_server import running_store
from tests.services.resealing import reseal_all
from workers.sweep import prove

OLD, NEW = b"o" * 32, b"n" * 32
OLD_ID, NEW_ID = (Vault([key]).key_ids[0] for key in (OLD, NEW))
IDEMPOTENT = {"Idempotency-Key": "order-42"}
BODY = {"job_id": "1", "callback_url": "https://hooks.example/a?token=x", "headers": {"X-Token": "t"}}


@pytest.fixture
def socket(tmp_path: Path) -> Any:
    """An empty store."""
    with running_store(tmp_path) as socket:
        yield socket


@asynccontextmanager
async def with_keys(socket: Path, *keys: bytes) -> AsyncIterator[Client]:
    """Run the API with these master keys on a store that stays."""
    text = ",".join(base64.b64encode(key).decode() for key in keys)
    async with open_services(make_settings(socket, master_keys=text)) as services:
        await bootstrap(services)
        async with running(build_app(services)) as url, Client.session() as http:
            yield Client(http, url, services)


async def register(api: Client, **changed: Any) -> tuple[int, Any, dict[str, str]]:
    headers = {"Authorization": "Bearer brk_" + "a" * 40, **IDEMPOTENT}
    return await api.ask("POST", "/v1/callbacks", headers=headers, json=BODY | changed)


async def keys_shown(api: Client) -> dict[str, dict[str, int]]:
    """What `/readyz` says that each key holds."""
    _, ready = await api.call("GET", "/readyz", headers={})
    return {key["id"]: key["holds"] for key in ready["details"]["master_keys"]}


async def test_one_round_seals_everything_anew_and_the_old_key_can_go(socket: Path) -> None:
    """Callbacks, secrets, credentials and idempotent answers; all of them work under the new key alone."""
    async with with_keys(socket, OLD) as api:
        _, made, _ = await register(api, secret="whsec_" + base64.b64encode(b"s" * 32).decode())
        _, secret = await api.call("GET", "/v1/secrets/default")
        await reseal_all(api.services)
        everything = {"callbacks": 1, "signing_secrets": 1, "credentials": 2, "idempotent_responses": 1}
        assert await keys_shown(api) == {OLD_ID: everything}
    async with with_keys(socket, NEW, OLD) as api:
        assert await keys_shown(api) == {NEW_ID: {}, OLD_ID: everything}
        assert await reseal_all(api.services) == 1
        assert await keys_shown(api) == {NEW_ID: everything, OLD_ID: {}}
        assert await reseal_all(api.services) == 0
    async with with_keys(socket, NEW) as api:
        _, shown = await api.call("GET", f"/v1/callbacks/{made['id']}")
        assert shown["callback_url"] == BODY["callback_url"]
        assert (await api.call("GET", "/v1/secrets/default"))[1] == secret
        status, again, headers = await register(api, secret="whsec_" + base64.b64encode(b"s" * 32).decode())
        assert (status, again["id"], headers["Idempotent-Replayed"]) == (201, made["id"], "true")
        for account in await api.services.store.accounts.all():
            assert await api.services.store.accounts.credential(account.id)
        assert await keys_shown(api) == {NEW_ID: everything}


async def test_unreadable_records_are_named_and_the_rest_is_sealed_anew(socket: Path) -> None:
    """One of each kind, with text that is no UTF-8 or cut off: what a key holds is still counted and shown."""
    broken = {
        "jobs": "a" + "0" * 20,
        "{g}:secrets": "prj_broken",
        "{g}:accounts": "acc_broken",
        "idempotency": "{p:prj_broken}:idem:" + "0" * 32,
    }
    async with with_keys(socket, OLD) as api:
        await register(api)
        await api.call("GET", "/v1/secrets/default")
        await reseal_all(api.services)
        everything = (await keys_shown(api))[OLD_ID]
    async with with_keys(socket, NEW, OLD) as api:
        redis: Any = api.services.store.redis
        await redis.set(keys.job(broken["jobs"]), b"\x92\xa7content\xa2\xff\xfe")
        await redis.hset("{g}:secrets", broken["{g}:secrets"], b"\x91\xc4")
        await redis.hset("{g}:accounts", broken["{g}:accounts"], b"\x91\x91\xa2\xff\xfe")
        await redis.set(broken["idempotency"], b"\xa7content")
        with capture_logs() as logs:
            assert await reseal_all(api.services) == 1
        assert await keys_shown(api) == {NEW_ID: everything, OLD_ID: {}}
    named = {each["table"]: each["key"] for each in logs if each["event"] == "store.record_unreadable"}
    assert named == broken
    assert "content" not in str(logs)


async def test_a_key_that_was_removed_too_early_is_named(socket: Path) -> None:
    """Each answer is a 503 that names the key; lists go on, and so does all that needs no opening."""
    async with with_keys(socket, OLD) as api:
        _, made, _ = await register(api)
        await api.call("GET", "/v1/secrets/default")
    async with with_keys(socket, NEW, OLD):
        pass  # what is needed at a start is sealed anew, nothing else yet
    async with with_keys(socket, NEW) as api:
        for answer in (
            await api.ask("GET", f"/v1/callbacks/{made['id']}"),
            await api.ask("GET", "/v1/secrets/default"),
            await register(api),
        ):
            status, body, headers = answer
            assert (status, body["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
            assert OLD_ID in body["error"]["message"]
            assert "REELBRIDGE_MASTER_KEYS" in body["error"]["message"]
            assert body["error"]["details"]["reason"] == "master_key_missing"
            assert headers["Retry-After"] == "60"
        status, page = await api.call("GET", "/v1/callbacks")
        assert (status, [each["id"] for each in page["data"]]) == (200, [made["id"]])
        counts = await prove(api.services)  # the sweep passes what it cannot open
        assert counts["resealed"] == 0
        held = (await keys_shown(api))[OLD_ID]
        # The credentials are set in the environment, and were sealed anew from there.
        assert held == {"callbacks": 1, "signing_secrets": 1, "idempotent_responses": 1}
        _, ready = await api.call("GET", "/readyz", headers={})
        assert [key["configured"] for key in ready["details"]["master_keys"]] == [True, False]


async def test_a_damaged_value_is_named_too(socket: Path) -> None:
    """One changed byte: the answer says so instead of a bare 500."""
    async with with_keys(socket, OLD) as api:
        await api.call("GET", "/v1/secrets/default")
        redis: Any = api.services.store.redis
        raw = bytearray(await redis.hget("{g}:secrets", "prj_default"))
        raw[-1] ^= 1
        await redis.hset("{g}:secrets", "prj_default", bytes(raw))
        status, body = await api.call("GET", "/v1/secrets/default")
        assert (status, body["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert body["error"]["details"]["reason"] == "sealed_value_damaged"


async def test_a_start_without_any_fitting_key_names_the_missing_one(socket: Path) -> None:
    """The fingerprints' key does not open: the process does not start."""
    async with with_keys(socket, OLD):
        pass
    with pytest.raises(UnknownKeyError, match=OLD_ID):
        async with with_keys(socket, NEW):
            pass
