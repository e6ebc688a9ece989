"""Name every provider once. A new one is a file of data, a line here, and recorded answers beside its tests."""

from collections.abc import Mapping
from types import MappingProxyType

from bridge.providers.reelbot import REELBOT
from bridge.providers.reelmirror import REELMIRROR
from bridge.providers.spec import KindSpec, ProviderSpec

_ALL: tuple[ProviderSpec, ...] = (REELMIRROR, REELBOT)

PROVIDERS: Mapping[str, ProviderSpec] = MappingProxyType({provider.name: provider for provider in _ALL})
KINDS: Mapping[str, KindSpec] = MappingProxyType(
    {name: kind for provider in _ALL for name, kind in provider.kinds.items()}
)
