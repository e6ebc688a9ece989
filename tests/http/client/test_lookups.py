"""Names are looked up once for all who ask, remembered for a while, and connected to at whichever address answers."""

import asyncio
import ssl
from collections.abc import Sequence

import pytest

from bridge.http.client.client_errors import ConnectTimeout, LookupFailed
from bridge.http.client.connector import Connector
from bridge.http.client.http_client import HttpClient
from bridge.http.client.lookups import MAX_REMEMBERED, AddressLookup, RememberingLookup
from tests.http.receivers import OK, receive, sending


class Names:
    """A look-up that counts how often it was asked, and answers when it is told to."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked = 0
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        await self.go_on.wait()
        if not self.addresses:
            raise OSError("no such name")
        return self.addresses


async def never(_host: str, _port: int) -> list[str]:
    await asyncio.Event().wait()
    return []


async def connect(lookup: AddressLookup, origin: str, *, connect_s: float) -> None:
    client = HttpClient(Connector(lookup=lookup, tls=ssl.create_default_context()), connect_s=connect_s)
    until = asyncio.get_running_loop().time() + 20
    try:
        response = await client.get(origin, "/", {}, until=until)
        response.close()
    finally:
        await client.close()


@pytest.mark.parametrize(("ttl_s", "asked"), [(60.0, 1), (0.0, 2)])
async def test_addresses_are_remembered_for_a_while(ttl_s: float, asked: int) -> None:
    """Each name for itself."""
    names = Names("192.0.2.1")
    lookup = RememberingLookup(names, ttl_s=ttl_s)
    for _ in range(2):
        assert await lookup("a.example", 80) == ("192.0.2.1",)
    assert names.asked == asked
    await lookup("b.example", 80)
    assert names.asked == asked + 1


async def test_whoever_asks_meanwhile_shares_the_answer() -> None:
    """One that gives up takes nothing from the others."""
    names = Names("192.0.2.1")
    names.go_on.clear()
    lookup = RememberingLookup(names, ttl_s=60)
    asking = [asyncio.create_task(lookup("a.example", 80)) for _ in range(3)]
    await asyncio.sleep(0)
    asking[0].cancel()
    names.go_on.set()
    assert await asyncio.gather(*asking[1:]) == [("192.0.2.1",)] * 2
    assert names.asked == 1


async def test_a_failure_is_not_remembered() -> None:
    """A name that was not found may be there a moment later."""
    names = Names()
    lookup = RememberingLookup(names, ttl_s=60)
    for _ in range(2):
        with pytest.raises(OSError, match="no such name"):
            await lookup("a.example", 80)
    assert names.asked == 2


async def test_as_many_names_as_one_likes_take_no_more_memory() -> None:
    """The oldest is forgotten."""
    names = Names("192.0.2.1")
    lookup = RememberingLookup(names, ttl_s=60)
    for number in range(MAX_REMEMBERED + 1):
        await lookup(f"{number}.example", 80)
    await lookup("0.example", 80)
    assert names.asked == MAX_REMEMBERED + 2
    await lookup(f"{MAX_REMEMBERED}.example", 80)
    assert names.asked == MAX_REMEMBERED + 2


async def test_closing_ends_what_is_looked_up() -> None:
    """A name server that never answers keeps nobody."""
    lookup = RememberingLookup(never, ttl_s=60)
    asking = asyncio.create_task(lookup("a.example", 80))
    await asyncio.sleep(0)
    await lookup.close()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_connecting_has_a_limit_of_its_own() -> None:
    """A host that does not answer takes a part of the time only, the look-up included."""
    with pytest.raises(ConnectTimeout):
        await connect(never, "http://slow.example", connect_s=0.1)


async def test_a_name_that_is_not_found_is_no_connection() -> None:
    """The cause is kept for whoever explains it."""
    with pytest.raises(LookupFailed) as caught:
        await connect(Names(), "http://gone.example", connect_s=20)
    assert str(caught.value.os_error) == "no such name"


async def test_the_first_address_that_answers_is_used() -> None:
    """Nothing listens at the first one."""
    async with receive(OK) as receiver:
        names = Names("127.0.0.2", "127.0.0.1")
        await connect(names, receiver.url("", host="two.example"), connect_s=20)
    assert receiver.connects == 1


@pytest.mark.parametrize("answer", [["127.0.0.1"], ["127.0.0.2", "127.0.0.1"]], ids=["alone", "among others"])
async def test_our_own_api_refuses_the_name(answer: list[str]) -> None:
    """One address that must not be called refuses the whole name, before anything is connected to."""
    async with sending(names={"me.example": answer}) as sender:
        outcome = await sender.post("http://me.example:1/", headers={}, body=b"{}", timeout_s=10)
    assert outcome.failure == "refused_address"
    assert "this bridge itself" in outcome.reason
