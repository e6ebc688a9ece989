"""`reelbridge doctor`: check settings, store, upstreams and the running bridge, and say how to fix what is wrong."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from difflib import get_close_matches

from bridge.cli.commands.findings import Finding, Level
from bridge.cli.commands.network_checks import check_callback, check_upstream
from bridge.cli.commands.service_checks import check_bridge
from bridge.cli.commands.store_checks import check_store_settings
from bridge.cli.local.key_files import MASTER_KEYS_FILE
from bridge.cli.local.parent_death import SUPERVISOR_VARIABLE
from bridge.cli.remote.output import show_json, show_line
from bridge.cli.remote.session import SECRET_VARIABLE
from bridge.config.settings import PREFIX, Settings, variable_name
from bridge.domain.urls.policy import judge_address, plan_policy
from bridge.http.upstream import Login, UpstreamClient
from bridge.providers.provider_spec import ProviderSpec, Standing
from bridge.providers.registry import PROVIDERS
from bridge.providers.spec import ExtraWords

MARKS: dict[Level, str] = {"ok": "✔", "info": "·", "warning": "!", "wrong": "✘"}


def run_doctor(settings: Settings, *, callback: str | None, as_json: bool) -> int:
    """Print one line per finding; return 1 when something is wrong, else 0.

    `callback` is a URL to check too.
    """
    findings = asyncio.run(_collect(settings, callback))
    healthy = not any(finding.level == "wrong" for finding in findings)
    if as_json:
        show_json({"healthy": healthy, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            show_line(f"{MARKS[finding.level]} {finding.text}")
    return 0 if healthy else 1


async def _collect(settings: Settings, callback: str | None) -> list[Finding]:
    found = [
        finding
        for check in (_check_settings, check_store_settings, _check_upstreams, check_bridge)
        async for finding in check(settings)
    ]
    return found if callback is None else [*found, await check_callback(settings, callback)]


async def _check_settings(settings: Settings) -> AsyncIterator[Finding]:
    known = {variable_name(name) for name in Settings.model_fields} | {SUPERVISOR_VARIABLE, SECRET_VARIABLE}
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    for name in unknown:
        near = get_close_matches(name, known, n=1)
        yield Finding(
            level="warning", text=f"{name} is no setting" + (f": is {near[0]} meant?" if near else "")
        )
    yield Finding(level="ok", text="the settings can be read")
    if not settings.is_loopback and settings.public_url is None:
        yield Finding(
            level="warning",
            text="REELBRIDGE_PUBLIC_URL is unset although the bridge listens beyond this machine: links in answers"
            f" would begin with {settings.base_url}; set it to the address that clients use",
        )
    if (warning := _warn_of_loopback(settings)) is not None:
        yield Finding(level="warning", text=warning)
    if settings.redis_url is not None and settings.master_keys is None:
        has_kept = (settings.data_dir / MASTER_KEYS_FILE).exists()
        yield Finding(
            level="warning",
            text="REELBRIDGE_MASTER_KEYS is unset: `reelbridge up` "
            + (f"uses {settings.data_dir / MASTER_KEYS_FILE}" if has_kept else "will make one")
            + "; `api` and `worker` on their own need it set",
        )


def _warn_of_loopback(settings: Settings) -> str | None:
    """Return a warning where callback URLs may lead to this machine and others may reach the bridge."""
    policy = plan_policy(
        host=settings.host,
        allow_http=settings.allow_http,
        allow_networks=settings.allow_networks,
        own_origins=frozenset(),
        behind_proxy=settings.behind_proxy,
    )
    if all(judge_address(address, policy) for address in ("127.0.0.1", "::1")):
        return None
    if settings.allow_networks is None:
        return (
            "callback URLs may lead to programs on this machine, because the bridge listens on loopback only: right on"
            " a laptop; if a reverse proxy makes it reachable, set REELBRIDGE_PUBLIC_URL to the proxy's address"
        )
    if settings.is_loopback and not settings.behind_proxy:
        return None
    return (
        "REELBRIDGE_ALLOW_NETWORKS lets callback URLs lead to programs on this machine, for everybody who has a key:"
        " take loopback out of it unless that is meant"
    )


async def _check_upstreams(settings: Settings) -> AsyncIterator[Finding]:
    logins = [
        Login(provider=provider, base_url=settings.upstream_url(provider), credential=key.get_secret_value())
        for provider in PROVIDERS
        if (key := settings.credential_of(provider)) is not None
    ]
    if not logins:
        yield Finding(
            level="warning", text="no upstream key is set: `reelbridge up` plays the upstreams itself (DEMO)"
        )
        return
    async with UpstreamClient(user_agent="reelbridge-doctor", words=ExtraWords()) as upstream:
        for login in logins:
            finding, is_reached = await check_upstream(settings, PROVIDERS[login.provider])
            yield finding
            if is_reached:
                standing = await upstream.check(login, now_ms=int(time.time() * 1000))
                yield _describe_standing(PROVIDERS[login.provider], standing)


def _describe_standing(provider: ProviderSpec, standing: Standing) -> Finding:
    name, variable = provider.name, provider.key_variable
    if standing is Standing.ACCEPTED:
        return Finding(level="ok", text=f"{name} accepts {variable}")
    if standing is Standing.REFUSED:
        return Finding(level="wrong", text=f"{name} refuses {variable}: put a valid key there")
    return Finding(
        level="wrong",
        text=f"{name} gave no clear answer: check {provider.url_variable} and that this machine reaches it, or try later",
    )
