"""What is known about a provider stands in `bridge/providers`, and in the simulator that plays it, and nowhere else."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from bridge.domain.events.fields import Field
from bridge.providers.registry import PROVIDERS, list_key_prefixes
from bridge.providers.spec import KindSpec

ROOT = Path(__file__).parents[1]
HOMES = ("bridge/providers/", "bridge/simulator/")
# Names of fields that both a provider and the bridge itself use, each for objects of its own.
SHARED_FIELDS = frozenset(
    {
        "created_at",  # of callbacks, deliveries, keys, accounts
        "deliveries",  # of events
        "error_message",  # of the flat payload
        "project_id",  # of keys
    }
)
# A word without underscore or hump is as likely plain English (`status`, `items`, `message`) as a field.
FIELD_NAME = re.compile(r"[a-z]+(?:_[a-z]+|[A-Z][a-z]+)+")
KINDS = [kind for provider in PROVIDERS.values() for kind in provider.kinds.values()]


def list_sources() -> list[Path]:
    """Return every file of the product outside the homes of provider knowledge, its path from the project's root."""
    paths = (
        path.relative_to(ROOT) for top in ("bridge", "workers") for path in sorted((ROOT / top).rglob("*"))
    )
    return [
        path
        for path in paths
        if path.suffix in (".py", ".lua", ".html", ".js", ".css") and not path.as_posix().startswith(HOMES)
    ]


def list_fields(fields: Iterable[Field]) -> Iterator[str]:
    """Yield the names of documented fields, those of lists' entries too."""
    for field in fields:
        yield field.name
        yield from list_fields(field.parts)


def list_body_fields(kind: KindSpec) -> Iterator[str]:
    """Yield the name of every field that a provider's bodies have, as far as its description knows them."""
    yield from list_fields(kind.data_fields)
    yield from (kind.status_field, *kind.error_fields, *kind.id_fields, *kind.related_fields)
    yield from (kind.persona_field, kind.parent_field or "", kind.parts_field or "", kind.media_field or "")
    yield from (kind.review_field or "", kind.names.shape, *kind.names.fields, *kind.names.relatives)
    if kind.names.retried is not None:
        yield from (kind.names.retried.field, kind.names.retried.original, kind.names.retried.new)


NAMES = sorted({*PROVIDERS, *(kind.name for kind in KINDS)})
FIELDS = sorted(
    {
        name
        for kind in KINDS
        for name in list_body_fields(kind)
        if FIELD_NAME.fullmatch(name) and name not in SHARED_FIELDS
    }
)
KNOWLEDGE = re.compile(
    rf"(?i:{'|'.join(map(re.escape, NAMES))})"
    rf"|(?<![A-Za-z0-9_])(?:{'|'.join(FIELDS)})(?![A-Za-z0-9_])"
    rf"|(?<![A-Za-z0-9_])(?:{'|'.join(map(re.escape, list_key_prefixes()))})"
)


def find_knowledge(text: str) -> list[str]:
    """Return the lines that name a provider, one of its kinds or a field of its bodies, or that begin a key of it."""
    lines = enumerate(text.splitlines(), start=1)
    return [f"{number}: {found[0]}" for number, line in lines if (found := KNOWLEDGE.search(line))]


def test_no_other_package_knows_a_provider() -> None:
    """Code, comments and texts alike: another provider would make each of them wrong or incomplete."""
    sources = list_sources()
    assert len(sources) > 200
    assert {
        str(path): found for path in sources if (found := find_knowledge((ROOT / path).read_text()))
    } == {}


def test_the_homes_are_where_the_rule_says() -> None:
    """A rule about names that nothing has would hold for ever."""
    for home in HOMES:
        assert any(find_knowledge(path.read_text()) for path in sorted((ROOT / home).rglob("*.py")))
    assert {"media_items", "outgoing_post_id", "persona_id", "projectId", "new_item_id"} <= set(FIELDS)


@pytest.mark.parametrize(
    "breach",
    [
        'if account.provider == "reelbot":',
        "# ReelMirror allows 60 requests a minute",
        "REELMIRROR_API_KEY=",
        'KINDS["generated_post"]',
        "def read_sync_jobs(): ...",
        'values.get("media_items")',
        "request.persona_id",
        "values['projectId']",
        'key.startswith("rb_live_")',
    ],
)
def test_a_breach_is_found(breach: str) -> None:
    """Whether it is a string, an attribute, a name or a comment."""
    assert find_knowledge(f"x = 1\n{breach}\n")


@pytest.mark.parametrize("line", ["reelbridge", "key.project_id", "the items of a post", "confirm_delivery"])
def test_the_bridges_own_words_are_free(line: str) -> None:
    """What only looks alike is no breach."""
    assert find_knowledge(line) == []
