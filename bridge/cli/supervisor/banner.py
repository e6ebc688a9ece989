"""The banner that `up` prints once everything runs: address, keys, and two commands to paste."""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from bridge.cli.local.key_files import Keys
from bridge.providers.registry import PROVIDERS
from bridge.simulator.demo import demo_environment

SIMULATED = tuple(each for each in PROVIDERS.values() if each.key_variable in demo_environment(""))


@dataclass(frozen=True, slots=True, kw_only=True)
class BannerFacts:
    """What the banner shows."""

    url: str
    keys: Keys
    signing_secret: str | None
    demo: bool


def write_banner(facts: BannerFacts, *, dice: Callable[[int], str] = secrets.token_hex) -> str:
    """Return the banner's lines as one text; the curl of a demo leads to a signed callback in the inbox."""
    job_id = f"demo-{dice(3)}" if facts.demo else "ID-OF-A-SYNC-JOB"
    body = json.dumps({"job_id": job_id, "callback_url": "inbox:"}, separators=(",", ":"))
    lines = [
        "",
        f"reelbridge is up at {facts.url}" + ("  —  DEMO" if facts.demo else ""),
        *_about_demo(facts),
        "",
        f"  Dashboard           {facts.url}/",
        f"  API documentation   {facts.url}/docs",
        f"  API key             {_about_key(facts.keys)}",
        f"  Signing secret      {facts.signing_secret or 'could not be read, see above'}",
        "",
        "Register a callback for a job:",
        "",
        f"  {_curl_to_register(facts, body)}",
        "",
        "See what has arrived in the inbox:",
        "",
        f"  curl {facts.url}/v1/inbox -H {_login(facts.keys)}",
        "",
    ]
    return "\n".join(lines)


def _curl_to_register(facts: BannerFacts, body: str) -> str:
    url, login = f"{facts.url}/v1/callbacks", _login(facts.keys)
    return f"curl -X POST {url} -H {login} -H 'Content-Type: application/json' -d '{body}'"


def _about_demo(facts: BannerFacts) -> list[str]:
    if not facts.demo:
        return []
    return [
        f"No upstream key is set, so a built-in simulator plays {' and '.join(each.title for each in SIMULATED)}.",
        "It knows every id that begins with `demo`; any other id is not found, as a mistyped one would be.",
        f"For the real ones set {' or '.join(each.key_variable for each in SIMULATED)} and start again.",
    ]


def _about_key(keys: Keys) -> str:
    if keys.api_key_file is None:
        return "as set in REELBRIDGE_API_KEY"
    if keys.api_key_is_new:
        return f"{keys.api_key}  (made now, kept in {keys.api_key_file})"
    return f"in {keys.api_key_file}"


def _login(keys: Keys) -> str:
    """Return the Authorization header as a shell word; the key itself stands in it only on the start that made it."""
    if keys.api_key_is_new:
        return f"'Authorization: Bearer {keys.api_key}'"
    if keys.api_key_file is not None:
        return f"\"Authorization: Bearer $(cat '{keys.api_key_file}')\""
    return '"Authorization: Bearer $REELBRIDGE_API_KEY"'
