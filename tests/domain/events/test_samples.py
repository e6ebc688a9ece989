"""Samples of every event type, judged by the schemas that are published beside them."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types

from bridge.domain.events import samples as event_samples
from bridge.domain.events.fields import Field
from bridge.domain.events.payload_schemas import common_flat_schema, payload_schema, payload_schemas
from bridge.domain.events.payloads import PAYLOADS
from bridge.domain.events.schema import event_schema
from bridge.domain.js_json import to_js_json
from bridge.providers.registry import CATALOGUE

TYPES = list(CATALOGUE.types)
BARE = ("not_found", "unauthorized")


def judge(type_: str) -> Draft202012Validator:
    """A validator that also looks at formats."""
    schema = event_schema(CATALOGUE, type_)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


@pytest.mark.parametrize("type_", TYPES)
def test_a_sample_satisfies_its_schema(type_: str) -> None:
    """What the catalogue shows is what it promises."""
    found = event_samples.samples(CATALOGUE, type_)
    assert found
    for sample in found:
        assert [each.message for each in judge(type_).iter_errors(sample)] == []
        assert sample["id"].startswith("evt_")


def test_full_has_the_schema_of_the_events() -> None:
    """It is the form in which they are stored."""
    for type_ in TYPES:
        assert payload_schema(CATALOGUE, type_, "full") == event_schema(CATALOGUE, type_)


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("type_", TYPES)
def test_a_sample_satisfies_the_schema_of_its_form(type_: str, payload: str) -> None:
    """Every form has a schema that names every field, and another type's sample does not pass it."""
    schema = payload_schemas(CATALOGUE, type_)[payload]
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    [sample] = event_samples.samples(CATALOGUE, type_, payload=payload)
    assert [each.message for each in validator.iter_errors(sample)] == []
    assert {name for name in sample if not name.startswith("metadata_")} <= set(schema["properties"])
    for name in schema["required"]:
        assert not validator.is_valid({key: value for key, value in sample.items() if key != name})
    other = next(each for each in TYPES if each != type_)
    assert not validator.is_valid(event_samples.samples(CATALOGUE, other, payload=payload)[0])


def test_the_flat_schema_is_one_for_all_events_of_a_kind_but_for_their_own_words() -> None:
    """A tool that learnt it from one event understands all."""
    kinds: dict[str, dict[str, Any]] = {}
    for type_ in TYPES:
        found = payload_schema(CATALOGUE, type_, "flat")["properties"]
        shape = {name: each.get("type") for name, each in found.items() if name not in ("type", "object")}
        assert kinds.setdefault(CATALOGUE.types[type_].kind, shape) == shape
        assert set(shape.values()) <= {"string", "boolean", "integer"}


@pytest.mark.parametrize("type_", TYPES)
def test_what_the_flat_forms_of_all_events_have_in_common_fits_each(type_: str) -> None:
    """With the fields that a flow needs whatever the event is about."""
    schema = common_flat_schema(CATALOGUE)
    assert {"job_id", "outcome", "error_message", "output_urls", "metadata"} <= set(schema["required"])
    for sample in event_samples.samples(CATALOGUE, type_, payload="flat"):
        assert list(Draft202012Validator(schema).iter_errors(sample)) == []


@pytest.mark.parametrize("type_", TYPES)
def test_a_schema_describes_every_field_of_its_sample(type_: str) -> None:
    """No sample shows what no schema explains."""
    schema = event_schema(CATALOGUE, type_)
    for sample in event_samples.samples(CATALOGUE, type_):
        assert set(sample) <= set(schema["properties"])
        assert set(sample["bridge"]) <= set(schema["properties"]["bridge"]["properties"])
        assert set(sample["data"]) <= set(schema["properties"]["data"]["properties"])


@pytest.mark.parametrize(
    "change",
    [
        {"type": "sync_job.failed"},
        {"id": "msg_1"},
        {"outcome": None},
        {"error": None},
        {"summary": {"total": 3}},
        {"related": {"persona_id": None}},
        {"timestamp": "yesterday"},
        {"sequence": "5"},
        {"metadata": ["x"]},
        {"data": {"status": "completed"}},
        {"data": {"id": "a1", "media_items": {}}},
        {"bridge": {}},
    ],
)
def test_a_schema_refuses_a_wrong_event(change: dict[str, Any]) -> None:
    """Each promise can be broken, and is then found."""
    [sample] = event_samples.samples(CATALOGUE, "generated_post.partial")
    validator = judge("generated_post.partial")
    assert validator.is_valid(sample)
    assert not validator.is_valid({**sample, **change})


