"""ReelMirror's calls for personas, sources and billing; most of their responses are not documented."""

from pydantic import AliasChoices, BaseModel, Field

from bridge.simulator.jobs.job_store import encode
from bridge.simulator.jobs.timeline import iso
from bridge.simulator.reelmirror.reads import find_persona, require_list
from bridge.simulator.requests.errors import Problem, not_found
from bridge.simulator.requests.paging import respond_page
from bridge.simulator.requests.upstream_call import UpstreamCall, UpstreamResponse, respond
from bridge.simulator.state.ledger import transaction
from bridge.simulator.state.personas import AutomationMode, Persona, Source


class CreatePersonaBody(BaseModel):
    """`POST /v1/personas`."""

    name: str
    writing_style: str | None = None


class UpdatePersonaBody(BaseModel):
    """`PATCH /v1/personas/{id}`."""

    name: str | None = None
    writing_style: str | None = None
    discount_mode: bool | None = None
    avatar_url: str | None = None
    voice_sample_url: str | None = None


class AddSourceBody(BaseModel):
    """`POST /v1/personas/{id}/sources`; guides say `username`, the reference says `handle`."""

    platform: str
    handle: str = Field(validation_alias=AliasChoices("handle", "username"))
    automation_mode: AutomationMode = "sync_only"


class UpdateSourceBody(BaseModel):
    """`PATCH /v1/personas/{id}/sources/{source_id}`."""

    automation_mode: AutomationMode


def list_personas(call: UpstreamCall) -> UpstreamResponse:
    """`GET /v1/personas`."""
    require_list(call, present=call.state.switches.list_personas)
    return respond_page(call, list(call.state.personas.values()), _persona_row)


def _persona_row(persona: Persona) -> bytes:
    return encode(persona.as_json())


def create_persona(call: UpstreamCall) -> UpstreamResponse:
    """`POST /v1/personas`: a persona without sources, targets or a voice."""
    fields = call.parse_body(CreatePersonaBody).model_dump()
    fields |= {"discount_mode": False, "avatar_url": None, "voice_sample_url": None}
    persona = Persona(id=call.state.dice.uuid(), fields=fields, created_at=call.now)
    call.state.personas[persona.id] = persona
    return respond(persona.as_json(), call.state.switches.envelope_other, status=201)


def read_persona(call: UpstreamCall) -> UpstreamResponse:
    """`GET /v1/personas/{id}`."""
    return respond(find_persona(call, call.ids["id"]).as_json(), call.state.switches.envelope_other)


def update_persona(call: UpstreamCall) -> UpstreamResponse:
    """`PATCH /v1/personas/{id}`."""
    persona = find_persona(call, call.ids["id"])
    persona.fields |= call.parse_body(UpdatePersonaBody).model_dump(exclude_unset=True)
    return respond(persona.as_json(), call.state.switches.envelope_other)


def list_sources(call: UpstreamCall) -> UpstreamResponse:
    """`GET /v1/personas/{id}/sources`."""
    require_list(call, present=call.state.switches.list_sources)
    rows = list(find_persona(call, call.ids["id"]).sources.values())
    return respond_page(call, rows, lambda source: encode(source.as_json(call.now)))


def add_source(call: UpstreamCall) -> UpstreamResponse:
    """`POST /v1/personas/{id}/sources`; 409 for a source that is tracked already."""
    body, persona = call.parse_body(AddSourceBody), find_persona(call, call.ids["id"])
    same = [s for s in persona.sources.values() if (s.platform, s.handle) == (body.platform, body.handle)]
    if same:
        raise Problem(409, "This source is tracked already")
    source = Source(
        id=call.state.dice.uuid(),
        platform=body.platform,
        handle=body.handle,
        created_at=call.now,
        mode=body.automation_mode,
    )
    persona.sources[source.id] = source
    return respond(source.as_json(call.now), call.state.switches.envelope_other, status=201)


def update_source(call: UpstreamCall) -> UpstreamResponse:
    """`PATCH /v1/personas/{id}/sources/{source_id}`."""
    source = find_persona(call, call.ids["id"]).sources.get(call.ids["source_id"])
    if source is None:
        raise not_found("Source")
    source.mode = call.parse_body(UpdateSourceBody).automation_mode
    return respond(source.as_json(call.now), call.state.switches.envelope_other)


def list_source_posts(call: UpstreamCall) -> UpstreamResponse:
    """`GET /v1/personas/{id}/source-posts`: what completed syncs have found."""
    persona = find_persona(call, call.ids["id"])
    rows = [
        {"id": f"{source.id}-post-{number}", "persona_id": persona.id, "platform": source.platform}
        | {"created_at": iso(source.created_at)}
        for source in persona.sources.values()
        for number in range(1, int(str(source.as_json(call.now)["content_count"])) + 1)
    ]
    return respond_page(call, rows, encode)


def list_transactions(call: UpstreamCall) -> UpstreamResponse:
    """`GET /v1/billing/transactions`: those of the whole account, with the ids of the work they paid for."""
    state = call.state
    rows = state.ledger.list_until(call.account, call.now)
    return respond_page(
        call, rows, lambda entry: encode(transaction(entry, state.switches.transaction_field))
    )


def read_balance(call: UpstreamCall) -> UpstreamResponse:
    """`GET /v1/billing/balance`: dollars as text, as in the newer guide."""
    state = call.state
    cents = state.ledger.balance_cents(call.account, state.switches.start_balance_cents, call.now)
    body = {"balance_cents": cents, "balance_dollars": f"{cents / 100:.2f}", "auto_reload": False}
    return respond(body, state.switches.envelope_other)
