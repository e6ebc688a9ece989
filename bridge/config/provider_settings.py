"""The settings that each provider has: a credential and an address, and further words for an undocumented vocabulary."""

from collections.abc import Iterator
from typing import Any

from bridge.config.setting import KEY_FIX, UPSTREAM_FIX, WORDS_FIX, setting
from bridge.config.value_types import Credential, UpstreamUrl, Words
from bridge.providers.provider_spec import ProviderSpec
from bridge.providers.registry import KINDS, PROVIDERS

# The names in front of `_done_words` and `_failed_words`.
WORD_PREFIXES = tuple(kind.extra_words for kind in KINDS.values() if kind.extra_words)


def provider_fields() -> dict[str, Any]:
    """Return type and field of each setting by its attribute's name."""
    return dict(_list_fields())


def credential_field(provider: ProviderSpec) -> str:
    """Return the attribute that holds a provider's credential."""
    return provider.key_variable.lower()


def url_field(provider: ProviderSpec) -> str:
    """Return the attribute that holds a provider's address."""
    return provider.url_variable.lower()


def _list_fields() -> Iterator[tuple[str, Any]]:
    for provider in PROVIDERS.values():
        meaning = f"{provider.title} credential of project default"
        key = setting(None, meaning, fix=KEY_FIX, env=provider.key_variable)
        yield credential_field(provider), (Credential | None, key)
        address = f"{provider.title}'s address"
        url = setting(provider.base_url, address, fix=UPSTREAM_FIX, env=provider.url_variable)
        yield url_field(provider), (UpstreamUrl, url)
    for kind in KINDS.values():
        if kind.extra_words:
            for word in ("done", "failed"):
                meaning = f"more status words that mean: {kind.noun} {word}"
                yield f"{kind.extra_words}_{word}_words", (Words, setting((), meaning, fix=WORDS_FIX))
