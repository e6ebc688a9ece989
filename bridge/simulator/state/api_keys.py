"""Which API keys are accepted: any of the right form, unless a control call says otherwise."""

from dataclasses import dataclass, replace
from hashlib import sha256

_MIN_KEY_CHARACTERS = 8  # characters after the prefix; real keys have 32 ("Authentication")
BILLING_AND_FEEDBACK = ("billing:", "feedback:")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFacts:
    """What control calls have set for a key."""

    account: str | None = None
    revoked: bool = False
    scopes: frozenset[str] | None = None  # None: all, or those documented for a key without a list
    missing_scopes: frozenset[str] = frozenset()


class Keyring:
    """Decides on keys; a key for which nothing was set is accepted when it has the right form."""

    def __init__(self) -> None:
        self._facts: dict[str, KeyFacts] = {}
        self._known: frozenset[str] | None = None

    def facts(self, key: str) -> KeyFacts:
        """Return what is set for a key."""
        return self._facts.get(key, _DEFAULT_FACTS)

    def update(self, key: str, **changes: object) -> KeyFacts:
        """Set facts of a key and return all of them."""
        self._facts[key] = replace(self.facts(key), **changes)  # type: ignore[arg-type]  # control passes checked fields
        return self._facts[key]

    def accept_only(self, known: frozenset[str] | None) -> None:
        """Accept only these keys; None accepts any of the right form."""
        self._known = known

    def accepts(self, key: str) -> bool:
        """Return whether a key of the right form is valid."""
        return not self.facts(key).revoked and (self._known is None or key in self._known)

    def account(self, key: str) -> str:
        """Return the account of a key; unless set, every key is an account of its own."""
        return self.facts(key).account or key

    def has_scope(self, key: str, scope: str, *, documented_default: bool) -> bool:
        """Return whether a key has a scope.

        With `documented_default` a key without a scope list lacks `billing:*` and `feedback:*` ("Create API key").
        """
        facts = self.facts(key)
        if scope in facts.missing_scopes:
            return False
        if facts.scopes is not None:
            return scope in facts.scopes
        return not (documented_default and scope.startswith(BILLING_AND_FEEDBACK))

    def clear(self) -> None:
        """Forget everything that was set."""
        self._facts.clear()
        self._known = None


_DEFAULT_FACTS = KeyFacts()


def is_jwt(token: str) -> bool:
    """Return whether a token is a Supabase JWT, with three parts between dots, and not an API key."""
    return token.count(".") == 2 and not token.startswith("rm_")


def looks_like_reelmirror(token: str) -> bool:
    """Return whether a Bearer token has a form that ReelMirror accepts."""
    return is_jwt(token) or (token.startswith("rm_") and len(token) >= len("rm_") + _MIN_KEY_CHARACTERS)


def looks_like_reelbot(token: str) -> bool:
    """Return whether an `X-API-Key` has ReelBot's form."""
    return token.startswith("rb_live_") and len(token) >= len("rb_live_") + _MIN_KEY_CHARACTERS


def mask_key(token: str) -> str:
    """Return a short hash of a key: it tells two keys apart and cannot be used."""
    if not token:
        return ""
    head = next((prefix for prefix in ("rm_", "rb_live_") if token.startswith(prefix)), "")
    return f"{head}…{sha256(token.encode()).hexdigest()[:8]}"
