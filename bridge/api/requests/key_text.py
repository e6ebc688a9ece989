"""Find an API key in the forms in which tools send it, and explain what stands in its place. No I/O."""

import base64
import binascii
import re

from bridge.providers.registry import list_key_prefixes

PREFIX = "brk_"
HINT = "send a key as `Authorization: Bearer brk_…` or `X-API-Key: brk_…`"
_BEARER = re.compile(r"(?:bearer(?:\s+|\Z))+", re.IGNORECASE | re.ASCII)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,20}", re.ASCII)


def read_key_text(value: str) -> str:
    """Return the key in a field meant for nothing else, without the word Bearer that people paste along."""
    value = value.strip()
    return value[found.end() :] if (found := _BEARER.match(value)) else value


def read_authorization(value: str) -> str:
    """Return the key in an Authorization header with the scheme Bearer or with none; empty for anything else.

    Some tools have one field for the whole header, in which people paste the bare key.
    """
    value = value.strip()
    bearer = _BEARER.match(value) is not None
    return read_key_text(value) if bearer or value.startswith(PREFIX) else ""


def read_basic(value: str) -> str:
    """Return the key in an Authorization header with the scheme Basic, empty for anything else.

    It is the user name or the password, whichever looks like one, since tools differ in which of them they demand.
    """
    scheme, _, coded = value.strip().partition(" ")
    if scheme.casefold() != "basic":
        return ""
    try:
        user, _, password = base64.b64decode(coded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return ""
    user, password = read_key_text(user), read_key_text(password)
    return password if password.startswith(PREFIX) and not user.startswith(PREFIX) else user or password


def explain_missing(authorization: str) -> str:
    """Return the message for a request without a key; `authorization` is its header of that name, perhaps empty."""
    scheme = authorization.strip().partition(" ")[0]
    if scheme.casefold() == "bearer":
        return f"no API key: nothing follows the word Bearer in the header Authorization; {HINT}"
    if scheme.casefold() == "basic":
        return f"no API key: the header Authorization holds no readable user name and password; {HINT}"
    if _SCHEME.fullmatch(scheme):
        return f"no API key: the header Authorization is none of Bearer and Basic; {HINT}"
    return f"no API key: {HINT}"


def explain_wrong(text: str, *, passthrough: bool = False) -> str:
    """Return the message for a key that is not known, without the key; with `passthrough` providers' keys log in too."""
    if text.startswith(PREFIX) and re.search(r"\s", text):
        return f"this API key holds a blank or a line break: copy it again; {HINT}"
    if "…" in text or "..." in text or "{{" in text:
        return f"this API key is a placeholder: put the key itself there; {HINT}"
    if text.startswith("whsec_"):
        return f"this is a signing secret, not an API key: {HINT}"
    if passthrough and not text.startswith(PREFIX):
        return f"this key is none of this bridge, and no provider accepts it: {HINT}"
    if text.startswith(list_key_prefixes()):
        return (
            f"this is a provider's key, not one of this bridge: {HINT}"
            " (with REELBRIDGE_PASSTHROUGH=true callers log in with their own provider's keys)"
        )
    if not text.startswith(PREFIX):
        return f"this is no API key of the bridge; those begin with {PREFIX}: {HINT}"
    return f"this API key is not known or was revoked: {HINT}"
