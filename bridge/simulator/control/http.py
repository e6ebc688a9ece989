"""Read and write the JSON of control calls."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from pydantic import BaseModel, ValidationError

from bridge.simulator.requests.bodies import CLOSES, UNREADABLE, read_body
from bridge.simulator.state.simulator_state import SimulatorState

STATE = web.AppKey("state", SimulatorState)
Body = TypeVar("Body", bound=BaseModel)


def json_response(value: Any, *, status: int = 200) -> web.Response:
    """Return a response with a JSON body."""
    return web.Response(status=status, body=msgspec.json.encode(value), content_type="application/json")


def refuse(status: int, message: str, *, headers: Mapping[str, str] | None = None) -> web.HTTPException:
    """Return an error to raise, with its message as JSON."""
    kinds: dict[int, type[web.HTTPException]] = {400: web.HTTPBadRequest, 404: web.HTTPNotFound}
    return kinds[status](
        text=json.dumps({"error": message}), content_type="application/json", headers=headers
    )


async def read_json(request: web.Request) -> Any:
    """Return the JSON body; raise a 400 for anything else."""
    body = await read_body(request)
    if body is None:
        raise refuse(400, UNREADABLE, headers=CLOSES)
    try:
        return json.loads(body or b"{}")
    except ValueError as failure:
        raise refuse(400, f"the body is not JSON: {failure}") from failure


def validate(model: type[Body], value: Any) -> Body:
    """Return the body as a model; raise a 400 that names every wrong field."""
    try:
        return model.model_validate(value)
    except ValidationError as failure:
        wrong = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in failure.errors(include_url=False)]
        raise refuse(400, "; ".join(wrong)) from failure
