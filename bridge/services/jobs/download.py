"""Ask a provider for a fresh link to a finished job's file, within the rate limit that it documents for links."""

from msgspec.structs import replace

from bridge.domain.observation import (
    JobNotFound,
    KeyRefused,
    KindForbidden,
    Outcome,
    Throttled,
    UnexpectedAnswer,
    UpstreamBroken,
    UpstreamBusy,
)
from bridge.domain.polling.rate_limit import Bucket, Limit, Purpose
from bridge.errors import BridgeError, Conflict, Forbidden, NotFound, RateLimited, Unauthorized, Unavailable
from bridge.providers.download import DownloadLink, DownloadResult, FileMissing, FileNotReady
from bridge.providers.registry import KINDS
from bridge.providers.spec import KindSpec
from bridge.services.accounts.pause import report_responses
from bridge.services.accounts.rate_budget import make_report
from bridge.services.context import Services
from bridge.services.jobs.last_seen import get_job
from bridge.store.tables.rate_budgets import Ask


async def find_download(services: Services, project: str, kind: str, job_id: str) -> str:
    """Return the link to a job's file; it costs one request, under a limit apart from that of the polls.

    Raise NotFound where this project does not watch the job or it has no file, Conflict while it is not finished, and
    Unauthorized, Forbidden, RateLimited or Unavailable for what the provider says.
    """
    job, _, _ = await get_job(services, project, kind, job_id)
    spec = KINDS.get(kind)
    if spec is None or spec.download is None:
        raise NotFound(f"a {kind} has no file to download")
    word = job.ending or job.status
    if spec.ending_words.get(job.ending) is not Outcome.SUCCEEDED:
        raise Conflict(
            f"there is no file: the {spec.noun} was last seen as {word or 'not read yet'}",
            details={"status": word or None},
        )
    account = await services.store.accounts.get(job.account)
    if account is None:
        raise NotFound(f"the account that this {spec.noun} belongs to is gone")
    login = await services.login(account)
    bucket = Bucket(job.account, _plan_limit(services, spec.download.limit), is_only=False)
    ask = Ask(account=job.account, limit=bucket.limit, wanted=[Purpose.SINGLE], max_open=None)
    (grant,) = await services.store.budgets.spend_many((ask,))
    if not grant.requests:
        raise _limited(spec, grant.wait_ms / 1000)
    answer = await services.upstream.read_download(login, spec, job_id, now_ms=services.clock_ms())
    report = make_report(grant.requests[0], answer.rate, answer.result)
    await report_responses(services, {bucket: [report]})
    if isinstance(answer.result, DownloadLink):
        return answer.result.url
    raise _explain(services, spec, job.account, answer.result)


def _plan_limit(services: Services, limit: Limit) -> Limit:
    return replace(limit, window_s=limit.window_s * min(1.0, services.settings.poll_scale))


def _limited(spec: KindSpec, wait_s: float) -> RateLimited:
    return RateLimited(
        wait_s, f"{spec.provider}'s rate limit for links leaves no room now: repeat after Retry-After"
    )


def _explain(services: Services, spec: KindSpec, account: str, result: DownloadResult) -> BridgeError:
    """Return the error that says why there is no link."""
    provider = spec.provider
    match result:
        case FileNotReady():
            return Conflict(f"{provider} says that the file is not ready yet: try again in a moment")
        case FileMissing():
            return NotFound(f"{provider} says that the {spec.noun} has no file any more")
        case JobNotFound():
            return NotFound(f"{provider} does not know this {spec.noun} any more")
        case KeyRefused():
            return Unauthorized(
                f"{provider} refuses the account's key: replace it with PUT /v1/accounts/{account}/credential"
            )
        case KindForbidden():
            return Forbidden("the account's key may not ask for a link: give it the scope that does")
        case Throttled(until_ms=until_ms):
            return _limited(spec, max(0.0, (until_ms - services.clock_ms()) / 1000))
        case UpstreamBusy(wait_s=wait_s):
            return Unavailable(f"{provider} answers 503: repeat later", retry_after_s=wait_s)
        case UpstreamBroken(reason=reason) | UnexpectedAnswer(reason=reason):
            return Unavailable(f"{provider} gave no link ({reason}): try again")
        case _:
            return Unavailable(f"{provider} gave no link: try again")
