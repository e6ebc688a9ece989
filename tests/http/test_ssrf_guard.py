"""No connection reaches a refused address, whatever URL, name or DNS answer leads there."""

import asyncio
import socket
from collections.abc import Sequence

import pytest
from aiohappyeyeballs import AddrInfoType

from bridge.domain.urls.policy import UrlPolicy, plan_policy
from bridge.http.client.lookups import SystemAddressLookup
from bridge.http.receivers import Sender
from bridge.http.ssrf_guard import GuardedLookup, RefusedAddress, guard_sockets
from tests.http.receivers import LAPTOP, OK, STRICT, post, receive, sending


@pytest.mark.parametrize(
    "answers",
    [
        ["127.0.0.1"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["fe80::1%lo"],
        ["93.184.216.34", "127.0.0.1"],  # mixed: one bad address refuses the name
        ["2606:4700::1111", "fd00::1"],
        ["nonsense"],
    ],
)
async def test_a_name_with_a_refused_address_is_never_connected_to(answers: Sequence[str]) -> None:
    """The receiver on loopback is not contacted, and the reason names the rule but no address."""
    names = {"rebind.example": answers}
    async with receive(OK) as receiver, sending(policy=STRICT, names=names) as sender:
        answer = await post(sender, receiver.url(host="rebind.example"))
    assert (answer.failure, receiver.connects) == ("refused_address", 0)
    assert "refused address range" in answer.reason


async def test_a_name_that_turns_private_is_refused_at_the_next_connect() -> None:
    """TTL 0: first an allowed address, then 10.x; the second answer is checked like the first."""
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])

    async def lookup(_host: str, _port: int) -> list[str]:
        return next(answers)

    guarded = GuardedLookup(LAPTOP, lookup)
    assert await guarded("rebind.example", 80) == ["127.0.0.1"]
    with pytest.raises(RefusedAddress) as caught:
        await guarded("rebind.example", 80)
    assert caught.value.rule == "private"
    assert "10.0" not in str(caught.value)


async def test_the_socket_factory_checks_again_after_the_resolver() -> None:
    """Even an address that passed the resolver is checked again when its socket is made."""
    async with receive(OK) as receiver:

        async def lookup(_host: str, _port: int) -> list[str]:
            return ["127.0.0.1"]

        sender = Sender(policy=STRICT, resolver=lookup, user_agent="t")
        await sender.start()
        assert sender._client is not None
        # A look-up that lets a bad address pass.
        sender._client._connector._lookup = GuardedLookup(LAPTOP, lookup)
        try:
            answer = await post(sender, receiver.url(host="rebind.example"))
        finally:
            await sender.close()
    assert (answer.failure, receiver.connects) == ("refused_address", 0)


@pytest.mark.parametrize(
    ("address", "port", "rule"),
    [
        (("127.0.0.1", 1), 1, "own_api"),
        (("::1", 1, 0, 0), 1, "own_api"),
        (("127.0.0.1", 2), 2, None),
        (("10.0.0.1", 2), 2, "private"),
        (("::ffff:10.0.0.1", 2, 0, 0), 2, "ipv4_mapped"),
        (("fe80::1", 2, 0, 3), 2, "link_local"),
    ],
)
def test_the_socket_factory_judges_address_and_port(
    address: tuple[str, int] | tuple[str, int, int, int], port: int, rule: str | None
) -> None:
    """Our own API's port is refused on a laptop, where loopback is otherwise allowed."""
    assert address[1] == port
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    info: AddrInfoType = (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address)
    open_socket = guard_sockets(LAPTOP)
    if rule is None:
        open_socket(info).close()
        return
    with pytest.raises(RefusedAddress) as caught:
        open_socket(info)
    assert caught.value.rule == rule


async def test_our_own_api_is_refused_behind_any_name() -> None:
    """A name that leads to our own API is refused when connecting."""
    async with receive(OK) as ourselves:
        policy: UrlPolicy = plan_policy(
            host="127.0.0.1",
            allow_http=None,
            allow_networks=None,
            own_origins=frozenset({f"127.0.0.1:{ourselves.port}"}),
        )
        async with sending(policy=policy, names={"me.example": ["127.0.0.1"]}) as sender:
            answer = await post(sender, ourselves.url(host="me.example"))
    assert (answer.failure, ourselves.connects) == ("refused_address", 0)
    assert "this bridge itself" in answer.reason


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/?token=x",
        "https://[::ffff:127.0.0.1]/",
        "https://0x7f000001/",
        "ftp://example.com/",
        "inbox:",
        "nonsense",
    ],
)
async def test_a_url_that_a_stricter_policy_refuses_is_not_called(url: str) -> None:
    """The URL is checked again at every attempt: the operator may have changed the settings since registration."""
    async with sending(policy=STRICT, names={}) as sender:
        answer = await post(sender, url)
    assert (answer.status, answer.failure) == (None, "refused_url")


async def test_an_allowed_name_is_called_by_its_name() -> None:
    """The Host header has the name, the connection goes to the resolved address."""
    async with receive(OK) as receiver, sending(names={"hooks.example": ["127.0.0.1"]}) as sender:
        answer = await post(sender, receiver.url("/a", host="hooks.example"))
    assert answer.status == 200
    assert receiver.requests[0][1]["host"] == f"hooks.example:{receiver.port}"


async def test_the_systems_own_look_up_serves_the_sender() -> None:
    """Without a resolver of its own the sender finds `localhost` in the hosts file."""
    async with receive(OK) as receiver, sending() as sender:
        answer = await post(sender, receiver.url(host="localhost"))
    assert answer.status == 200


async def test_the_system_look_up_gives_addresses_and_raises_for_bad_names() -> None:
    """A name that is not found is an `OSError`, which the sender reports as `dns`."""
    lookup = SystemAddressLookup()
    try:
        assert set(await lookup("localhost", 80)) <= {"127.0.0.1", "::1"}
        with pytest.raises(OSError, match=r"."):
            await lookup("no-such-name.invalid", 80)
    finally:
        lookup.close()


@pytest.mark.parametrize("names", [{}, {"gone.example": []}])
async def test_a_name_without_an_address_is_a_dns_failure(names: dict[str, Sequence[str]]) -> None:
    """An unknown name and an empty answer give the same reason."""
    async with sending(policy=STRICT, names=names) as sender:
        answer = await post(sender, "http://gone.example/")
    assert answer.failure == "dns"


async def test_a_look_up_that_hangs_ends_with_the_attempt() -> None:
    """A dead DNS server takes the attempt's time limit and no longer."""
    asked = asyncio.Event()

    async def lookup(_host: str, _port: int) -> list[str]:
        asked.set()
        await asyncio.Event().wait()
        return []

    sender = Sender(policy=STRICT, resolver=lookup, user_agent="t")
    await sender.start()
    try:
        answer = await post(sender, "http://slow.example/", timeout_s=0.3)
    finally:
        await sender.close()
    assert asked.is_set()
    assert answer.failure == "timeout"


async def test_a_port_where_nobody_listens_is_a_connect_failure() -> None:
    """The most common mistake has a sentence of its own."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with sending() as sender:
            answer = await post(sender, f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert answer.failure == "connect"
    assert "nothing listens" in answer.reason
