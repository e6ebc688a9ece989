"""Who may call: keys by their form, unless a control call says more about them."""

from dataclasses import dataclass, replace
from hashlib import sha256

_ANY_REELMIRROR = 8  # characters after the prefix; real keys have 32 ("Authentication")
BILLING_AND_FEEDBACK = ("billing:", "feedback:")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFacts:
    """What a control call said of a key."""

    account: str | None = None
    revoked: bool = False
    scopes: frozenset[str] | None = None  # None: all, or as documented for a key without a scope list
    missing_scopes: frozenset[str] = frozenset()


class Keyring:
    """Judges keys; a key nobody spoke of is good when it has the right form."""

    def __init__(self) -> None:
        self._facts: dict[str, KeyFacts] = {}
        self._known: frozenset[str] | None = None

    def facts(self, key: str) -> KeyFacts:
        """Tell what is known of a key."""
        return self._facts.get(key, _NOTHING_SAID)

    def update(self, key: str, **changes: object) -> KeyFacts:
        """Set facts of a key."""
        self._facts[key] = replace(self.facts(key), **changes)  # type: ignore[arg-type]  # control passes checked fields
        return self._facts[key]

    def accept_only(self, known: frozenset[str] | None) -> None:
        """Accept these keys and no other; None: any of the right form."""
        self._known = known

    def accepts(self, key: str) -> bool:
        """Tell whether a key of the right form is valid."""
        return not self.facts(key).revoked and (self._known is None or key in self._known)

    def account(self, key: str) -> str:
        """Tell whose key it is; by itself a key is an account of its own."""
        return self.facts(key).account or key

    def has_scope(self, key: str, scope: str, *, documented_default: bool) -> bool:
        """Tell whether a key carries a scope.

        With `documented_default` a key without a scope list lacks `billing:*` and `feedback:*` ("Create API key").
        """
        facts = self.facts(key)
        if scope in facts.missing_scopes:
            return False
        if facts.scopes is not None:
            return scope in facts.scopes
        return not (documented_default and scope.startswith(BILLING_AND_FEEDBACK))

    def clear(self) -> None:
        """Forget everything said."""
        self._facts.clear()
        self._known = None


_NOTHING_SAID = KeyFacts()


def is_jwt(token: str) -> bool:
    """Tell a Supabase token from an API key: three parts with dots between."""
    return token.count(".") == 2 and not token.startswith("rm_")


def looks_like_reelmirror(token: str) -> bool:
    """Tell whether a Bearer token has a form that ReelMirror accepts."""
    return is_jwt(token) or (token.startswith("rm_") and len(token) >= len("rm_") + _ANY_REELMIRROR)


def looks_like_reelbot(token: str) -> bool:
    """Tell whether an `X-API-Key` has ReelBot's form."""
    return token.startswith("rb_live_") and len(token) >= len("rb_live_") + _ANY_REELMIRROR


def mask_key(token: str) -> str:
    """Write a key so that two can be told apart and none can be used."""
    if not token:
        return ""
    head = next((prefix for prefix in ("rm_", "rb_live_") if token.startswith(prefix)), "")
    return f"{head}…{sha256(token.encode()).hexdigest()[:8]}"
