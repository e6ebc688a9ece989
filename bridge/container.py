"""Open and close what an API or a worker process works with, and set up a new installation."""

import os
import platform
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version

import structlog

from bridge.config.descriptors import raise_descriptor_limit
from bridge.config.master_keys import parse_master_keys
from bridge.config.settings import Settings
from bridge.config.tracing import open_tracing
from bridge.domain.deliveries.breaker import plan_breaker
from bridge.domain.deliveries.origin_limits import plan_limits
from bridge.domain.urls.policy import UrlPolicy, plan_policy
from bridge.http.receivers import Sender
from bridge.http.upstream import UpstreamClient
from bridge.providers.registry import PROVIDERS
from bridge.services.context import Services
from bridge.services.duration_estimates import DurationEstimates
from bridge.store.errors import StoreFull
from bridge.store.server.connect import close, connect, connect_to_node
from bridge.store.server.fitness import StoreFacts, check_store
from bridge.store.server.replication import Replication, following
from bridge.store.store import Store
from bridge.store.tables.accounts import CredentialTaken
from bridge.store.tables.apikeys import ALL_SCOPES

CLUSTER_SHARDS = 16
# Why a configured account was not made, and what to do.
_NO_ACCOUNT: Mapping[type[Exception], tuple[str, str]] = {
    StoreFull: ("the store is full", "make room in the store, then restart"),
    CredentialTaken: (
        "an account of another project has this credential",
        "use another one, or give that account another with PUT /v1/accounts/{id}/credential, then restart",
    ),
}
log = structlog.get_logger()


class NoMasterKey(RuntimeError):
    """REELBRIDGE_MASTER_KEYS is not set: `reelbridge up` makes one; api and worker need the same."""


def url_policy(settings: Settings) -> UrlPolicy:
    """Return which callback URLs the settings allow."""
    return plan_policy(
        host=settings.host,
        allow_http=settings.allow_http,
        allow_networks=settings.allow_networks,
        own_origins=settings.own_origins,
        behind_proxy=settings.behind_proxy,
    )


@asynccontextmanager
async def open_services(
    settings: Settings, *, clock_ms: Callable[[], int] | None = None, name: str = "reelbridge"
) -> AsyncIterator[Services]:
    """Open the store and the HTTP clients, and close them at the end; `name` is the process's in its traces.

    Raise NoMasterKey without a master key, UnfitStoreError for a store that could lose data, and VaultError for one
    whose contents no master key opens.
    """
    raise_descriptor_limit()
    if settings.master_keys is None:
        raise NoMasterKey(NoMasterKey.__doc__)
    master_keys = parse_master_keys(settings.master_keys.get_secret_value())
    async with (
        open_tracing(name) as tracing,
        _open_store(settings, master_keys) as (store, facts),
        _open_clients(settings) as clients,
    ):
        policy, sender, upstream = clients
        yield Services(
            store=store,
            settings=settings,
            policy=policy,
            sender=sender,
            upstream=upstream,
            clock_ms=clock_ms or wall_clock_ms,
            dice=secrets.token_bytes,
            process=f"{platform.node()}:{os.getpid()}:{secrets.token_hex(4)}",
            durations=DurationEstimates(store.account_stats, scale=settings.poll_scale),
            tracing=tracing,
            store_memory=facts.maxmemory,
        )


@asynccontextmanager
async def _open_store(
    settings: Settings, master_keys: Sequence[bytes]
) -> AsyncIterator[tuple[Store, StoreFacts]]:
    redis = connect(settings)
    replication = Replication(redis, partial(connect_to_node, settings))
    try:
        facts = await check_store(redis)
        async with following(redis, replication):
            store = await Store.open(
                redis,
                keys=master_keys,
                shards=CLUSTER_SHARDS if settings.redis_cluster else 1,
                aof=True,
                replicas=replication.count,
                share=settings.budget_share,
                limits=plan_limits(settings.attempt_timeout),
                breaker=plan_breaker(settings.retry_schedule),
            )
            yield store, facts
            await store.finish()
    finally:
        await close(redis)


@asynccontextmanager
async def _open_clients(settings: Settings) -> AsyncIterator[tuple[UrlPolicy, Sender, UpstreamClient]]:
    user_agent = f"reelbridge/{version('reelbridge')}"
    policy = url_policy(settings)
    sender = Sender(policy=policy, user_agent=user_agent)
    upstream = UpstreamClient(user_agent=user_agent, words=settings.extra_words)
    await sender.start()
    await upstream.start()
    try:
        yield policy, sender, upstream
    finally:
        await upstream.close()
        await sender.close()


def wall_clock_ms() -> int:
    """Return this host's time in Unix milliseconds."""
    return time.time_ns() // 1_000_000


async def bootstrap(services: Services) -> None:
    """Create project `default`, and its API key and accounts from the settings, if they do not exist yet.

    An account that cannot be made does not keep what runs from being started; the log names it.
    """
    settings, store = services.settings, services.store
    project = await store.projects.ensure_default()
    if settings.api_key is not None:
        await store.apikeys.ensure(settings.api_key.get_secret_value(), project.id, ALL_SCOPES)
    elif not await store.apikeys.list(project.id):
        log.warning(
            "start.no_api_key", reason="nobody can log in", fix="set REELBRIDGE_API_KEY, then restart"
        )
    for provider in PROVIDERS:
        if (credential := settings.credential_of(provider)) is not None:
            try:
                await store.accounts.ensure(project.id, provider, credential.get_secret_value())
            except (StoreFull, CredentialTaken) as error:
                reason, fix = _NO_ACCOUNT[type(error)]
                log.warning("start.account_not_created", provider=provider, reason=reason, fix=fix)
    await store.key_usage.request_count()
