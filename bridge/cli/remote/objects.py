"""Read, send again, create and remove what a bridge keeps: events, deliveries, endpoints, callbacks."""

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from bridge.cli.local.api_client import ApiClient
from bridge.cli.local.errors import CommandError
from bridge.cli.remote.lists import Listing, join, read_data
from bridge.cli.remote.output import show_json, show_line, show_object
from bridge.config.value_types import SECONDS_PER_UNIT
from bridge.domain.counts import say_count
from bridge.domain.times import iso_ms

EVENTS: Final = Listing(
    path="/v1/events",
    columns=("id", "type", "job_id", "outcome", "sequence", "timestamp"),
    empty="no events yet: register a callback for a job, or run `reelbridge watch KIND ID`",
)
DELIVERIES: Final = Listing(
    path="/v1/deliveries",
    columns=("id", "state", "event_id", "destination", "attempt_count", "created_at", "reason"),
    empty="no such deliveries: one is made for each event that a callback or an endpoint asked for",
)
ENDPOINTS: Final = Listing(
    path="/v1/endpoints",
    columns=("id", "url", "events", "enabled", "payload", "created_at"),
    empty="no endpoints: `reelbridge endpoints create URL --event '*'` makes one",
)
CALLBACKS: Final = Listing(
    path="/v1/callbacks",
    columns=("id", "kind", "job_id", "state", "status", "callback_url", "next_poll_at"),
    empty="no such jobs are watched: `reelbridge watch KIND ID` watches one",
)
LONG_S: Final = 120.0  # a test waits for a receiver, and a recovery looks through much
_AGE = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
Tell = Callable[[Mapping[str, Any]], str]


async def show_one(api: ApiClient, path: str, *parts: str, as_json: bool) -> int:
    """Print an object with all of its fields."""
    answer = await api.call("GET", join(path, *parts))
    if as_json or not isinstance(answer, dict):
        show_json(answer)
    else:
        show_object(answer)
    return 0


async def show_timeline(api: ApiClient, callback: str, *, as_json: bool) -> int:
    """Print what has happened to a callback and what comes next."""
    answer = await api.call("GET", join(CALLBACKS.path, callback, "timeline"))
    if as_json:
        show_json(answer)
        return 0
    for entry in (*answer["entries"], *answer["next"]):
        show_line(f"{entry['at']}  {entry['what']:<10}  {entry['text']}")
    return 0


async def ask(
    api: ApiClient, method: str, path: str, body: Any = None, *, as_json: bool, tell: Tell
) -> dict[str, Any]:
    """Make a request that changes something, and print its answer, or what `tell` makes of it."""
    answer = await api.call(method, path, body, timeout_s=LONG_S)
    answer = answer if isinstance(answer, dict) else {}
    if as_json:
        show_json(answer)
    else:
        for line in tell(answer).splitlines():
            show_line(line)
    return answer


async def resend_event(api: ApiClient, event: str, *, as_json: bool) -> int:
    """Send an event again to everybody who got it, and to every `reelbridge listen`."""
    await ask(
        api,
        "POST",
        join(EVENTS.path, event, "resend"),
        as_json=as_json,
        tell=lambda answer: f"{event} goes out again: {_count(len(read_data(answer)))}, and whoever listens",
    )
    return 0


async def retry_delivery(api: ApiClient, delivery: str, *, as_json: bool) -> int:
    """Make one more attempt of a delivery now."""
    await ask(
        api,
        "POST",
        join(DELIVERIES.path, delivery, "retry"),
        as_json=as_json,
        tell=lambda answer: f"{delivery} is tried again at {answer.get('next_attempt_at') or 'once'}",
    )
    return 0


async def create_endpoint(api: ApiClient, fields: Mapping[str, Any], *, as_json: bool) -> int:
    """Create an endpoint; print its id and the secret that signs for it."""
    await ask(
        api,
        "POST",
        ENDPOINTS.path,
        {name: value for name, value in fields.items() if value is not None},
        as_json=as_json,
        tell=lambda made: f"{made.get('id')}  {made.get('url')}\n{made.get('secret')}",
    )
    return 0


async def rotate_secret(api: ApiClient, endpoint: str, *, as_json: bool) -> int:
    """Replace an endpoint's secret and print the new one."""
    await ask(
        api,
        "POST",
        join(ENDPOINTS.path, endpoint, "rotate-secret"),
        as_json=as_json,
        tell=lambda made: (
            f"{made.get('secret')}\nthe former one signs too until {made.get('previous_secret_expires_at')}"
        ),
    )
    return 0


async def recover(
    api: ApiClient, path: str, since: str, until: str | None, *, as_json: bool, state: str | None = None
) -> int:
    """Send deliveries of a period again: times, or ages such as 24h."""
    asked = {"since": read_moment(since), "until": until and read_moment(until), "state": state}
    await ask(
        api,
        "POST",
        join(path, "recover"),
        {name: value for name, value in asked.items() if value is not None},
        as_json=as_json,
        tell=_tell_recovery,
    )
    return 0


def _tell_recovery(answer: Mapping[str, Any]) -> str:
    count = answer.get("count", 0)
    done = f"sent again: {_count(count)}"
    if answer.get("state") not in (None, "succeeded"):
        return f"{done} so far; the bridge goes on (GET /v1/tasks/{answer.get('task_id')})"
    if count:
        return done
    return (
        f"{done}; what still waits for a retry goes by its schedule, or at once by `reelbridge deliveries retry ID` "
        "(`reelbridge deliveries list --state pending`)"
    )


def _count(deliveries: int) -> str:
    return say_count(deliveries, "delivery", "deliveries")


async def test_endpoint(api: ApiClient, endpoint: str, type_: str, *, as_json: bool) -> int:
    """Send a sample event to an endpoint; return 1 if it does not take it."""
    answer = await ask(
        api,
        "POST",
        join(ENDPOINTS.path, endpoint, "test"),
        {"type": type_},
        as_json=as_json,
        tell=lambda told: (
            f"{'✔' if told.get('delivered') else '✘'} {told.get('reason')} ({told.get('duration_ms')} ms)"
        ),
    )
    return 0 if answer.get("delivered") else 1


async def remove(api: ApiClient, path: str, identifier: str, *, as_json: bool) -> int:
    """Delete an object that exists: the API takes any id, and a slip must not pass for a deletion."""
    await api.call("GET", join(path, identifier))
    await ask(
        api,
        "DELETE",
        join(path, identifier),
        as_json=as_json,
        tell=lambda _: f"{identifier} is gone",
    )
    return 0


def read_moment(text: str) -> str:
    """Return a time for the API from itself, or from an age such as 30m, 24h or 7d; raise `CommandError` for neither."""
    if age := _AGE.fullmatch(text):
        return iso_ms(int(time.time() * 1000) - int(age[1]) * SECONDS_PER_UNIT[age[2]] * 1000)
    if not re.match(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        raise CommandError(f"{text} is no time: write 2026-11-21T10:00:00Z, or an age such as 30m, 24h, 7d")
    return text
