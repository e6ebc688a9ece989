"""ReelMirror's personas, sources and billing reads; most answers here are not documented."""

from pydantic import AliasChoices, BaseModel, Field

from bridge.simulator.jobs.job_store import encode
from bridge.simulator.jobs.timeline import iso
from bridge.simulator.reelmirror.reads import find_persona, require_list
from bridge.simulator.requests.errors import Problem, not_found
from bridge.simulator.requests.paging import answer_page
from bridge.simulator.requests.upstream_call import Answer, UpstreamCall, answer
from bridge.simulator.state.ledger import transaction
from bridge.simulator.state.personas import AutomationMode, Persona, Source


class PersonaBody(BaseModel):
    """`POST /v1/personas`."""

    name: str
    writing_style: str | None = None


class PersonaPatch(BaseModel):
    """`PATCH /v1/personas/{id}`."""

    name: str | None = None
    writing_style: str | None = None
    discount_mode: bool | None = None
    avatar_url: str | None = None
    voice_sample_url: str | None = None


class SourceBody(BaseModel):
    """`POST /v1/personas/{id}/sources`; guides say `username`, the reference `handle`."""

    platform: str
    handle: str = Field(validation_alias=AliasChoices("handle", "username"))
    automation_mode: AutomationMode = "sync_only"


class SourcePatch(BaseModel):
    """`PATCH /v1/personas/{id}/sources/{source_id}`."""

    automation_mode: AutomationMode


def list_personas(call: UpstreamCall) -> Answer:
    """`GET /v1/personas`."""
    require_list(call, present=call.world.switches.list_personas)
    return answer_page(call, list(call.world.personas.values()), _persona_row)


def _persona_row(persona: Persona) -> bytes:
    return encode(persona.seen())


def create_persona(call: UpstreamCall) -> Answer:
    """`POST /v1/personas`: without sources, targets or a voice."""
    fields = call.parsed(PersonaBody).model_dump()
    fields |= {"discount_mode": False, "avatar_url": None, "voice_sample_url": None}
    persona = Persona(id=call.world.dice.uuid(), fields=fields, created_at=call.now)
    call.world.personas[persona.id] = persona
    return answer(persona.seen(), call.world.switches.envelope_other, status=201)


def read_persona(call: UpstreamCall) -> Answer:
    """`GET /v1/personas/{id}`."""
    return answer(find_persona(call, call.ids["id"]).seen(), call.world.switches.envelope_other)


def update_persona(call: UpstreamCall) -> Answer:
    """`PATCH /v1/personas/{id}`."""
    persona = find_persona(call, call.ids["id"])
    persona.fields |= call.parsed(PersonaPatch).model_dump(exclude_unset=True)
    return answer(persona.seen(), call.world.switches.envelope_other)


def list_sources(call: UpstreamCall) -> Answer:
    """`GET /v1/personas/{id}/sources`."""
    require_list(call, present=call.world.switches.list_sources)
    rows = list(find_persona(call, call.ids["id"]).sources.values())
    return answer_page(call, rows, lambda source: encode(source.seen(call.now)))


def add_source(call: UpstreamCall) -> Answer:
    """`POST /v1/personas/{id}/sources`: the same one twice is a 409."""
    body, persona = call.parsed(SourceBody), find_persona(call, call.ids["id"])
    same = [s for s in persona.sources.values() if (s.platform, s.handle) == (body.platform, body.handle)]
    if same:
        raise Problem(409, "This source is tracked already")
    source = Source(
        id=call.world.dice.uuid(),
        platform=body.platform,
        handle=body.handle,
        created_at=call.now,
        mode=body.automation_mode,
    )
    persona.sources[source.id] = source
    return answer(source.seen(call.now), call.world.switches.envelope_other, status=201)


def update_source(call: UpstreamCall) -> Answer:
    """`PATCH /v1/personas/{id}/sources/{source_id}`."""
    source = find_persona(call, call.ids["id"]).sources.get(call.ids["source_id"])
    if source is None:
        raise not_found("Source")
    source.mode = call.parsed(SourcePatch).automation_mode
    return answer(source.seen(call.now), call.world.switches.envelope_other)


def list_source_posts(call: UpstreamCall) -> Answer:
    """`GET /v1/personas/{id}/source-posts`: what completed syncs have found."""
    persona = find_persona(call, call.ids["id"])
    rows = [
        {"id": f"{source.id}-post-{number}", "persona_id": persona.id, "platform": source.platform}
        | {"created_at": iso(source.created_at)}
        for source in persona.sources.values()
        for number in range(1, int(str(source.seen(call.now)["content_count"])) + 1)
    ]
    return answer_page(call, rows, encode)


def list_transactions(call: UpstreamCall) -> Answer:
    """`GET /v1/billing/transactions`: of the whole account, with the ids of its work."""
    world = call.world
    rows = world.ledger.booked(call.account, call.now)
    return answer_page(call, rows, lambda entry: encode(transaction(entry, world.switches.transaction_field)))


def read_balance(call: UpstreamCall) -> Answer:
    """`GET /v1/billing/balance`: dollars as text (the newer guide)."""
    world = call.world
    cents = world.ledger.balance_cents(call.account, world.switches.start_balance_cents, call.now)
    body = {"balance_cents": cents, "balance_dollars": f"{cents / 100:.2f}", "auto_reload": False}
    return answer(body, world.switches.envelope_other)
