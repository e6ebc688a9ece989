"""Routes of jobs: as they were last seen, at once or when they end, and their files."""

from aiohttp import web

from bridge.api.requests.fields import JobQuery
from bridge.api.requests.job_identity import name_jobs
from bridge.api.responses.json_response import reply
from bridge.api.responses.models import JobShape
from bridge.api.responses.views import view_job
from bridge.api.routing import ApiCall, Routes
from bridge.domain.ids import job_key
from bridge.services.jobs.download import find_download
from bridge.services.jobs.last_seen import get_job
from bridge.services.jobs.watching import ensure_watched

ROUTES = Routes("Callbacks")


@ROUTES.add(
    "GET", "/v1/jobs/{kind}/{id}", scope="read", query=JobQuery, answers={200: JobShape}, errors=(404, 503)
)
async def read_job(call: ApiCall) -> web.StreamResponse:
    """Read a job as it was last seen, without a request to the provider; `wait` answers once it has ended."""
    query = call.query(JobQuery)
    if query.wait:
        await _wait(call, query)
    job, log, data = await get_job(call.services, call.project, call.path("kind"), call.path("id"))
    return reply(view_job(job, log, data))


async def _wait(call: ApiCall, query: JobQuery) -> None:
    """Wait for the job's end; with the scope register, a job that nobody watches is watched from now on."""
    kind, identifier = call.path("kind"), call.path("id")
    if "register" in call.key.scopes:
        name_jobs({"kind": kind, "id": identifier})
        await ensure_watched(call.services, call.project, kind, identifier, account=query.account_id)
    job, _, _ = await get_job(call.services, call.project, kind, identifier)
    key = job_key(call.services.store.shard_of(job.account), job.account, kind, identifier)
    await call.api.job_waits.wait(
        key, job, seconds=query.wait, telling_when_lost=call.connection.telling_when_lost
    )


@ROUTES.add(
    "GET",
    "/v1/jobs/{kind}/{id}/download",
    scope="read",
    answers={200: "application/octet-stream", 302: None},
    errors=(404, 409, 503),
)
async def download_file(call: ApiCall) -> web.StreamResponse:
    """Redirect to a fresh link to a finished job's file; each costs a request to the provider."""
    url = await find_download(call.services, call.project, call.path("kind"), call.path("id"))
    return web.Response(status=302, headers={"Location": url})
