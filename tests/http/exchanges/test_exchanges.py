"""The bridge's client and aiohttp's `ClientSession` in the same exchanges: where they differ, and that nothing changed.

A difference that is gone, or a new one, fails a test: after an upgrade of aiohttp or httptools it is a decision.
"""

import pytest

from tests.http.exchanges.odd_bodies import BODIES, CONDUCT
from tests.http.exchanges.odd_heads import HEADS
from tests.http.exchanges.plain import PLAIN
from tests.http.exchanges.play import Exchange, our_client, play, their_client

ALL = PLAIN | HEADS | BODIES | CONDUCT
DIFFERENT = HEADS | BODIES | CONDUCT


@pytest.mark.parametrize("exchange", ALL.values(), ids=ALL.keys())
async def test_our_client_does_what_is_right(exchange: Exchange) -> None:
    """What came of each request, and how many requests and connections there were."""
    assert await play(exchange, our_client) == exchange.ours, exchange.why


@pytest.mark.parametrize("exchange", ALL.values(), ids=ALL.keys())
async def test_client_session_does_what_the_table_says(exchange: Exchange) -> None:
    """Where `ClientSession` does the same as our client, nothing is said of it in the table."""
    assert await play(exchange, their_client) == (exchange.theirs or exchange.ours), exchange.why


def test_no_exchange_stands_twice() -> None:
    """Each name means one exchange."""
    assert len(ALL) == len(PLAIN) + len(HEADS) + len(BODIES) + len(CONDUCT)


def test_plain_exchanges_are_those_without_a_difference() -> None:
    """What any client does the same is in a table of its own; the others have at least one difference."""
    assert all(not exchange.theirs for exchange in PLAIN.values())
    same = [name for name, exchange in DIFFERENT.items() if not exchange.theirs]
    assert same == ["no HTTP"]
