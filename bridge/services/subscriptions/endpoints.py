"""Standing endpoints: create, read, change, delete, rotate the secret, and switch off the one that is gone.

A change is answered once it is on disk and every shard knows the new epoch of the table: each event that is written
afterwards is delivered by it.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from bridge.domain.deliveries.signing import make_secret
from bridge.domain.ids import endpoint_id
from bridge.domain.subscriptions.endpoint import MOST_ENDPOINTS, Endpoint
from bridge.domain.urls.policy import CheckedUrl
from bridge.errors import Conflict, NotFound, Unavailable
from bridge.services.context import Services
from bridge.services.subscriptions.delivery_lane import lane_of_url
from bridge.services.subscriptions.sealing import seal_headers, seal_text, valid_previous
from bridge.store.endpoints.endpoints import TooManyEndpoints
from bridge.store.errors import StoreFull, StoreNotDurable
from bridge.store.records import Loaded
from bridge.store.tables.projects import ROTATION_MS

log = structlog.get_logger()

TRIES: Final = 20
STORE_FULL_RETRY_S: Final = 30.0
SWITCHED_OFF: Final = "switched off"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointFields:
    """What a client sets: UNSET leaves a field as it is, or gives a new endpoint its default; None removes it."""

    url: CheckedUrl | UnsetType = UNSET
    events: tuple[str, ...] | UnsetType = UNSET
    personas: tuple[str, ...] | UnsetType = UNSET
    description: str | UnsetType = UNSET
    metadata: Any = UNSET
    headers: Mapping[str, str] | UnsetType | None = UNSET
    payload: str | UnsetType = UNSET
    rate: float | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET


async def create(
    services: Services,
    project: str,
    fields: EndpointFields,
    *,
    url: CheckedUrl,
    secret: str | None,
    request: str,
) -> Endpoint:
    """Create an endpoint for a URL; a request with the same digest (empty: it has none) leads to the same one.

    Raise Conflict if the project has too many, Unavailable if the store is full or slow.
    """
    await check_versions(services)
    identifier = _choose_id(services, request, url)
    fresh = Endpoint(
        id=identifier,
        project=project,
        created_ms=services.clock_ms(),
        url=b"",
        origin="",
        fingerprint=b"",
        lane="",
        secret=seal_text(services.store.vault, identifier, secret or make_secret(services.dice)),
    )
    fresh = apply_fields(services, fresh, fields)
    known = await services.store.endpoints.load(project, identifier)
    if known is not None:  # made by this same request, whose answer was lost
        await services.store.endpoints.spread(project)
        return known.record
    if not await _write(services, fresh, None):
        return (await find(services, project, identifier)).record
    return fresh


def _choose_id(services: Services, request: str, url: CheckedUrl) -> str:
    if not request:
        return endpoint_id(services.dice)
    text = f"{request} {url.text}".encode()
    return endpoint_id(lambda size: hashlib.blake2b(text, digest_size=size).digest())


async def check_versions(services: Services) -> None:
    """Raise Unavailable while a process runs that does not know endpoints and groups: it would leave them out."""
    now_ms = services.clock_ms()
    store = services.store
    for beats in (store.heartbeats, store.api_heartbeats):
        if await beats.count_without_groups(now_ms):
            raise Unavailable(
                "a process of an earlier version still runs, which does not know of this: repeat it once all are updated",
                retry_after_s=STORE_FULL_RETRY_S,
            )


async def find(services: Services, project: str, identifier: str) -> Loaded[Endpoint]:
    """Load an endpoint; NotFound when this project has none such."""
    loaded = await services.store.endpoints.load(project, identifier)
    if loaded is None:
        raise NotFound(f"there is no endpoint {identifier[:80]} in this project")
    return loaded


async def list_newest(services: Services, project: str) -> list[Endpoint]:
    """Return a project's endpoints, newest first."""
    return [*(await services.store.endpoints.read(project)).by_id.values()][::-1]


async def patch(services: Services, project: str, identifier: str, fields: EndpointFields) -> Endpoint:
    """Change an endpoint, and return it as it is then; one that is enabled, or has another URL or headers, begins without failures."""
    changed = await _change(
        services, project, identifier, lambda found: apply_fields(services, found, fields)
    )
    if fields.enabled is True or fields.url is not UNSET:
        await services.store.endpoint_troubles.forget(project, identifier)
    if fields.enabled is True or fields.url is not UNSET or fields.headers is not UNSET:
        await services.store.dlv.close_breaker(changed.lane)
    return changed


