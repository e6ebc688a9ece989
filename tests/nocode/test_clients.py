"""Clients that generators make of the OpenAPI document compile, and work against the API itself."""

import json
import shutil
import sys
from pathlib import Path

from tests.api.serving import KEY, Client
from tests.nocode.test_documents import save
from tests.nocode.toolbox import HERE, Toolbox, run

STRICT = (
    *("--strict", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes"),
    *("--target", "es2022", "--module", "nodenext", "--skipLibCheck", "false"),
)


async def test_a_typescript_client_registers_lists_and_deletes(
    api: Client, toolbox: Toolbox, tmp_path: Path
) -> None:
    """Made by openapi-typescript, compiled by tsc in its strictest mode, run with openapi-fetch."""
    document = await save(api, "/openapi.json", tmp_path)
    shutil.copy(HERE / "client.mts", tmp_path)
    said = await toolbox.run("openapi-typescript", document, "-o", "api.d.mts", cwd=tmp_path)
    assert "exit status" not in said, said
    assert await toolbox.run("tsc", *STRICT, "client.mts", cwd=tmp_path) == ""
    said = await toolbox.run_node(tmp_path / "client.mjs", api.url, KEY, cwd=tmp_path)
    assert json.loads(said) == {
        "kind": "sync_job",
        "video": "cb_",
        "listed": [True],
        "metadata": None,
        "deleted": True,
        "refused": "VALIDATION_ERROR",
        "receiver": "function",
    }


async def test_a_python_client_registers_lists_and_deletes(api: Client, tmp_path: Path) -> None:
    """Made by openapi-python-client without a warning; a body goes out in one form only."""
    document = await save(api, "/openapi.json", tmp_path)
    (tmp_path / "config.yml").write_text(
        "package_name_override: reelbridge_client\nproject_name_override: made\npost_hooks: []\n"
    )
    command = Path(sys.executable).with_name("openapi-python-client")
    words = ("generate", "--path", document, "--config", "config.yml", "--fail-on-warning", "--meta", "none")
    said = await run(command, *words, "--output-path", "reelbridge_client", cwd=tmp_path)
    assert "exit status" not in said, said
    script = shutil.copy(HERE / "client.py", tmp_path)
    said = await run(sys.executable, script, api.url, KEY, cwd=tmp_path)
    assert json.loads(said) == {
        "kind": "sync_job",
        "events": ["sync_job.completed"],
        "listed": [True],
        "deleted": True,
        "refused": "VALIDATION_ERROR",
    }
