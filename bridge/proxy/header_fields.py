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
# Keys and addresses of whoever calls; a proxy in front of the bridge adds the latter.
CALLERS = frozenset(
    (
        *(b"authorization", b"x-api-key", b"host", b"expect"),
        *(b"forwarded", b"x-real-ip", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-port"),
        *(b"x-forwarded-proto", b"x-forwarded-server", b"x-forwarded-ssl", b"x-forwarded-prefix"),
    )
)
OURS = b"x-webhook-"
# They speak of the upstream's own host.
OF_THE_HOST = frozenset((b"alt-svc", b"strict-transport-security"))


def list_request_fields(fields: Sequence[Field], *, auth: Field) -> list[Field]:
    """Return the fields that go upstream, in their order, with the provider's credential in the caller's place."""
    dropped = (HOP_BY_HOP | CALLERS | _named(fields)) - (KEPT - CALLERS)
    sent: list[Field] = []
    place = None
    for name, value in fields:
        lower = name.lower()
        if lower in (b"authorization", b"x-api-key") and place is None:
            place = len(sent)
        if lower not in dropped and not lower.startswith(OURS):
            sent.append((name, value))
    sent.insert(len(sent) if place is None else place, auth)
    return sent


def list_response_fields(fields: Sequence[Field], *, base_url: bytes, prefix: bytes) -> list[Field]:
    """Return the fields that go to the client; a `Location` below the provider's base URL leads through the bridge."""
    dropped = (HOP_BY_HOP | OF_THE_HOST | _named(fields)) - KEPT
    return [
        (name, _lead_back(value, base_url, prefix) if name.lower() == b"location" else value)
        for name, value in fields
        if name.lower() not in dropped
    ]


def _named(fields: Sequence[Field]) -> frozenset[bytes]:
    """Return the names that the `Connection` headers declare to be of this connection only."""
    values = (value for name, value in fields if name.lower() == b"connection")
    return frozenset(each.strip().lower() for value in values for each in value.split(b",")) - {b""}


def _lead_back(location: bytes, base_url: bytes, prefix: bytes) -> bytes:
    own_path = b"/" + base_url.split(b"/", 3)[3] if base_url.count(b"/") > 2 else b""
    for start in (base_url, own_path):
        if (
            start
            and location.startswith(start)
            and location[len(start) : len(start) + 1] in (b"/", b"?", b"")
        ):
            return prefix + location[len(start) :]
    return location
