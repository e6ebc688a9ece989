"""Master keys are rotated under endpoints, and their secrets go on signing."""

import base64

from bridge.config.master_keys import parse_master_keys
from bridge.store.vault import Vault, sealing_key
from tests.services.endpoints.standing import create, end_job, send
from tests.services.polling.upstreams import Bench
from tests.services.resealing import reseal_all

NEW = base64.b64encode(b"n" * 32).decode()


async def test_endpoints_are_sealed_anew_under_the_first_key(bench: Bench) -> None:
    """No epoch begins, the count knows them, and deliveries go on."""
    services = bench.api.services
    endpoint = await create(bench, headers={"X-Key": "k"})
    await bench.api.call("POST", f"/v1/endpoints/{endpoint}/rotate-secret")
    before = await services.store.endpoints.read("prj_default")
    former = services.store.vault
    master = services.settings.master_keys
    assert master is not None
    keys = parse_master_keys(f"{NEW},{master.get_secret_value()}")
    services.store.vault = Vault(keys, pepper=b"p" * 32)
    try:
        await reseal_all(services)
        after = await services.store.endpoints.read("prj_default")
        row = after.by_id[endpoint]
        sealed = (row.url, row.secret, row.previous_secret, row.headers)
        newest = services.store.vault.key_ids[0]
        assert {sealing_key(each) for each in sealed if each} == {newest}
        assert after.epoch == before.epoch
        usage = await services.store.key_usage.load()
        assert usage is not None
        assert usage.held[newest]["endpoints"] == 1
        key = await end_job(bench, "s1")
        assert await send(bench, key) == [endpoint]
    finally:
        services.store.vault = former
