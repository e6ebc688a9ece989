"""What is published exists: every setting is read, every event type occurs, every scope opens something."""

import ast
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from bridge.api.app import KEYED_ROUTES
from bridge.api.openapi import build_document
from bridge.config.provider_settings import WORD_PREFIXES, provider_fields
from bridge.config.settings import Settings, load_settings
from bridge.domain.events.catalogue import event_type
from bridge.domain.events.group_events import CHAIN_ENDED, GROUP_ENDED
from bridge.domain.events.samples import test_body as write_test_body
from bridge.domain.observation import Observed
from bridge.providers import ExtraWords
from bridge.providers.read import read_answer
from bridge.providers.registry import CATALOGUE, KINDS, PROVIDERS
from bridge.providers.spec import BRIDGE_ENDINGS, KindSpec
from bridge.providers.start_evidence import SYNCED
from bridge.proxy.login import SCOPE
from bridge.services.deliveries.notices import DISABLED, FAILING, PARKED
from tests.domain.jobs.test_replaced import replace_now
from tests.domain.jobs.watched_job import BROKEN, DAY_MS, MISSING, REFUSED, Candidate, simple

ROOT = Path(__file__).parents[1]
# Every kind has these types, so that one filter fits all of them. A publishing delivery is only ever seen inside its
# outgoing post, hence none of them happens to it.
OF_EVERY_KIND = (*BRIDGE_ENDINGS, "unauthorized")


def parse_product() -> Iterator[ast.Module]:
    """The modules that may read settings: all but the one that defines them."""
    for top in ("bridge", "workers"):
        for path in sorted((ROOT / top).rglob("*.py")):
            if path != ROOT / "bridge/config/settings.py":
                yield ast.parse(path.read_text())


def find_read(modules: Iterable[ast.Module]) -> set[str]:
    """The names of all attributes that are read."""
    return {
        node.attr
        for module in modules
        for node in ast.walk(module)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }


def test_every_setting_is_read() -> None:
    """A variable that changes nothing is a promise not kept. `data_dir` and the like are read by the supervisor."""
    assert set(Settings.model_fields) - set(provider_fields()) - find_read(parse_product()) == set()


def test_every_setting_of_a_provider_is_read() -> None:
    """The modules of the product read them by the provider's name."""
    assert {"credential_of", "upstream_url", "extra_words"} <= find_read(parse_product())
    chosen = load_settings(
        _env_file=None,
        **{spec.key_variable: f"key-of-{name}" for name, spec in PROVIDERS.items()},
        **{spec.url_variable: f"https://{name}.example" for name, spec in PROVIDERS.items()},
        **{
            f"{prefix}_{word}_words": f"{prefix}{word}"
            for prefix in WORD_PREFIXES
            for word in ("done", "failed")
        },
    )
    for name in PROVIDERS:
        credential = chosen.credential_of(name)
        assert credential is not None
        assert credential.get_secret_value() == f"key-of-{name}"
        assert chosen.upstream_url(name) == f"https://{name}.example"
    assert chosen.extra_words.done == {f"{prefix}done" for prefix in WORD_PREFIXES}
    assert chosen.extra_words.failed == {f"{prefix}failed" for prefix in WORD_PREFIXES}


def test_an_unread_setting_is_found() -> None:
    """Writing an attribute, or naming it in a text, is no use of it."""
    module = ast.parse("a.port + 1\na.host = 'redis_url'")
    assert {"port", "host", "redis_url"} - find_read([module]) == {"host", "redis_url"}


def watch(spec: KindSpec) -> Candidate:
    """A job with a callback that gets every event."""
    watched = Candidate(spec.name)
    watched.register(once=False, events=("*",), expires_ms=watched.now_ms + 40 * DAY_MS)
    return watched


def types_of(watched: Candidate) -> set[str]:
    return {each.draft.type for each in watched.events.values()}


def observed_types(spec: KindSpec) -> set[str]:
    """The types that the provider's recorded answers lead to, and its words for a review."""
    types: set[str] = set()
    for path in sorted((ROOT / "tests/providers" / spec.provider).glob("*.json")):
        recording = json.loads(path.read_text())
        if recording["kind"] != spec.name:
            continue
        words = recording.get("words", {})
        result = read_answer(
            spec,
            job_id=recording["job_id"],
            http_status=recording["http_status"],
            headers=recording["headers"],
            body=json.dumps(recording["body"]).encode(),
            now_ms=1_767_609_000_000,
            words=ExtraWords(
                done=frozenset(words.get("done", ())), failed=frozenset(words.get("failed", ()))
            ),
        )
        if isinstance(result, Observed):
            watched = watch(spec)
            watched.read(result)
            types |= types_of(watched)
            if result.observation.progress:  # what was seen and is gone, was deleted
                watched.read(MISSING)
                watched.read(MISSING)
                types |= types_of(watched)
    for word in spec.review_words:
        reviewed = watch(spec)
        reviewed.read(simple(None, **{str(spec.review_field): word}))
        types |= types_of(reviewed)
    return types


def concluded_types(spec: KindSpec) -> set[str]:
    """The types that no answer shows: the bridge concludes them."""
    missing, late, refused, replaced = (watch(spec) for _ in range(4))
    while not types_of(missing):
        missing.read(MISSING)
    late.read(BROKEN, after_s=35 * 86_400)
    refused.read(REFUSED, auth_refused="outage")
    types = types_of(missing) | types_of(late) | types_of(refused)
    if event_type(spec.name, "replaced") in CATALOGUE.types:
        types |= set(replace_now(replaced))
    return types


def find_emitted() -> set[str]:
    types = {
        json.loads(write_test_body(CATALOGUE, event_id="evt_test_1", at_ms=0, payload="full", base_url=""))[
            "type"
        ],
        *(PARKED, FAILING, DISABLED),  # each is heard in tests/services/endpoints/test_trouble.py
        *(GROUP_ENDED, CHAIN_ENDED),  # heard in tests/services/groups
        SYNCED,  # heard in tests/services/following/test_synced_sources.py
    }
    for spec in KINDS.values():
        if spec.registrable:
            types |= observed_types(spec) | concluded_types(spec)
    return types


def test_every_event_type_occurs() -> None:
    """Recorded answers, absence, time and refused keys lead to each type of the catalogue."""
    never = set(CATALOGUE.types) - find_emitted()
    assert never == {event_type("publishing_delivery", word) for word in OF_EVERY_KIND}


def test_every_scope_opens_a_route() -> None:
    """A scope that no route asks for is not offered; `proxy` opens the proxy, which has no routes."""
    document = build_document(KEYED_ROUTES, server="https://bridge.example.test")
    offered = document["components"]["schemas"]["KeyBody"]["properties"]["scopes"]["items"]["enum"]
    assert set(offered) == {route.scope for route in KEYED_ROUTES} - {"any"} | {SCOPE}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_provider_can_be_chosen_for_an_account(provider: str) -> None:
    """And no other."""
    document = build_document(KEYED_ROUTES, server="https://bridge.example.test")
    assert provider in document["components"]["schemas"]["AccountBody"]["properties"]["provider"]["enum"]
