"""Which callback URLs are taken, which are refused, and what a refusal says."""

from ipaddress import ip_network

import pytest

from bridge.domain.urls.policy import (
    RefusedUrl,
    UrlPolicy,
    check_url,
    judge_address,
    judge_connect,
    mask_url,
    plan_policy,
)

STRICT = plan_policy(
    host="0.0.0.0",
    allow_http=None,
    allow_networks=None,
    own_origins=frozenset({"bridge.example:443", "0.0.0.0:8080"}),
)
LAPTOP = plan_policy(
    host="127.0.0.1", allow_http=None, allow_networks=None, own_origins=frozenset({"127.0.0.1:8080"})
)

BAD = [
    ("", "not_a_url"),
    ("example.com/hook", "not_a_url"),
    ("https:/example.com", "not_a_url"),
    ("//example.com", "not_a_url"),
    ("http://example.com/", "http"),
    ("ftp://example.com/", "scheme"),
    ("file:///etc/passwd", "scheme"),
    ("gopher://example.com/", "scheme"),
    ("javascript://example.com/%0aalert(1)", "scheme"),
    ("https://", "host"),
    ("https:///path", "host"),
    ("https://user:pass@example.com/", "userinfo"),
    ("https://example.com@127.0.0.1/", "userinfo"),
    ("https://exa mple.com/", "bad_character"),
    (" https://example.com/", "bad_character"),
    ("https://example.com/\r\nX: y", "bad_character"),
    ("https://example.com/\ta", "bad_character"),
    ("https://example.com\\@127.0.0.1/", "bad_character"),
    ("https://example.com/\x00", "bad_character"),
    ("https://example.com/\ud800", "bad_character"),
    ("https://example.com:0/", "port"),
    ("https://example.com:65536/", "port"),
    ("https://example.com:+80/", "port"),
    ("https://example.com:8\u0660/", "port"),  # an Arabic-Indic digit
    ("https://example..com/", "host"),
    ("https://-example.com/", "host"),
    ("https://exa%6dple.com/", "host"),
    ("https://example.com;x/", "host"),
    ("https://[::1/", "host"),
    ("https://[::1]x/", "host"),
    ("https://[fe80::1%25eth0]/", "host"),
    ("https://" + "a." * 130 + "com/", "host"),
    ("https://localhost/", "loopback"),
    ("https://LOCALHOST./", "loopback"),
    ("https://a.localhost/", "loopback"),
    ("https://127.0.0.1/", "loopback"),
    ("https://127.0.0.1./", "address_spelling"),
    ("https://2130706433/", "address_spelling"),
    ("https://0177.0.0.1/", "address_spelling"),
    ("https://0x7f000001/", "address_spelling"),
    ("https://0x7f.0.0.0x1/", "address_spelling"),
    ("https://127.1/", "address_spelling"),
    ("https://0/", "address_spelling"),
    ("https://1.2.3.4.5/", "address_spelling"),
    ("https://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460/", "address_spelling"),  # digits in circles
    ("https://\uff11\uff12\uff17.0.0.1/", "address_spelling"),  # full-width digits
    ("https://127\u30020\u30020\u30021/", "address_spelling"),  # ideographic full stops
    ("https://[::1]/", "loopback"),
    ("https://[::ffff:127.0.0.1]/", "ipv4_mapped"),
    ("https://[::ffff:7f00:1]/", "ipv4_mapped"),
    ("https://[0:0:0:0:0:0:0:1]/", "loopback"),
    ("https://10.1.2.3/", "private"),
    ("https://169.254.169.254/latest/meta-data/", "cloud_metadata"),
    ("https://metadata.google.internal/", "cloud_metadata"),
    ("https://100.100.100.200/", "cloud_metadata"),
    ("https://168.63.129.16/", "cloud_metadata"),
    ("https://bridge.example/v1/callbacks", "own_api"),
    ("https://BRIDGE.example.:443/", "own_api"),
    ("https://127.0.0.1:8080/", "own_api"),
    ("inbox:a b", "bad_inbox"),
    ("inbox:" + "a" * 65, "bad_inbox"),
    ("https://example.com/" + "a" * 4096, "too_long"),
]


