"""The route `POST /v1/wake-ups`: providers' own webhooks have the bridge read the jobs that they name, at once."""

import hashlib

from aiohttp import web

from bridge.api.requests.bodies import parse_json
from bridge.api.requests.fields import WakeUpBody
from bridge.api.requests.named_ids import list_named_ids
from bridge.api.responses.json_response import reply
from bridge.api.responses.models import WakeUpShape
from bridge.api.routing import ApiCall, Routes
from bridge.config.log import get_logger
from bridge.errors import ValidationFailed
from bridge.services.polling.wake_up import wake_jobs

log = get_logger("bridge.api")
ROUTES = Routes("Callbacks")


@ROUTES.add(
    "POST",
    "/v1/wake-ups",
    scope="register",
    by_query=True,
    body=WakeUpBody,
    lenient=True,
    answers={200: WakeUpShape},
    errors=(503,),
)
async def wake_up(call: ApiCall) -> web.StreamResponse:
    """Read the watched jobs that a provider's own webhook names at once; nothing else of it is used."""
    try:
        text = call.content.decode()
    except UnicodeDecodeError:
        raise ValidationFailed("body", "it is no UTF-8: send the webhook's JSON") from None
    woken = await wake_jobs(call.services, call.project, list_named_ids(parse_json(text, field="body")))
    log.info("wake_up.received", project=call.project, jobs=woken)
    digest = hashlib.blake2b(f"{call.project} ".encode() + call.content, digest_size=10)
    answer: WakeUpShape = {"id": f"wku_{digest.hexdigest()}", "object": "wake_up", "woken": woken}
    return reply(answer)
