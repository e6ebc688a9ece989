"""The connector for Power Automate is the document that the API itself serves, but for the address."""

import json
import os
from pathlib import Path

from tests.api.serving import Client, make_settings, serving
from tests.api.store_server import running_store
from tests.docs.pages import ROOT

CONNECTOR = ROOT / "deploy" / "power-automate" / "connector.json"
ADDRESS = {"host": "bridge.example.com", "basePath": "/", "schemes": ["https"]}


async def read_document(tmp_path: Path) -> dict[str, object]:
    """What a connector for a bridge at bridge.example.com has to be."""
    with running_store(tmp_path) as socket:
        async with serving(make_settings(socket)) as api:
            return {**await fetch(api), **ADDRESS}


async def fetch(api: Client) -> dict[str, object]:
    async with api.http.get(f"{api.url}/openapi-2.0.json") as answer:
        assert answer.status == 200
        return dict(json.loads(await answer.read()))


async def test_the_connector_is_what_the_api_serves(tmp_path: Path) -> None:
    """After a change of the API, `make connector` writes it anew."""
    wanted = await read_document(tmp_path)
    if os.environ.get("REELBRIDGE_WRITE_CONNECTOR"):
        CONNECTOR.write_text(json.dumps(wanted, ensure_ascii=False, indent=1) + "\n")
    assert json.loads(CONNECTOR.read_text()) == wanted


def test_the_connector_waits_for_a_job_by_a_callback_url_that_the_flow_makes() -> None:
    """Power Automate fills the marked field, and learns the event's fields from the schema beside it."""
    register = json.loads(CONNECTOR.read_text())["paths"]["/v1/callbacks"]
    assert "x-ms-notification-content" in register
    assert '"x-ms-notification-url": true' in CONNECTOR.read_text()
