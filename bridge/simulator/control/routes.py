"""The control API under `/_sim`: without a key, for tests and demos on a loopback address."""

from typing import Any

from aiohttp import web

from bridge.simulator.behaviour.faults import Fault, FaultMatch
from bridge.simulator.behaviour.switches import Switches
from bridge.simulator.control import jobs
from bridge.simulator.control.bodies import (
    AutomationBody,
    FaultBody,
    KeyFactsBody,
    KnownKeysBody,
    PersonaBody,
)
from bridge.simulator.control.http import STATE, json_response, read_json, refuse, validate
from bridge.simulator.reelmirror.generation import begin_syncs
from bridge.simulator.state.api_keys import mask_key

_FILTERS = ("method", "path", "query", "kind", "id", "key", "status")


async def add_fault(request: web.Request) -> web.Response:
    """`POST /_sim/faults`: put a fault in force."""
    state, body = request.app[STATE], validate(FaultBody, await read_json(request))
    plain = body.model_dump(exclude={"match", "for_s", "headers", "body_base64"})
    fault = Fault(
        id=state.faults.next_id(),
        match=FaultMatch(**body.match.model_dump()),
        until=None if body.for_s is None else state.clock() + body.for_s,
        headers=tuple(body.headers.items()),
        raw_body=body.body_base64,
        **plain,
    )
    state.faults.add(fault)
    return json_response({"id": fault.id}, status=201)


async def list_faults(request: web.Request) -> web.Response:
    """`GET /_sim/faults`: the faults in force."""
    return json_response({"data": request.app[STATE].faults.as_json()})


async def clear_faults(request: web.Request) -> web.Response:
    """`DELETE /_sim/faults`: remove all faults."""
    request.app[STATE].faults.clear()
    return json_response({"deleted": True})


async def remove_fault(request: web.Request) -> web.Response:
    """`DELETE /_sim/faults/{id}`: remove one fault; one that was applied all its `times` has gone already."""
    removed = request.app[STATE].faults.remove(request.match_info["id"])
    return json_response({"id": request.match_info["id"], "deleted": removed})


async def read_switches(request: web.Request) -> web.Response:
    """`GET /_sim/switches`: all switches."""
    return json_response(request.app[STATE].switches.model_dump())


async def set_switches(request: web.Request) -> web.Response:
    """`PUT /_sim/switches`: change the named switches; naming a rate switch also starts new rate windows."""
    state, body = request.app[STATE], await read_json(request)
    if not isinstance(body, dict):
        raise refuse(400, "the body must be an object of switches")
    current = state.switches.model_dump()
    voice: Any = body.get("voice_words")
    if isinstance(voice, dict):
        body["voice_words"] = current["voice_words"] | voice
    state.switches = validate(Switches, current | body)
    if any("rate" in name or "_per_" in name for name in body):
        state.limiter.clear()
    return json_response(state.switches.model_dump())


async def reset_switches(request: web.Request) -> web.Response:
    """`DELETE /_sim/switches`: back to the switches with which the simulator was started."""
    state = request.app[STATE]
    state.switches = state.first_switches
    state.limiter.clear()
    return json_response(state.switches.model_dump())


async def revoke_key(request: web.Request) -> web.Response:
    """`POST /_sim/keys/{key}/revoke`: refuse a key."""
    return _update_key(request, revoked=True)


async def restore_key(request: web.Request) -> web.Response:
    """`POST /_sim/keys/{key}/restore`: accept a revoked key again."""
    return _update_key(request, revoked=False)


async def describe_key(request: web.Request) -> web.Response:
    """`PUT /_sim/keys/{key}`: set its account, its scopes, or scopes that it lacks."""
    body = validate(KeyFactsBody, await read_json(request))
    changes: dict[str, object] = {name: getattr(body, name) for name in body.model_fields_set}
    for name in ("scopes", "missing_scopes"):
        if changes.get(name) is not None:
            changes[name] = frozenset(getattr(body, name))
    return _update_key(request, **changes)


def _update_key(request: web.Request, **changes: object) -> web.Response:
    key = request.match_info["key"]
    facts = request.app[STATE].keys.update(key, **changes)
    return json_response({"key": mask_key(key), "revoked": facts.revoked})


