"""Every provider, listed once. A new one is a module of data, a line in `ALL`, and recorded answers in its tests."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from bridge.domain.events.catalogue import Catalogue
from bridge.domain.events.service_events import Showcase, build_service_events
from bridge.domain.groups.child_rule import ChildRule
from bridge.providers.provider_spec import ProviderSpec
from bridge.providers.reelbot import REELBOT
from bridge.providers.reelmirror.provider import REELMIRROR
from bridge.providers.request_fields import RequestFields
from bridge.providers.spec import KindSpec
from bridge.providers.start_spec import StartSpec

ALL: tuple[ProviderSpec, ...] = (
    REELMIRROR,
    REELBOT,
)


def index_providers(providers: Iterable[ProviderSpec]) -> Mapping[str, ProviderSpec]:
    """Return the providers by their names."""
    return MappingProxyType({provider.name: provider for provider in providers})


def index_all_kinds(providers: Iterable[ProviderSpec]) -> Mapping[str, KindSpec]:
    """Return the kinds of all providers by their names; raise ValueError where two cannot stand together."""
    kinds: dict[str, KindSpec] = {}
    for kind in (kind for provider in providers for kind in provider.kinds.values()):
        if kind.name in kinds:
            raise ValueError(f"two kinds are named {kind.name}")
        kinds[kind.name] = kind
    if sum(bool(kind.extra_words) for kind in kinds.values()) > 1:
        raise ValueError("an operator's words reach every read, so only one kind may take them")
    return MappingProxyType(kinds)


def build_catalogue(providers: Iterable[ProviderSpec]) -> Catalogue:
    """Return every type of event: those of the providers' jobs, and the bridge's own.

    The samples of the bridge's own events show the first showcase that a provider offers.
    """
    providers = tuple(providers)
    shown = next(provider.showcase for provider in providers if provider.showcase is not None)
    showcase = Showcase(job=shown.kind.events, word=shown.word, related=shown.related)
    return Catalogue(
        kinds=(kind.events for provider in providers for kind in provider.kinds.values()),
        objects=(
            *build_service_events(showcase),
            *(provider.sources.event for provider in providers if provider.sources is not None),
        ),
    )


def index_children(providers: Iterable[ProviderSpec]) -> Mapping[str, ChildRule]:
    """Return by kind what may come of a job."""
    return MappingProxyType({each.of: each for provider in providers for each in provider.children})


def list_chain_kinds(kind: str) -> tuple[str, ...]:
    """Return a kind with those that may come of it, of what comes of them, and so on, with their reported parts."""
    found: list[str] = []
    while kind:
        part = KINDS[kind].traits.reported_parts
        found += [kind, part.kind] if part else [kind]
        kind = CHILD_RULES[kind].kind if kind in CHILD_RULES else ""
    return tuple(found)


def list_key_prefixes() -> tuple[str, ...]:
    """Return the beginnings by which the providers' keys are recognised, in the order of the providers."""
    forms = (form for provider in ALL for form in provider.credentials)
    return tuple(dict.fromkeys(prefix for form in forms for prefix in form.prefixes))


def find_rule(provider: str, name: str) -> StartSpec:
    """Return the start of a provider with this name; raise KeyError for a name that it does not have."""
    for each in PROVIDERS[provider].starts:
        if each.name == name:
            return each
    raise KeyError(name)


PROVIDERS = index_providers(ALL)
KINDS = index_all_kinds(ALL)
CHILD_RULES = index_children(ALL)
CATALOGUE = build_catalogue(ALL)
REQUEST_FIELDS = RequestFields(KINDS.values())