@pytest.mark.parametrize(("text", "rule"), BAD)
def test_a_bad_url_is_refused_by_rule_with_a_fix_and_without_an_address(text: str, rule: str) -> None:
    """The rule is named, the message tells what to do and repeats neither the URL nor an internal address."""
    with pytest.raises(RefusedUrl) as caught:
        check_url(text, STRICT)
    assert caught.value.rule == rule
    assert len(caught.value.message) > 30
    for internal in ("127.", "169.254", "10.1", "::1", "pass"):
        assert internal not in caught.value.message.replace("password", "")


# given, origin, what goes on the wire
GOOD = [
    ("https://example.com", "https://example.com:443", "/"),
    ("https://example.com?a=1", "https://example.com:443", "/?a=1"),
    ("HTTPS://Example.COM.:443/A", "https://example.com:443", "/A"),
    ("https://example.com:8443/a/../b//c%2F%2e", "https://example.com:8443", "/a/../b//c%2F%2e"),
    (
        "https://example.com/a?sig=a%2Bb+c&&=&x=[1]{}|^",
        "https://example.com:443",
        "/a?sig=a%2Bb+c&&=&x=[1]{}|^",
    ),
    ("https://example.com/a?", "https://example.com:443", "/a?"),
    ("https://example.com/a?b#c?d", "https://example.com:443", "/a?b"),
    ("https://example.com/caf\u00e9?\u00e9", "https://example.com:443", "/caf%C3%A9?%C3%A9"),
    ("https://b\u00fccher.example/", "https://xn--bcher-kva.example:443", "/"),
    ("https://8.8.8.8/", "https://8.8.8.8:443", "/"),
    ("https://[2606:4700:0::1111]:99/x@y", "https://[2606:4700::1111]:99", "/x@y"),
    ("https://my_host.example/", "https://my_host.example:443", "/"),
    ("https://example.com:8080/", "https://example.com:8080", "/"),  # our port on another machine
]


@pytest.mark.parametrize(("text", "origin", "target"), GOOD)
def test_a_good_url_keeps_its_path_and_query_byte_for_byte(text: str, origin: str, target: str) -> None:
    """The text stays as given, the lane's name is normal, and the wire sees the same bytes."""
    checked = check_url(text, STRICT)
    assert (checked.text, checked.origin, checked.target, checked.inbox) == (text, origin, target, False)


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ('"https://example.com/"', "quotes or brackets"),
        ("<https://example.com/>", "quotes or brackets"),
        ("https://https://example.com/", "twice"),
        ("http://https://example.com/", "twice"),
        ("example.com/hook", "does not begin with https://"),
        ("//example.com", "does not begin with https://"),
        ("hook", "not complete"),
        ("", "not complete"),
    ],
)
def test_what_is_no_url_is_told_what_is_wrong_with_it(text: str, fix: str) -> None:
    """Without the text, which may hold a secret."""
    with pytest.raises(RefusedUrl) as caught:
        check_url(text, STRICT)
    assert (caught.value.rule, fix in caught.value.message) == ("not_a_url", True)
    assert "example.com" not in caught.value.message


def test_the_longest_url_passes() -> None:
    """4,096 characters are allowed."""
    assert check_url("https://example.com/" + "a" * 4076, STRICT).inbox is False


@pytest.mark.parametrize("text", ["inbox:", "inbox:my-flow_1"])
def test_the_inbox_is_a_destination_under_any_policy(text: str) -> None:
    """`inbox:` needs no network, so no network rule applies."""
    checked = check_url(text, STRICT)
    assert (checked.inbox, checked.origin, checked.masked) == (True, "inbox:", text)


def test_a_laptop_may_call_itself_but_never_its_own_api() -> None:
    """With both settings unset on loopback, http and loopback pass; private networks and the API itself do not."""
    assert check_url("http://127.0.0.1:9000/hook", LAPTOP).origin == "http://127.0.0.1:9000"
    assert check_url("http://localhost:9000/", LAPTOP).origin == "http://localhost:9000"
    assert check_url("http://[::1]:9000/", LAPTOP).port == 9000
    for text, rule in [
        ("http://127.0.0.1:8080/", "own_api"),
        ("http://localhost:8080/", "own_api"),
        ("http://[::1]:8080/", "own_api"),
        ("http://127.9.9.9:8080/", "own_api"),
        ("http://0.0.0.0:8080/", "own_api"),
        ("http://0.0.0.0:9000/", "unspecified"),
        ("http://192.168.0.1/", "private"),
        ("http://[::ffff:127.0.0.1]:9000/", "ipv4_mapped"),
    ]:
        with pytest.raises(RefusedUrl) as caught:
            check_url(text, LAPTOP)
        assert caught.value.rule == rule, text