async def know_keys(request: web.Request) -> web.Response:
    """`PUT /_sim/keys`: set which keys are accepted."""
    known = validate(KnownKeysBody, await read_json(request)).known
    request.app[STATE].keys.accept_only(None if known is None else frozenset(known))
    return json_response({"known": None if known is None else len(known)})


async def read_requests(request: web.Request) -> web.Response:
    """`GET /_sim/requests`: the requests received, filtered by any field; `path` is a prefix, `key` a whole key."""
    wanted = {name: request.query[name] for name in _FILTERS if name in request.query}
    if "key" in wanted:
        wanted["key"] = mask_key(wanted["key"])
    records = [record.as_json() for record in request.app[STATE].journal.find(**wanted)]
    return json_response({"data": records, "count": len(records)})


async def clear_requests(request: web.Request) -> web.Response:
    """`DELETE /_sim/requests`: forget all requests and their counts."""
    request.app[STATE].journal.clear()
    return json_response({"deleted": True})


async def read_stats(request: web.Request) -> web.Response:
    """`GET /_sim/stats`: counts of requests."""
    return json_response(request.app[STATE].journal.stats())


async def read_state(request: web.Request) -> web.Response:
    """`GET /_sim/state`: clock, speed, counts and switches."""
    state = request.app[STATE]
    shown = {
        "now": state.clock(),
        "speed": state.speed,
        "jobs": state.jobs.count(),
        "personas": list(state.personas),
        "faults": state.faults.as_json(),
        "switches": state.switches.model_dump(),
    }
    return json_response(shown)


async def reset(request: web.Request) -> web.Response:
    """`POST /_sim/reset`: back to the state right after the start."""
    request.app[STATE].reset()
    return json_response({"reset": True})


async def add_persona(request: web.Request) -> web.Response:
    """`POST /_sim/personas`: create a persona."""
    state, body = request.app[STATE], validate(PersonaBody, await read_json(request))
    persona = state.add_persona(body.id or state.dice.uuid(), sources=body.sources, targets=body.targets)
    for source in persona.sources.values():
        source.mode = body.automation_mode
    return json_response({"id": persona.id, "source_ids": list(persona.sources)}, status=201)


async def automate(request: web.Request) -> web.Response:
    """`POST /_sim/automation`: begin the syncs of a persona's automation."""
    state, body = request.app[STATE], validate(AutomationBody, await read_json(request))
    persona = state.persona(body.persona_id)
    if persona is None:
        raise refuse(404, f"there is no persona {body.persona_id}")
    jobs_begun = begin_syncs(state, persona, account=body.owner)
    return json_response({"id": persona.id, "job_ids": [job.id for job in jobs_begun]})


CONTROL_ROUTES = (
    web.post("/_sim/jobs", jobs.create),
    web.delete("/_sim/jobs", jobs.clear),
    web.get("/_sim/jobs/{kind}/{id}", jobs.peek),
    web.patch("/_sim/jobs/{kind}/{id}", jobs.patch),
    web.delete("/_sim/jobs/{kind}/{id}", jobs.delete),
    web.post("/_sim/jobs/{kind}/{id}/steps", jobs.go_on),
    web.post("/_sim/faults", add_fault),
    web.get("/_sim/faults", list_faults),
    web.delete("/_sim/faults", clear_faults),
    web.delete("/_sim/faults/{id}", remove_fault),
    web.get("/_sim/switches", read_switches),
    web.put("/_sim/switches", set_switches),
    web.delete("/_sim/switches", reset_switches),
    web.put("/_sim/keys", know_keys),
    web.put("/_sim/keys/{key}", describe_key),
    web.post("/_sim/keys/{key}/revoke", revoke_key),
    web.post("/_sim/keys/{key}/restore", restore_key),
    web.get("/_sim/requests", read_requests),
    web.delete("/_sim/requests", clear_requests),
    web.get("/_sim/stats", read_stats),
    web.get("/_sim/state", read_state),
    web.post("/_sim/reset", reset),
    web.post("/_sim/personas", add_persona),
    web.post("/_sim/automation", automate),
)
