"""What can be done with endpoints."""

from msgspec import UNSET, to_builtins

from bridge.api.requests.bodies import Fields
from bridge.api.requests.endpoint_request import read_change, read_endpoint
from bridge.dashboard.actions.tasks import begin_task
from bridge.dashboard.filters import read_moment
from bridge.dashboard.page import Action, Done, View, Visit
from bridge.dashboard.views.endpoints import TEST, list_endpoints, show_one
from bridge.domain.deliveries.lanes import INBOX
from bridge.domain.deliveries.retry import judge
from bridge.domain.urls.policy import CheckedUrl
from bridge.errors import BridgeError, Conflict, ValidationFailed
from bridge.providers.registry import CATALOGUE
from bridge.services.deliveries.endpoint_recovery import begin_recovery, measure, restart_open
from bridge.services.deliveries.send_test import send_test_to
from bridge.services.subscriptions import endpoints
from bridge.services.subscriptions.sealing import open_secrets
from bridge.services.tasks.kinds import RECOVER_ENDPOINT

FIELDS = ("url", "events", "personas", "description", "payload", "rate_limit_per_second")


def _read(visit: Visit, names: tuple[str, ...]) -> Fields:
    values = {name: visit.form[name].strip() for name in names if name in visit.form}
    return Fields(values=values, textual=frozenset(values))


async def create(visit: Visit) -> Done | View:
    """Create an endpoint; a form that is refused comes back filled in."""
    try:
        body, fields = read_endpoint(_read(visit, FIELDS), visit.services.policy)
        assert isinstance(fields.url, CheckedUrl)
        made = await endpoints.create(
            visit.services, visit.project, fields, url=fields.url, secret=body.secret, request=""
        )
    except BridgeError as error:
        return await list_endpoints(visit, form=visit.form, problem=error.message)
    return Done(to=f"/endpoints/{made.id}", notice="The endpoint is made; it gets events from now on.")


async def change(visit: Visit) -> Done:
    """Change an endpoint."""
    fields = read_change(_read(visit, (*FIELDS, "enabled")), visit.services.policy)
    changed = await endpoints.patch(visit.services, visit.project, visit.path["id"], fields)
    if fields.url is not UNSET:
        await restart_open(visit.services, changed)
    word = {True: "It is enabled.", False: "It is disabled; its events are kept for recover."}
    notice = word[changed.enabled] if fields.enabled is not UNSET else "It is changed."
    return Done(to=f"/endpoints/{changed.id}", notice=notice)


async def test(visit: Visit) -> Done:
    """Send a signed sample and say what came back."""
    found = (await endpoints.find(visit.services, visit.project, visit.path["id"])).record
    type_ = visit.form.get("type", TEST)
    if type_ not in CATALOGUE.types:
        raise ValidationFailed("type", "not an event type")
    if found.origin == INBOX:
        raise Conflict("An inbox always takes what comes: nothing is to be tried.")
    visit.api.authenticator.take_test(visit.project)
    _, answer = await send_test_to(visit.services, found, type_=type_)
    status = f"status {answer.status}" if answer.status is not None else f"no answer ({answer.failure})"
    notice = f"{type_}: {judge(answer).value}, {status} in {answer.duration_ms} ms. {answer.reason}"
    return Done(to=f"/endpoints/{found.id}", notice=notice)


async def rotate(visit: Visit) -> Done:
    """Replace an endpoint's secret; both sign for a day."""
    found = await endpoints.rotate(visit.services, visit.project, visit.path["id"], None)
    notice = "There is a new secret; the former one signs too for 24 hours."
    return Done(to=f"/endpoints/{found.id}", notice=notice)


async def show_secret(visit: Visit) -> View:
    """Show an endpoint's secret, in this one answer."""
    found = (await endpoints.find(visit.services, visit.project, visit.path["id"])).record
    secret = open_secrets(visit.services.store.vault, found, now_ms=visit.services.clock_ms())[0]
    return await show_one(visit, secret=secret)


async def recover(visit: Visit) -> Done:
    """Send an endpoint what it lacks of a period."""
    now_ms = visit.services.clock_ms()
    since_ms = read_moment(visit.form.get("since", "").strip() or "1d", "since", now_ms=now_ms)
    walk = await begin_recovery(
        visit.services, visit.project, visit.path["id"], since_ms=since_ms, until_ms=None
    )
    total = await measure(visit.services, walk)
    return await begin_task(visit, RECOVER_ENDPOINT, to_builtins(walk), total=total)


async def delete(visit: Visit) -> Done:
    """Delete an endpoint with what waits for it."""
    if visit.form.get("confirm") != visit.path["id"]:
        raise ValidationFailed("confirm", "type the endpoint's id to delete it with what waits for it")
    await endpoints.delete(visit.services, visit.project, visit.path["id"])
    return Done(to="/endpoints", notice="The endpoint is deleted.")


ACTIONS = (
    Action(path="/endpoints", act=create, scope="manage"),
    Action(path="/endpoints/{id}", act=change, scope="manage"),
    Action(path="/endpoints/{id}/test", act=test, scope="manage"),
    Action(path="/endpoints/{id}/rotate", act=rotate, scope="admin"),
    Action(path="/endpoints/{id}/secret", act=show_secret, scope="admin"),
    Action(path="/endpoints/{id}/recover", act=recover, scope="manage"),
    Action(path="/endpoints/{id}/delete", act=delete, scope="manage"),
)
