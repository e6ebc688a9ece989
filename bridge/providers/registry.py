"""Name every provider once. A new one is a file of data, a line here, and recorded answers beside its tests."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from bridge.domain.events.catalogue import Catalogue
from bridge.domain.events.service_events import Showcase, build_service_events
from bridge.providers.provider_spec import ProviderSpec
from bridge.providers.reelbot import REELBOT
from bridge.providers.reelmirror.provider import REELMIRROR
from bridge.providers.spec import KindSpec

ALL: tuple[ProviderSpec, ...] = (
    REELMIRROR,
    REELBOT,
)


def index_providers(providers: Iterable[ProviderSpec]) -> Mapping[str, ProviderSpec]:
    """Return the providers by their names."""
    return MappingProxyType({provider.name: provider for provider in providers})


def index_all_kinds(providers: Iterable[ProviderSpec]) -> Mapping[str, KindSpec]:
    """Return the kinds of all providers by their names; ValueError for a name, or bare ids, that two kinds claim."""
    kinds: dict[str, KindSpec] = {}
    for kind in (kind for provider in providers for kind in provider.kinds.values()):
        if kind.name in kinds:
            raise ValueError(f"two kinds are named {kind.name}")
        kinds[kind.name] = kind
    bare = [kind.name for kind in kinds.values() if kind.names.takes_bare_ids]
    claimed = [name for kind in kinds.values() if not kind.names.needs_kind for name in kind.names.fields]
    if len(bare) > 1 or len(set(claimed)) < len(claimed):
        raise ValueError("two kinds claim the same field of a request")
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
        objects=build_service_events(showcase),
    )


PROVIDERS = index_providers(ALL)
KINDS = index_all_kinds(ALL)
CATALOGUE = build_catalogue(ALL)
