"""What the documentation names exists: endpoints, modules in short form, and identifiers of the code."""

import re

import pytest

from bridge.api.app import KEYED_ROUTES
from bridge.api.responses.budget_metrics import render_budgets
from bridge.api.responses.tally_metrics import TallyState, render_tallies
from bridge.api.routes.service import open_routes
from bridge.config.settings import Settings, variable_name
from bridge.domain.events.payload_schemas import payload_schema
from bridge.providers.registry import CATALOGUE
from tests.docs.pages import NAMES, ROOT, read, without_code_blocks

INLINE = re.compile(r"`([^`\n]+)`")
IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
ENDPOINT = re.compile(r"\b(GET|POST|PUT|PATCH|DELETE) (/[\w/{}.-]*\w}?)")
# Any path of the API, with or without a method before it: `/v1/callbacks`, `/docs`.
API_PATH = re.compile(
    r"(?<![\w.}/:-])/(?:v1/[\w/{}-]*[\w}]|healthz|readyz|metrics|docs|openapi(?:-2\.0)?\.json|asyncapi\.json)(?![\w/.-])"
)
# A module without the `bridge/` in front, as charts and sentences have it: `services/jobs/observe.py`.
SHORT_MODULE = re.compile(
    r"(?<![\w/.])((?:api|cli|config|domain|http|providers|services|simulator|store)/[\w/]*\w(?:\.\w+)?)"
)
# The changelog tells of what was.
PAGES = [name for name in NAMES if name != "CHANGELOG.md"]
# Served by `bridge/api/routes/docs.py`, which is no part of the API's description.
PAGES_OF_THE_API = {
    ("GET", path) for path in ("/docs", "/openapi.json", "/openapi-2.0.json", "/asyncapi.json")
}
ENDPOINTS = {(route.method, route.path) for route in [*KEYED_ROUTES, *open_routes()]} | PAGES_OF_THE_API
SOURCES = [
    path
    for top in ("bridge", "workers", "tests", "deploy", "Makefile", "pyproject.toml")
    for path in ([ROOT / top] if (ROOT / top).is_file() else (ROOT / top).rglob("*"))
    if path.suffix in (".py", ".lua", ".toml", ".example", "") and path.is_file()
]
# The fields of the flat form are made of those of the providers; `data_` stands for all that begin so.
FLAT = {
    name for type_ in CATALOGUE.types for name in payload_schema(CATALOGUE, type_, "flat")["properties"]
} | {"metadata_"}
# Their names are put together where they are made.
TALLIES = TallyState(totals={}, troubles={})
METRICS = set(re.findall(r"reelbridge_\w+", (render_budgets([]) + render_tallies(TALLIES)).decode()))
# Identifiers of other programs, and placeholders.
FOREIGN = {
    "venv",
    "pipx",
    "uvx",
    "systemctl",
    "REELBRIDGE_ALLOW_",
    "listCallbackUrl",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_TRACES_SAMPLER",
}


@pytest.mark.parametrize("name", PAGES)
def test_every_endpoint_exists(name: str) -> None:
    """A method with a path, and a path alone, is a route of the API."""
    page = read(name)
    assert set(ENDPOINT.findall(page)) <= ENDPOINTS
    assert set(API_PATH.findall(page)) <= {path for _, path in ENDPOINTS}


@pytest.mark.parametrize("name", PAGES)
def test_every_module_in_short_form_exists(name: str) -> None:
    """`services/jobs/observe.py` is there, and so is the function of `domain/jobs/transition.advance`."""
    for path in SHORT_MODULE.findall(read(name)):
        module, _, member = path.partition(".")
        folder, file = ROOT / "bridge" / module, ROOT / "bridge" / f"{module}.py"
        if member in ("", "py"):
            assert folder.is_dir() or file.is_file(), f"{name}: {path}"
        else:
            assert re.search(rf"^(?:async def|def|class) {member}\b", file.read_text(), re.MULTILINE), path


@pytest.mark.parametrize("name", PAGES)
def test_every_identifier_exists(name: str) -> None:
    """A class, function, field, state or word in inline code occurs in the sources."""
    known = {word for path in SOURCES for word in IDENTIFIER.findall(path.read_text())}
    known |= {variable_name(each) for each in Settings.model_fields}
    known |= {part for path in SOURCES for part in path.relative_to(ROOT).with_suffix("").parts}
    shown = {
        word for code in INLINE.findall(without_code_blocks(read(name))) for word in IDENTIFIER.findall(code)
    }
    beginnings = {
        word for word in shown if word.endswith("_") and any(name.startswith(word) for name in FLAT)
    }
    assert shown - known - FOREIGN - FLAT - METRICS - beginnings == set()


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (ENDPOINT, "`POST /v1/deliveries/{id}/retry` now", [("POST", "/v1/deliveries/{id}/retry")]),
        (API_PATH, "see `/v1/nothing`, `/docs` and docs/contract.md", ["/v1/nothing", "/docs"]),
        (API_PATH, "curl http://127.0.0.1:8080/v1/callbacks -d", []),
        (SHORT_MODULE, "as api/routes/gone and `domain/jobs/gone.advance`", ["api/routes/gone", "domain/jobs/gone.advance"]),
        (SHORT_MODULE, "`bridge/api/routes` and docs/delivery.md", []),
    ],
)  # fmt: skip
def test_what_is_looked_for(pattern: re.Pattern[str], text: str, found: list[object]) -> None:
    """Each pattern finds a name that is not there, and leaves other texts alone."""
    assert pattern.findall(text) == found