@pytest.mark.parametrize("name", ["id", "job_id", "outcome", "error", "metadata", "data", "bridge"])
def test_a_schema_wants_every_field(name: str) -> None:
    """Only `test` may be absent."""
    [sample] = event_samples.samples(CATALOGUE, "sync_job.failed")
    del sample[name]
    assert not judge("sync_job.failed").is_valid(sample)


@pytest.mark.parametrize("type_", [each for each in TYPES if CATALOGUE.types[each].word not in BARE])
def test_a_sample_has_the_objects_documented_fields(type_: str) -> None:
    """A tool that learns from a sample learns every field, but those that ReelBot leaves out in that state."""
    [sample] = event_samples.samples(CATALOGUE, type_)
    names = {field.name for field in CATALOGUE.fields[CATALOGUE.types[type_].kind]}
    assert names - set(sample["data"]) <= {"outputKey", "error"}


@pytest.mark.parametrize("type_", TYPES)
def test_a_type_has_the_same_samples_every_time_under_its_own_id(type_: str) -> None:
    """Zapier tells samples apart by id."""
    assert event_samples.samples(CATALOGUE, type_) == event_samples.samples(CATALOGUE, type_)
    ids = [sample["id"] for each in TYPES for sample in event_samples.samples(CATALOGUE, each)]
    assert len(set(ids)) == len(ids)


def test_a_test_body_fills_every_field() -> None:
    """Make learns a webhook's shape from one request: nothing in it is null or empty."""
    sample = event_samples.test_body(
        CATALOGUE, event_id="evt_test_1", at_ms=1_000, payload="full", base_url=""
    )
    body = json.loads(sample)
    assert (body["id"], body["type"], body["test"]) == ("evt_test_1", "webhook.test", True)
    assert body["timestamp"] == body["bridge"]["observed_at"] == "1970-01-01T00:00:01.000Z"
    assert _list_empty(body) == []
    assert judge("webhook.test").is_valid(body)
    assert {field.name for field in _item_fields()} == set(body["data"]["media_items"][0])


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("type_", TYPES)
def test_a_test_of_any_type_fills_every_field_in_every_form(type_: str, payload: str) -> None:
    """With the types that real events have, and all fields that any event of the kind has."""
    sent = event_samples.test_body(
        CATALOGUE, type_=type_, event_id="evt_test_1", at_ms=1_000, payload=payload, base_url="http://b"
    )
    assert to_js_json(json.loads(sent)) == sent
    body = json.loads(sent)
    assert (body["type"], _list_empty(body)) == (type_, [])
    [sample] = event_samples.samples(CATALOGUE, type_, payload=payload)
    assert set(sample) <= set(body)
    for name, value in sample.items():
        if value is not None:
            assert type(body[name]) is type(value), name
    if payload == "full":
        names = {field.name for field in CATALOGUE.fields[CATALOGUE.types[type_].kind]}
        assert names <= set(body["data"])
        data = judge(type_).schema["properties"]["data"]
        assert list(Draft202012Validator(data).iter_errors(body["data"])) == []


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_test_body_comes_in_every_form(payload: str) -> None:
    """Under the id that it is sent with, as JavaScript writes it."""
    body = event_samples.test_body(
        CATALOGUE, event_id="evt_test_1", at_ms=1_000, payload=payload, base_url="http://b"
    )
    assert to_js_json(json.loads(body)) == body
    assert json.loads(body)["id"] == "evt_test_1"


def test_a_type_that_does_not_exist_has_no_sample_and_no_schema() -> None:
    """The catalogue's edge is an error, not an empty answer."""
    for ask in (event_samples.samples, event_schema):
        with pytest.raises(KeyError):
            ask(CATALOGUE, "sync_job.done")


def _item_fields() -> tuple[Field, ...]:
    return next(field.parts for field in CATALOGUE.fields["generated_post"] if field.name == "media_items")


def _list_empty(value: Any, path: str = "$") -> list[str]:
    match value:
        case dict() if value:
            return [each for name, inner in value.items() for each in _list_empty(inner, f"{path}.{name}")]
        case list() if value:
            return [
                each for number, inner in enumerate(value) for each in _list_empty(inner, f"{path}[{number}]")
            ]
        case None | "" | [] | {}:
            return [path]
        case _:
            return []
