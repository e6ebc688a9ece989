"""The rules of the proxy that need no connection: targets and headers, for whatever a client may send."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import BridgeError
from bridge.proxy.header_fields import HOP_BY_HOP, list_request_fields, list_response_fields
from bridge.proxy.target import find_provider, fold_path, is_under, read_target

AUTH = (b"Authorization", b"Bearer rm_theirs")
KEY = b"brk_ours"
PARTS = st.sampled_from(
    [*("/", "//", ".", "..", "%2e", "%2E%2e", "%2f", "%5C", "\\", "%00", "@", ";", "?", "#", "%", "a", "v1")]
)


@given(st.lists(PARTS, max_size=8).map("".join))
def test_a_target_stays_below_its_prefix(tail: str) -> None:
    """Whatever passes begins with a slash, was not changed, and has no part that leads up, however often decoded."""
    raw = "/reelmirror/api" + tail
    if find_provider(raw) is None:
        return
    try:
        target = read_target(raw, host="bridge.example")
    except BridgeError:
        return
    assert target.tail in (tail, "/" + tail)
    assert target.tail.startswith("/")
    decoded = unquote(target.tail.partition("?")[0])
    assert not {".", ".."} & {part.partition(";")[0] for part in decoded.replace("\\", "/").split("/")}


@pytest.mark.parametrize(
    ("raw", "provider"),
    [
        ("/reelmirror/api", "reelmirror"),
        ("/reelbot/api/v1/x", "reelbot"),
        ("/reelbot/api?x", "reelbot"),
        ("http://bridge.example/reelbot/api/x", "reelbot"),
        ("/reelbot/apis", None),
        ("/reelbot", None),
        ("/Reelbot/api/x", None),
        ("/v1/reelbot/api", None),
        ("*", None),
    ],
)
def test_a_prefix_leads_to_its_provider(raw: str, provider: str | None) -> None:
    """Anything else is the API's."""
    assert find_provider(raw) == provider


@pytest.mark.parametrize(
    ("path", "folded"),
    [("/V1//Billing/", "/v1/billing"), ("/v1/billing;a=b/c", "/v1/billing/c"), ("//", "/"), ("", "/")],
)
def test_a_path_is_judged_as_the_most_lenient_server_reads_it(path: str, folded: str) -> None:
    """Case, doubled slashes, parameters and a slash at the end make no difference."""
    assert fold_path(path) == folded
    assert is_under(path, ("/v1/billing",)) == folded.startswith("/v1/billing")


NAMES = st.sampled_from(
    [*HOP_BY_HOP, b"host", b"authorization", b"x-api-key", b"x-a", b"content-length", b"cookie"]
)
FIELDS = st.lists(
    st.tuples(NAMES, st.sampled_from([b"1", b"x-a, close", b"content-length", KEY, b"a" + KEY])), max_size=8
)


@given(FIELDS)
def test_a_request_has_one_credential_and_it_is_the_providers(fields: list[tuple[bytes, bytes]]) -> None:
    """The bridge's key is in no field, what concerns one connection ends here, and the order stays."""
    sent = list_request_fields(fields, auth=AUTH, key=KEY)
    assert [value for name, value in sent if name.lower() in (b"authorization", b"x-api-key")] == [AUTH[1]]
    assert not any(KEY in value for _, value in sent)
    assert not {name.lower() for name, _ in sent} & (HOP_BY_HOP | {b"host"})
    kept = iter(fields)
    assert all(field in kept for field in sent if field != AUTH)


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        (b"/v1/x", b"/p/api/v1/x"),
        (b"https://p.example/v1/x", b"/p/api/v1/x"),
        (b"?page=2", b"?page=2"),
        (b"//other.example/v1", b"https://other.example/v1"),
        (b"https://p.example.evil/v1", b"https://p.example.evil/v1"),
    ],
)
def test_a_provider_without_a_path_of_its_own_is_led_back_too(location: bytes, shown: bytes) -> None:
    """Else its paths would be taken for the bridge's."""
    fields = [(b"Location", location), (b"X-Reelbridge-Error", b"busy")]
    answered = list_response_fields(fields, base_url=b"https://p.example", prefix=b"/p/api")
    assert answered == [(b"Location", shown)]


@pytest.mark.parametrize("is_intercepted", [True, False])
def test_who_speaks_of_callbacks_is_the_bridge_while_it_intercepts(*, is_intercepted: bool) -> None:
    """A provider's own word beside it would be a second, other answer to the same question."""
    fields = [(b"X-Webhook-Status", b"registered"), (b"X-Other", b"1")]
    shown = list_response_fields(
        fields, base_url=b"https://p.example/api", prefix=b"/p/api", is_intercepted=is_intercepted
    )
    assert shown == (fields[1:] if is_intercepted else fields)


@given(FIELDS)
def test_an_answer_keeps_its_framing(fields: list[tuple[bytes, bytes]]) -> None:
    """Whatever `Connection` names."""
    shown = list_response_fields(fields, base_url=b"https://p.example/api", prefix=b"/p/api")
    lengths = [field for field in fields if field[0] == b"content-length"]
    assert [field for field in shown if field[0] == b"content-length"] == lengths
