"""The upstream APIs, described as data and read without I/O."""

from bridge.providers.provider_spec import ProviderSpec, Standing
from bridge.providers.registry import KINDS, PROVIDERS
from bridge.providers.spec import Clock, ExtraWords, KindSpec, Lens

__all__ = ["KINDS", "PROVIDERS", "Clock", "ExtraWords", "KindSpec", "Lens", "ProviderSpec", "Standing"]
