"""The catalogue of event types, held against the providers' own tables."""

import pytest

from bridge.domain.events.catalogue import event_type
from bridge.domain.observation import Outcome
from bridge.providers.registry import CATALOGUE, KINDS
from bridge.providers.spec import KindSpec

SPECS = [pytest.param(spec, id=name) for name, spec in KINDS.items()]
SERVICE = {
    "job_group.ended",
    "chain.ended",
    "source.synced",
    "webhook.test",
    "delivery.parked",
    "endpoint.failing",
    "endpoint.disabled",
}


def test_the_catalogue_has_the_providers_kinds_and_the_service_events() -> None:
    """No kind without events, and no events without a kind."""
    assert set(CATALOGUE.kinds) == set(KINDS)
    assert {each.type for each in CATALOGUE.types.values() if each.service} == SERVICE
    assert {each.kind for each in CATALOGUE.types.values() if not each.service} == set(KINDS)


@pytest.mark.parametrize("spec", SPECS)
def test_endings_are_those_that_the_provider_table_can_give(spec: KindSpec) -> None:
    """An ending word has the same outcome wherever it is written down."""
    endings = {
        each.word: each.outcome for each in CATALOGUE.types.values() if each.kind == spec.name and each.ending
    }
    assert endings == dict(spec.ending_words)


@pytest.mark.parametrize("spec", SPECS)
def test_progress_and_review_words_are_the_provider_tables(spec: KindSpec) -> None:
    """What is told on the way is listed, and the notice of a refused key besides."""
    told = {each.word for each in CATALOGUE.types.values() if each.kind == spec.name and not each.ending}
    assert told == {*spec.progress_words, *spec.review_words, "unauthorized"}


def test_every_entry_is_told_in_one_sentence() -> None:
    """A catalogue entry names its type and says what happened."""
    for name, known in CATALOGUE.types.items():
        assert name == known.type == event_type(known.kind, known.word)
        assert known.summary.endswith(".")
        assert "{" not in known.summary
        assert known.outcome is None or known.ending
        assert known.kind in CATALOGUE.fields


def test_nothing_that_was_not_seen_is_called_failed() -> None:
    """A time-out and an id never seen claim nothing about the job."""
    for known in CATALOGUE.types.values():
        if known.word in ("timed_out", "not_found"):
            assert known.outcome is Outcome.UNKNOWN
