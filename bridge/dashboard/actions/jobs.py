"""What can be done with jobs: register one, read it now, cancel a callback."""

import json

from bridge.api.requests.callback_request import read_callback_request
from bridge.api.requests.commands import plan_commands
from bridge.dashboard.page import Action, Done, View, Visit
from bridge.dashboard.views.try_it import plan_request, show_form
from bridge.domain.ids import read_callback_job
from bridge.errors import BridgeError, NotFound
from bridge.services.jobs import registration
from bridge.services.polling.wake_up import wake_jobs
from bridge.services.subscriptions import callbacks


async def register(visit: Visit) -> Done | View:
    """Register a callback with a form; one that is refused comes back filled in."""
    body = json.dumps(plan_request(visit.form)).encode()
    try:
        request = read_callback_request(body, "application/json")
        commands = plan_commands(request, visit.services.policy)
        registered = await registration.register(visit.services, visit.project, commands)
    except BridgeError as error:
        return await show_form(visit, visit.form, problem=error.message)
    registration.release_holds(visit.services, [each.callback.id for each in registered])
    visit.api.metrics.count_registrations(request.jobs.kind, len(registered))
    job = registered[0].job
    notice = f"Registered for {job.kind} {job.id}."
    to = f"/jobs/{job.kind}/{job.id}" if visit.form.get("stay") != "try" else "/try"
    return Done(to=to, notice=notice)


async def read_now(visit: Visit) -> Done:
    """Let a watched job be read at its account's next turn."""
    kind, job_id = visit.path["kind"], visit.path["id"]
    if not await wake_jobs(visit.services, visit.project, [job_id]):
        raise NotFound("this job is not watched any more: register a callback for it")
    notice = "It is read as soon as its account's rate limit allows."
    return Done(to=f"/jobs/{kind}/{job_id}", notice=notice)


async def cancel(visit: Visit) -> Done:
    """Cancel a callback and what waits for it."""
    identifier = visit.path["id"]
    if read_callback_job(identifier) is None:
        raise NotFound("there is no such callback")
    job = (await callbacks.get(visit.services, visit.project, identifier)).job
    await callbacks.cancel(visit.services, visit.project, identifier)
    return Done(
        to=f"/jobs/{job.kind}/{job.id}", notice="The callback is cancelled; nothing more is sent to it."
    )


ACTIONS = (
    Action(path="/try", act=register, scope="register"),
    Action(path="/jobs/{kind}/{id}/read", act=read_now, scope="register"),
    Action(path="/callbacks/{id}/cancel", act=cancel, scope="manage"),
)