def _plan(host: str, networks: str | None, *, http: bool | None = None) -> UrlPolicy:
    return plan_policy(host=host, allow_http=http, allow_networks=networks, own_origins=frozenset())


def test_settings_are_taken_exactly_once_they_are_set() -> None:
    """Unset on loopback is lenient; the empty string is a setting and means: nothing extra."""
    assert _plan("localhost", None).allow_http is True
    assert _plan("::1", None).networks == (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    assert _plan("127.0.0.1", "", http=False).allow_http is False
    assert _plan("127.0.0.1", "").networks == ()
    assert _plan("0.0.0.0", None) == _plan("192.168.1.5", "", http=False)
    two = _plan("0.0.0.0", "10.0.0.0/8, fd00::/8", http=True)
    assert two.networks == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert _plan("0.0.0.0", "10.1.2.3").networks == (ip_network("10.1.2.3/32"),)


def test_a_laptop_behind_a_proxy_is_no_laptop() -> None:
    """Whoever reaches the proxy reaches the bridge: loopback and http are closed, unless a setting opens them."""

    def plan(networks: str | None, *, http: bool | None) -> UrlPolicy:
        return plan_policy(
            host="127.0.0.1",
            allow_http=http,
            allow_networks=networks,
            own_origins=frozenset(),
            behind_proxy=True,
        )

    assert plan(None, http=None) == plan("", http=False)
    assert plan("127.0.0.0/8", http=True) == _plan("127.0.0.1", "127.0.0.0/8", http=True)


def test_a_bad_network_is_an_error_that_names_the_fix() -> None:
    """The operator reads what to write instead."""
    with pytest.raises(ValueError, match=r"write 10\.0\.0\.0/8"):
        _plan("0.0.0.0", "10.0.0.5/8")
    with pytest.raises(ValueError, match="is no network"):
        _plan("0.0.0.0", "10.0.0.0/8,home")


def test_an_allowed_network_opens_that_network_only() -> None:
    """10/8 opened leaves 192.168/16, loopback and the metadata service shut."""
    policy = _plan("0.0.0.0", "10.0.0.0/8")
    assert judge_address("10.2.3.4", policy) is None
    assert judge_address("192.168.1.1", policy) == "private"
    assert judge_address("127.0.0.1", policy) == "loopback"
    assert judge_address("::ffff:10.2.3.4", policy) == "ipv4_mapped"
    assert judge_address("169.254.169.254", policy) == "cloud_metadata"
    assert judge_address("not an address", policy) == "not_an_address"


def test_a_connect_to_our_own_door_is_refused_whatever_name_led_there() -> None:
    """The address that DNS gave is judged together with the port."""
    assert judge_connect("127.0.0.1", 8080, LAPTOP) == "own_api"
    assert judge_connect("::1", 8080, LAPTOP) == "own_api"
    assert judge_connect("127.0.0.1", 8081, LAPTOP) is None
    assert judge_connect("fe80::1%eth0", 8081, LAPTOP) == "link_local"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://h/a/long/path?sig=secret&x=a=b", "https://h/a/long/path?sig=***&x=***"),
        ("https://h/a?bare-secret", "https://h/a?***"),
        ("https://h/a?", "https://h/a?"),
        ("https://h/a#frag-secret", "https://h/a#***"),
        ("https://u:p@h/a?b=c", "https://***@h/a?b=***"),
        ("https://h/@path", "https://h/@path"),
    ],
)
def test_what_is_shown_of_a_url_hides_values(text: str, masked: str) -> None:
    """Names and path stay readable, query values, user info and fragment do not."""
    assert mask_url(text) == masked
    if "@h" not in text:
        assert check_url(text, STRICT).masked == masked
