"""`reelbridge watch KIND ID`: watch a job to its end, with a bar where there is a terminal."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Protocol
from urllib.parse import urlencode

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from bridge.cli.local.api_client import ApiClient, NoAnswerError, explain_refusal
from bridge.cli.local.errors import CommandError
from bridge.cli.remote.lists import join
from bridge.cli.remote.output import PipedConsole, show_json, show_line
from bridge.cli.remote.progress import estimate, exit_status
from bridge.domain.printable import printable
from bridge.providers.registry import KINDS
from bridge.providers.spec import KindSpec
from bridge.providers.timestamps import read_moment_ms

WAIT_S: Final = 2.0  # how old what a bar shows may be
QUIET_WAIT_S: Final = 20.0
ANSWER_S: Final = 20.0  # beyond the wait
AGAIN_S: Final = 1.0
PATIENCE_S: Final = 60.0  # a bridge that restarts is back within this
BUSY = frozenset({429, 502, 503, 504})


class Display(Protocol):
    """Where the state of a job is shown while it runs."""

    def show(self, job: Mapping[str, Any]) -> None:
        """Show a job as it was last seen."""


async def watch(api: ApiClient, kind_name: str, job_id: str, *, account: str | None, as_json: bool) -> int:
    """Watch a job, which the bridge does from now on if it did not; return the exit status that tells the outcome."""
    kind = KINDS.get(kind_name)
    if kind is None or not kind.registrable:
        known = ", ".join(name for name, each in KINDS.items() if each.registrable)
        raise CommandError(f"{kind_name} is no kind of job that can be watched: use one of {known}")
    console = PipedConsole()
    drawn = console.is_terminal and not console.is_dumb_terminal and not as_json
    with _bar(kind, job_id, console) if drawn else _lines(silent=as_json) as display:
        job = await _follow(api, kind, job_id, account, display, wait_s=WAIT_S if drawn else QUIET_WAIT_S)
    event = await _find_event(api, job)
    if as_json:
        show_json({"job": job, "event": event})
    else:
        _show_end(job, event)
    return exit_status(kind, str(job["ending"]))


async def _follow(
    api: ApiClient, kind: KindSpec, job_id: str, account: str | None, display: Display, *, wait_s: float
) -> dict[str, Any]:
    """Return the job once it has ended; a bridge that is away for a while is waited for, once it has answered."""
    path = join("/v1/jobs", kind.name, job_id)
    query = {"account_id": account} if account else {}
    wait, silent_since = 0.1, None  # at first only so long that something can be shown
    while True:
        asked = f"{path}?{urlencode({**query, 'wait': wait})}"
        status, answer = await _ask(api, asked, wait + ANSWER_S, may_fail=silent_since is not None)
        now = time.monotonic()
        if status == 200 and isinstance(answer, dict):
            display.show(answer)
            if answer.get("ending"):
                return answer
            wait, silent_since = wait_s, now
            continue
        if status and status not in BUSY:
            raise CommandError(explain_refusal("GET", path, status, answer))
        silent_since = now if silent_since is None else silent_since
        if now - silent_since > PATIENCE_S:
            raise CommandError(
                f"{api.url} has not answered for {PATIENCE_S:.0f} s; the watch itself goes on there"
            )
        await asyncio.sleep(AGAIN_S)


async def _ask(api: ApiClient, path: str, timeout_s: float, *, may_fail: bool) -> tuple[int, Any]:
    try:
        return await api.request("GET", path, timeout_s=timeout_s)
    except NoAnswerError:
        if not may_fail:
            raise
        return 0, None


async def _find_event(api: ApiClient, job: Mapping[str, Any]) -> Any:
    """Return the ending event, None where the feed does not have it."""
    if not job.get("event_id"):
        return None
    status, event = await api.request("GET", join("/v1/events", str(job["event_id"])))
    return event if status == 200 else None


def _show_end(job: Mapping[str, Any], event: Any) -> None:
    event = event if isinstance(event, dict) else {}
    outcome = event.get("outcome") or job["ending"]
    show_line(
        f"{'✔' if outcome == 'succeeded' else '✘'} {job['kind']} {job['id']}: {job['ending']} ({outcome})"
    )
    if isinstance(event.get("error"), dict) and event["error"].get("message"):
        show_line(f"  {event['error']['message']}")


class _Lines:
    """A line whenever the state has changed, for logs and pipes."""

    def __init__(self, *, silent: bool) -> None:
        self._silent = silent
        self._last = ""

    def show(self, job: Mapping[str, Any]) -> None:
        line = f"{job.get('kind')} {job.get('id')}: {job.get('status') or 'not read yet'}"
        if line != self._last and not self._silent and not job.get("ending"):
            show_line(line)
        self._last = line


class _Bar:
    """A bar whose clock goes on between two answers."""

    def __init__(self, bar: Progress, kind: KindSpec, job_id: str) -> None:
        self._bar = bar
        self._kind = kind
        self._task = bar.add_task(printable(f"{kind.name} {job_id}"), total=1.0, status="", text="")

    def show(self, job: Mapping[str, Any]) -> None:
        data = job.get("data") if isinstance(job.get("data"), dict) else None
        known = estimate(self._kind, data, _elapsed_s(job))
        self._bar.update(
            self._task,
            completed=1.0 if job.get("ending") else known.done,
            status=Text(printable(str(job.get("ending") or job.get("status") or "not read yet"))),
            text="" if job.get("ending") else known.text,
        )


def _elapsed_s(job: Mapping[str, Any]) -> float:
    since_ms = read_moment_ms(job.get("watched_since"))
    return 0.0 if since_ms is None else max(0.0, time.time() - since_ms / 1000)


@contextmanager
def _lines(*, silent: bool) -> Iterator[Display]:
    yield _Lines(silent=silent)


@contextmanager
def _bar(kind: KindSpec, job_id: str, console: Console) -> Iterator[Display]:
    """Draw a bar while the block runs; the terminal is left as it was, whatever ends it."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %", markup=False),
        TextColumn("{task.fields[status]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("{task.fields[text]}", markup=False),
    )
    with Progress(*columns, console=console) as bar:
        yield _Bar(bar, kind, job_id)
