"""What of a call that begins work is read, and how it goes on. No connection."""

import gzip
import zlib

import pytest

from bridge.domain.urls.policy import UrlPolicy
from bridge.errors import PayloadTooLarge
from bridge.http.upstream import Login
from bridge.proxy.interception import BODY_BYTES, is_start, read_start
from bridge.proxy.proxy_call import Caller, ProxyCall
from bridge.store.tables.accounts import Account

URL = "https://hooks.example/a"
BODY = b'{"generated_post_id":"p1","cost":1.50}'
NAMED = b'{"generated_post_id":"p1","webhook_url":"https://hooks.example/a","cost":1.50}'
POLICY = UrlPolicy(allow_http=False, networks=(), own_origins=frozenset())
REGENERATE = "/v1/generate/regenerate-post"


def make_call(
    *fields: tuple[bytes, bytes],
    path: str = REGENERATE,
    method: str = "POST",
    provider: str = "reelmirror",
    is_intercepted: bool = True,
) -> ProxyCall:
    account = Account(id="acc_1", project="prj_1", provider=provider, name="", created_ms=0)
    caller = Caller(
        project="prj_1",
        account=account,
        scopes=frozenset(("proxy",)),
        login=Login(provider=provider, base_url="https://p.example/api", credential="rm_1"),
        key="brk_1",
    )
    return ProxyCall(
        caller=caller,
        method=method,
        target=path,
        path=path,
        fields=fields,
        began_ms=0,
        is_intercepted=is_intercepted,
    )


@pytest.mark.parametrize(
    ("coding", "body"),
    [(b"gzip", gzip.compress(NAMED, mtime=0)), (b"deflate", zlib.compress(NAMED)), (b"", NAMED)],
    ids=["gzip", "deflate", "as it is"],
)
def test_a_field_is_taken_out_of_a_coded_body(coding: bytes, body: bytes) -> None:
    """The body goes on without its coding, and the headers do not speak of either any more."""
    about = ((b"Content-Encoding", coding), (b"content-length", b"%d" % len(body)), (b"X-A", b"1"))
    call, start = read_start(make_call(*about), body, POLICY)
    assert start is not None
    assert start.webhook is not None
    assert (start.body, start.webhook.url.text) == (BODY, URL)
    assert call.fields == [(b"X-A", b"1")]
    assert start.request["generated_post_id"] == "p1"


def test_without_a_field_the_body_stays_as_it_came() -> None:
    """A URL in a header changes no byte of it, nor its coding."""
    body = gzip.compress(BODY)
    fields = ((b"Content-Encoding", b"gzip"), (b"X-Webhook-URL", URL.encode()))
    call, start = read_start(make_call(*fields), body, POLICY)
    assert start is not None
    assert (start.body, list(call.fields)) == (body, list(fields))
    assert start.request["generated_post_id"] == "p1"


@pytest.mark.parametrize("fields", [(), ((b"X-Webhook-URL", URL.encode()),)])
@pytest.mark.parametrize(
    ("coding", "body"), [(b"br", b"\x0b\x02\x80"), (b"gzip", b"no gzip"), (b"a, b", b"x")]
)
def test_a_body_that_cannot_be_read_goes_on(
    coding: bytes, body: bytes, fields: tuple[tuple[bytes, bytes], ...]
) -> None:
    """The provider judges it; a URL in a header counts all the same."""
    call, start = read_start(make_call((b"Content-Encoding", coding), *fields), body, POLICY)
    assert (start is not None) == bool(fields)
    assert start is None or start.body == body
    assert (b"Content-Encoding", coding) in call.fields


def test_a_body_is_limited_without_its_coding() -> None:
    """A kilobyte of gzip may hold a megabyte."""
    with pytest.raises(PayloadTooLarge):
        read_start(make_call((b"Content-Encoding", b"gzip")), gzip.compress(b" " * (BODY_BYTES + 1)), POLICY)


@pytest.mark.parametrize(
    ("accepted", "sent"),
    [
        (b"gzip, br;q=1.0, zstd, deflate;q=0.5", b"gzip, deflate;q=0.5"),
        (b"br", b"identity"),
        (b"*", b"identity"),
    ],
)
def test_an_answer_comes_in_a_coding_that_is_read(accepted: bytes, sent: bytes) -> None:
    """Else its jobs would not be found; of a call that names no URL nothing is changed."""
    accepts = (b"accept-encoding", accepted)
    call, _ = read_start(make_call(accepts, (b"X-Webhook-URL", URL.encode())), BODY, POLICY)
    assert dict(call.fields)[b"accept-encoding"] == sent
    plain, start = read_start(make_call(accepts), BODY, POLICY)
    assert (list(plain.fields), start) == ([accepts], None)


def test_what_is_in_the_path_counts_before_the_body() -> None:
    """A body cannot name another post than the one that the call is about."""
    path = "/v1/publishing/posts/o1/publish"
    _, start = read_start(
        make_call((b"X-Webhook-URL", URL.encode()), path=path), b'{"outgoing_post_id":"other"}', POLICY
    )
    assert start is not None
    assert start.request["outgoing_post_id"] == "o1"


def test_nothing_is_read_where_that_is_switched_off() -> None:
    """The field is the provider's then."""
    call = make_call(is_intercepted=False)
    assert read_start(call, NAMED, POLICY) == (call, None)


@pytest.mark.parametrize(
    ("method", "path", "provider", "expected"),
    [
        ("POST", REGENERATE, "reelmirror", True),
        ("POST", REGENERATE + "/", "reelmirror", True),
        ("GET", REGENERATE, "reelmirror", False),
        ("POST", "/v1/generate/toggle-public", "reelmirror", False),
        ("POST", "/v1/generated-posts/p1/reject", "reelmirror", False),
        ("POST", "/v1/personas/p1/sources", "reelmirror", False),
        ("POST", "/v1/personas/p1/x/sync", "reelmirror", False),
        ("PATCH", "/v1/publishing/posts/o1", "reelmirror", False),
        ("POST", "/v1/video/generate", "reelbot", True),
        ("POST", "/v1/video/generate", "reelmirror", False),
    ],
)
def test_a_start_is_known_by_method_and_path(
    method: str, path: str, provider: str, *, expected: bool
) -> None:
    """Everything else passes through."""
    assert is_start(make_call(method=method, path=path, provider=provider)) is expected
