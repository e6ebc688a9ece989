"""Static headers for a receiver are checked when they are registered."""

import pytest

from bridge.domain.deliveries.headers import check_headers


def test_good_headers_pass_with_blanks_cut() -> None:
    """An API key, a bearer token and an own user agent are what receivers ask for."""
    given = {"x-make-apikey": " k-1 ", "Authorization": "Bearer a.b-c", "User-Agent": "mine", "X-Empty": ""}
    assert check_headers(given) == {**given, "x-make-apikey": "k-1"}


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"webhook-id": "x"}, "set by the bridge"),
        ({"Webhook-Signature": "x"}, "set by the bridge"),
        ({"HOST": "x"}, "set by the bridge"),
        ({"content-length": "0"}, "set by the bridge"),
        ({"Content-Type": "text/xml"}, "set by the bridge"),
        ({"connection": "close"}, "set by the bridge"),
        ({"Transfer-Encoding": "chunked"}, "set by the bridge"),
        ({"te": "trailers"}, "set by the bridge"),
        ({"expect": "100-continue"}, "set by the bridge"),
        ({"X-A\r\nX-B": "x"}, "no header name"),
        ({"X A": "x"}, "no header name"),
        ({"X:A": "x"}, "no header name"),
        ({"": "x"}, "no header name"),
        ({"X-\u00e9": "x"}, "no header name"),
        ({"x" * 129: "x"}, "no header name"),
        ({"X-A": "s3cret\r\nX-B: y"}, "line break"),
        ({"X-A": "s3cret\n"}, "line break"),
        ({"X-A": "s3cret\x00"}, "line break"),
        ({"X-A": "s3cret\x7f"}, "line break"),
        ({"X-A": "s3cret\u00e9"}, "line break"),
        ({"X-A": "s3cret" * 400}, "too long"),
        ({"X-A": "a", "x-a": "b"}, "given twice"),
        ({f"X-{n}": "s3cret" for n in range(21)}, "at most 20"),
        ({f"X-{n}": "s3cret" * 100 for n in range(20)}, "8192"),
    ],
)
def test_a_bad_header_is_refused_without_showing_its_value(headers: dict[str, str], says: str) -> None:
    """The message names the header and the fix."""
    with pytest.raises(ValueError, match=says) as caught:
        check_headers(headers)
    assert "s3cret" not in str(caught.value)
