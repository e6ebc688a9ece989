"""The API's documents, as published linters and parsers judge them."""

import json
import shutil
from pathlib import Path

import pytest

from bridge.providers.registry import CATALOGUE
from tests.api.serving import Client
from tests.nocode.toolbox import HERE, Toolbox

RULES = 'extends: ["spectral:oas"]\n'


async def save(api: Client, path: str, folder: Path) -> Path:
    """A document of the API as a file."""
    file = folder / path.rpartition("/")[2]
    async with api.http.get(api.url + path) as answer:
        assert answer.status == 200, path
        file.write_bytes(await answer.read())
    return file


@pytest.mark.parametrize("path", ["/openapi.json", "/openapi-2.0.json"])
async def test_redocly_and_spectral_have_nothing_to_say(
    api: Client, toolbox: Toolbox, tmp_path: Path, path: str
) -> None:
    """Neither an error nor a warning."""
    document = await save(api, path, tmp_path)
    said = await toolbox.run("redocly", "lint", document, "--extends=recommended-strict", cwd=tmp_path)
    assert "valid" in said
    assert "exit status" not in said, said
    (tmp_path / "rules.yaml").write_text(RULES)
    said = await toolbox.run(
        "spectral", "lint", document, "-r", "rules.yaml", "--fail-severity=hint", cwd=tmp_path
    )
    assert "No results" in said
    assert "exit status" not in said, said


async def test_the_asyncapi_parser_finds_every_event(api: Client, toolbox: Toolbox, tmp_path: Path) -> None:
    """Without an error or a warning."""
    document = await save(api, "/asyncapi.json", tmp_path)
    script = shutil.copy(HERE / "asyncapi.mjs", tmp_path)
    said = json.loads(await toolbox.run_node(Path(script), document, cwd=tmp_path))
    assert (said["version"], said["complaints"]) == ("3.0.0", [])
    assert sorted(said["sent"]) == sorted(CATALOGUE.types)
