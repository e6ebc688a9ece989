"""Where a call names its callback, and what is left of the call without that. No connection."""

from collections.abc import Sequence

import pytest

from bridge.domain.urls.policy import UrlPolicy
from bridge.errors import ValidationFailed
from bridge.proxy.webhook_options import names_url, plan_registration, read_wish

URL = "https://hooks.example/a?b=1"
ENCODED = "https%3A%2F%2Fhooks.example%2Fa%3Fb%3D1"
POLICY = UrlPolicy(allow_http=False, networks=(), own_origins=frozenset())
Fields = Sequence[tuple[bytes, bytes]]
HEADER: Fields = [(b"x-webhook-URL", URL.encode())]


@pytest.mark.parametrize(
    ("fields", "target", "body", "left"),
    [
        (HEADER, "/x?a=1", b'{"a": 1}', ("/x?a=1", b'{"a": 1}')),
        ([], f"/x?webhook_url={ENCODED}", b"", ("/x", b"")),
        ([], f"/x?a=%7e&webhook_url={ENCODED}&&b={{}}&c", b"", ("/x?a=%7e&&b={}&c", b"")),
        ([], f"/x?webhook%5furl={ENCODED}&a", b"", ("/x?a", b"")),
        # Numbers keep their digits, and nested fields of the same name stay.
        (
            [],
            "/x",
            b'{"n":1.50,"webhook_url":"%b","big":12345678901234567890123,"in":{"webhook_url":1},"e":1e2}'
            % URL.encode(),
            ("/x", b'{"n":1.50,"big":12345678901234567890123,"in":{"webhook_url":1},"e":1e2}'),
        ),
        ([], "/x", b'{"webhook_\\u0075rl":"%b"}' % URL.encode(), ("/x", b"{}")),
        # The same URL in several places is one wish.
        (
            HEADER,
            f"/x?webhook_url={ENCODED}",
            b'{"webhook_url":"%b","a":"\xc3\xa9"}' % URL.encode(),
            ("/x", b'{"a":"\xc3\xa9"}'),
        ),
    ],
)
def test_a_url_is_read_and_taken_out(
    fields: Fields, target: str, body: bytes, left: tuple[str, bytes]
) -> None:
    """From a header, the query or a JSON field; everything else keeps its bytes."""
    wish = read_wish(fields, target, body)
    assert (wish.url, wish.target, wish.body) == (URL, *left)
    assert wish.is_rewritten == (body != left[1])


@pytest.mark.parametrize(
    ("fields", "target", "body"),
    [
        ([*HEADER, *HEADER], "/x", b""),
        (HEADER, "/x?webhook_url=https://other.example", b""),
        (HEADER, "/x", b'{"webhook_url":"https://other.example"}'),
        ([], "/x?webhook_url=a&webhook_url=a", b""),
        ([], "/x", b'{"webhook_url":"https://a.example","a":1,"webhook_url":"https://a.example"}'),
        ([], "/x", b'{"webhook_url":["https://a.example"]}'),
        ([(b"X-Webhook-URL", b"https://a.example/\xff")], "/x", b""),
        ([*HEADER, (b"X-Webhook-Once", b"true"), (b"x-webhook-once", b"true")], "/x", b""),
    ],
)
def test_what_is_named_twice_or_badly_is_refused(fields: Fields, target: str, body: bytes) -> None:
    """None of them is guessed."""
    with pytest.raises(ValidationFailed):
        read_wish(fields, target, body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[1]",
        b"not webhook_url",
        b'{"webhook_url": NaN}',
        b'\xef\xbb\xbf{"webhook_url":"https://a.example"}',
        b'{"a":{"webhook_url":"https://a.example"}}',
        b'{"webhook_url":"https://a.example"',
        b"[" * 20_000 + b"webhook_url",
        b'{"webhook_url":' + b"[" * 20_000,
    ],
)
def test_what_is_no_object_with_the_field_goes_on(body: bytes) -> None:
    """It is the provider's to judge, byte for byte."""
    wish = read_wish([], "/x?a", body)
    assert (wish.url, wish.target, wish.body, wish.is_rewritten) == ("", "/x?a", body, False)


def test_options_mean_what_they_mean_in_a_registration() -> None:
    """Events are checked for the kind; metadata is an object where it is the JSON of one."""
    wish = read_wish(
        [
            *HEADER,
            (b"X-Webhook-Events", b"completed, failed"),
            (b"X-Webhook-Metadata", b'{"order": "42"}'),
            (b"X-Webhook-Once", b"false"),
        ],
        "/x",
        b"",
    )
    command = plan_registration(wish, kind="generated_post", policy=POLICY)
    assert command.url.text == URL
    assert command.events == ("generated_post.completed", "generated_post.failed")
    assert (command.metadata, command.once) == ({"order": "42"}, False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"X-Webhook-URL", b"ftp://a.example"),
        (b"X-Webhook-Events", b"sync_job.completed"),
        (b"X-Webhook-Once", b"perhaps"),
        (b"X-Webhook-Metadata", b"x" * 5_000),
    ],
)
def test_a_bad_option_is_refused(name: bytes, value: bytes) -> None:
    """By the rules of a registration."""
    fields = {b"X-Webhook-URL": URL.encode(), name: value}
    wish = read_wish(list(fields.items()), "/x", b"")
    with pytest.raises(ValidationFailed):
        plan_registration(wish, kind="generated_post", policy=POLICY)


@pytest.mark.parametrize("text", ["{order 42", '{"a":1e999}', '{"a":' * 300, '{"a":' * 300 + "1" + "}" * 300])
def test_metadata_that_is_no_json_is_text(text: str) -> None:
    """A brace alone does not make it an object, nor what is nested deeper than a registration may be."""
    wish = read_wish([*HEADER, (b"X-Webhook-Metadata", text.encode())], "/x", b"")
    command = plan_registration(wish, kind="sync_job", policy=POLICY)
    assert command.metadata == text


def test_metadata_without_end_is_a_mistake_of_the_client() -> None:
    """As deep as a header may make it: it is refused for its size, as text would be."""
    wish = read_wish([*HEADER, (b"X-Webhook-Metadata", b'{"a":' * 3_000)], "/x", b"")
    with pytest.raises(ValidationFailed, match="metadata"):
        plan_registration(wish, kind="sync_job", policy=POLICY)


@pytest.mark.parametrize(
    ("fields", "target", "names"),
    [
        (HEADER, "/x", True),
        ([(b"X-Webhook-URL", b" ")], "/x", False),
        ([], "/x?webhook_url=a&webhook_url=b", True),
        ([], "/x?a=webhook_url", False),
        ([], "/webhook_url", False),
    ],
)
def test_a_url_is_noticed_in_any_call(fields: Fields, target: str, *, names: bool) -> None:
    """So that one in a call that begins nothing is not dropped without a word."""
    assert names_url(fields, target) is names