async def delete(services: Services, project: str, identifier: str) -> bool:
    """Delete an endpoint; False if there is none. What waits for it is cancelled when its turn comes."""
    endpoints = services.store.endpoints
    for _ in range(TRIES):
        loaded = await endpoints.load(project, identifier)
        if loaded is None:
            return False
        try:
            if await endpoints.remove(project, identifier, loaded.raw):
                return True
        except StoreNotDurable:
            raise _slow() from None
    raise _busy()


async def rotate(services: Services, project: str, identifier: str, secret: str | None) -> Endpoint:
    """Give an endpoint another secret (None: a new one); only the one before signs too, for 24 hours."""
    chosen = secret or make_secret(services.dice)

    def change(found: Endpoint) -> Endpoint:
        vault = services.store.vault
        if vault.open(found.secret, record=identifier).decode() == chosen:
            return found
        return replace(
            found,
            secret=seal_text(vault, identifier, chosen),
            previous_secret=found.secret,
            previous_expires_ms=services.clock_ms() + ROTATION_MS,
        )

    return await _change(services, project, identifier, change)


async def has_url(services: Services, project: str, identifier: str, *, lane: str) -> bool:
    """Return whether an endpoint has the URL of a lane; True for one that is gone, whose deliveries need no other."""
    loaded = await services.store.endpoints.load(project, identifier)
    return loaded is None or loaded.record.lane == lane


async def disable(
    services: Services, project: str, identifier: str, *, lane: str, reason: str
) -> Endpoint | None:
    """Disable an endpoint that has the URL of a lane; return it if this call did so.

    Where the change cannot be written, what follows the next event does it.
    """
    was_enabled = False

    def change(found: Endpoint) -> Endpoint:
        nonlocal was_enabled
        was_enabled = found.lane == lane and found.enabled
        return _disable(found, services.clock_ms(), reason) if was_enabled else found

    try:
        changed = await _change(services, project, identifier, change)
    except (NotFound, Conflict, Unavailable) as error:
        log.warning("endpoint.not_disabled", endpoint=identifier, error=type(error).__name__)
        return None
    return changed if was_enabled else None


def apply_fields(services: Services, endpoint: Endpoint, fields: EndpointFields) -> Endpoint:
    """Return an endpoint with a client's fields, its secrets sealed."""
    vault, identifier = services.store.vault, endpoint.id
    if isinstance(fields.url, CheckedUrl):
        url = fields.url
        endpoint = replace(
            endpoint,
            url=seal_text(vault, identifier, url.text),
            origin=url.origin,
            fingerprint=vault.fingerprint(url.text),
            lane=lane_of_url(vault, endpoint.project, url.origin, url.text),
        )
    if not isinstance(fields.headers, UnsetType):
        endpoint = replace(endpoint, headers=seal_headers(vault, identifier, fields.headers))
    plain = {
        name: value
        for name in ("events", "personas", "description", "metadata", "payload", "rate")
        if (value := getattr(fields, name)) is not UNSET
    }
    endpoint = replace(endpoint, **plain)
    if isinstance(fields.enabled, UnsetType) or fields.enabled == endpoint.enabled:
        return endpoint
    if fields.enabled:
        return replace(endpoint, enabled=True, disabled_ms=0, disabled_reason="")
    return _disable(endpoint, services.clock_ms(), SWITCHED_OFF)


def drops_secret(endpoint: Endpoint, *, now_ms: int) -> bool:
    """Return whether a rotation now would end a secret that still signs: at most two do."""
    return valid_previous(endpoint, now_ms=now_ms) is not None


def _disable(endpoint: Endpoint, now_ms: int, reason: str) -> Endpoint:
    return replace(endpoint, enabled=False, disabled_ms=now_ms, disabled_reason=reason)


async def _change(
    services: Services, project: str, identifier: str, change: Callable[[Endpoint], Endpoint]
) -> Endpoint:
    for _ in range(TRIES):
        loaded = await find(services, project, identifier)
        changed = change(loaded.record)
        if changed == loaded.record or await _write(services, changed, loaded.raw):
            return changed
    raise _busy()


async def _write(services: Services, endpoint: Endpoint, former: bytes | None) -> bool:
    try:
        if endpoint.personas:
            await services.store.following.add_project(endpoint.project)
        return await services.store.endpoints.write(endpoint, former)
    except TooManyEndpoints:
        raise Conflict(
            f"this project has {MOST_ENDPOINTS} endpoints, the most that it may have: delete one first"
        ) from None
    except StoreFull:
        raise Unavailable(
            "the store is full: nothing was changed, try again later", retry_after_s=STORE_FULL_RETRY_S
        ) from None
    except StoreNotDurable:
        raise _slow() from None


def _slow() -> Unavailable:
    return Unavailable("the disk is too slow to confirm the change: repeat it, it is not doubled")


def _busy() -> Conflict:
    return Conflict("this endpoint is being changed by others: repeat the request")
