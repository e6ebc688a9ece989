"""Which headers go through the proxy, and which end there (RFC 9110, section 7.6). No I/O."""

from collections.abc import Sequence

from bridge.http.client.response_head import Field

# Of this connection only.
HOP_BY_HOP = frozenset(
    (
        *(b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization"),
        *(b"te", b"trailer", b"transfer-encoding", b"upgrade"),
    )
)
# What `Connection` may name without effect: the framing and the target of the message itself.
KEPT = frozenset((b"host", b"content-length", b"content-type", b"content-encoding"))
CREDENTIALS = frozenset((b"authorization", b"x-api-key"))
# What concerns the bridge, and addresses of whoever calls, which a proxy in front of the bridge adds.
NOT_FORWARDED = HOP_BY_HOP | CREDENTIALS | {b"host", b"expect", b"forwarded", b"x-real-ip"}
FORWARDED = b"x-forwarded-"
WISHES = b"x-webhook-"  # what a call says about its callback
OURS = b"x-reelbridge-"  # what tells an answer of the bridge from the provider's
# They speak of the upstream's own host.
OF_THE_HOST = frozenset((b"alt-svc", b"strict-transport-security"))


def list_request_fields(
    fields: Sequence[Field], *, auth: Field | None, key: bytes, is_intercepted: bool = True
) -> list[Field]:
    """Return the fields that go upstream, in their order, with the provider's credential in the caller's place.

    A field that holds the caller's `key` anywhere is left out, and with `is_intercepted` what is said about callbacks. A
    call without a key has neither key nor `auth`.
    """
    ours = (FORWARDED, WISHES) if is_intercepted else (FORWARDED,)
    dropped = NOT_FORWARDED | (_list_named(fields) - KEPT)
    sent: list[Field] = []
    place = None
    for name, value in fields:
        lower = name.lower()
        if lower in CREDENTIALS and place is None:
            place = len(sent)
        if lower not in dropped and not lower.startswith(ours) and not (key and key in value):
            sent.append((name, value))
    if auth is not None:
        sent.insert(len(sent) if place is None else place, auth)
    return sent


def list_response_fields(
    fields: Sequence[Field], *, base_url: bytes, prefix: bytes, is_intercepted: bool = True
) -> list[Field]:
    """Return the fields that go to the client; a `Location` below the provider's base URL leads through the bridge.

    With `is_intercepted` what the provider itself says about callbacks is left out: the bridge says it.
    """
    ours = (OURS, WISHES) if is_intercepted else (OURS,)
    dropped = (HOP_BY_HOP | OF_THE_HOST | _list_named(fields)) - KEPT
    return [
        (name, _lead_back(value, base_url, prefix) if name.lower() == b"location" else value)
        for name, value in fields
        if name.lower() not in dropped and not name.lower().startswith(ours)
    ]


def _list_named(fields: Sequence[Field]) -> frozenset[bytes]:
    """Return the names that the `Connection` headers declare to be of this connection only."""
    values = [value for name, value in fields if name.lower() == b"connection"]
    return frozenset(each.strip().lower() for value in values for each in value.split(b","))


def _lead_back(location: bytes, base_url: bytes, prefix: bytes) -> bytes:
    """Return a `Location` with the proxy's prefix in the place of the base URL, or of its path alone.

    Any other path, or host without a scheme, would be taken for the bridge's: it gets what the provider's URL begins with.
    """
    base_url = base_url.rstrip(b"/")
    scheme, _, rest = base_url.partition(b"://")
    host, _, own_path = rest.partition(b"/")
    starts = [base_url]
    if not location.startswith(b"//"):
        starts.append(b"/" + own_path if own_path else b"")
    for start in starts:
        rest = location[len(start) :]
        ends = (b"/", b"?", b"") if start else (b"/",)
        if location.startswith(start) and rest[:1] in ends:
            return prefix + rest
    if location.startswith(b"//"):
        return b"%b:%b" % (scheme, location)
    return b"%b://%b%b" % (scheme, host, location) if location.startswith(b"/") else location
