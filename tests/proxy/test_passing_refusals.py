"""What refusals and limits that pass through the proxy mean for an account and its watched jobs, without a worker."""

import time

import pytest

from bridge.services.accounts.manage import find_account_of
from bridge.store.tables.account_health import AccountHealth
from tests.e2e.processes import until
from tests.proxy.test_budget import budget_of
from tests.proxy.test_passing import READ, RUNS, count_polls, until_polls, watch, write
from tests.proxy.wire import OK, PATIENCE_S, Proxied

POST = b"POST /v1/generated-posts/p1/reject HTTP/1.1"
LOGIN = b"POST /v1/auth/login HTTP/1.1"
LIST = b"GET /v1/sync-jobs HTTP/1.1"
REFUSED, FORBIDDEN, LIMITED = (
    b"HTTP/1.1 %s" % each for each in (b"401 Unauthorized", b"403 Forbidden", b"429 X")
)
ERROR = b'{"error":{"code":"X","message":"x"}}'
HTML = b"HTTP/1.1 %s\r\nContent-Type: text/html\r\nContent-Length: 1\r\n\r\nx"


async def account_of(proxied: Proxied) -> str:
    services = proxied.api.services
    account = await find_account_of(services, "prj_default", "reelmirror")
    assert account is not None
    return account.id


async def health_of(proxied: Proxied) -> AccountHealth:
    return await proxied.api.services.store.health.load(await account_of(proxied))


async def due_in_ms(proxied: Proxied, key: str) -> int:
    services = proxied.api.services
    due_ms = await services.store.poll.due_of(key[0], await account_of(proxied), key)
    assert due_ms is not None
    return due_ms - services.clock_ms()


async def watch_later(proxied: Proxied) -> str:
    """Watch the job, let a read pass, and so have the bridge read it itself only much later."""
    key = await watch(proxied)
    proxied.upstream.answers = [write(RUNS)]
    await proxied.ask(READ)
    await until_polls(proxied, key, 1)
    assert await due_in_ms(proxied, key) > 5_000
    return key


async def ask(proxied: Proxied, line: bytes, answer: bytes) -> None:
    proxied.upstream.requests.clear()
    proxied.upstream.answers = [answer]
    fields, body = ((b"Content-Length: 2",), b"{}") if line.startswith(b"POST") else ((), b"")
    await proxied.ask(line, *fields, body=body)


@pytest.mark.parametrize("line", [READ, LIST])
async def test_a_401_puts_the_credential_in_doubt(proxied: Proxied, line: bytes) -> None:
    """However often it passes, only a read of the bridge's own confirms it: that is due at once."""
    key = await watch_later(proxied)
    for _ in range(2):
        await ask(proxied, line, write(ERROR, line=REFUSED))
        await until(lambda: _is_suspect(proxied), within_s=PATIENCE_S, every_s=0.01)
    if line is READ:
        await until(lambda: _is_due(proxied, key), within_s=PATIENCE_S, every_s=0.01)
    await ask(proxied, READ, write(RUNS))  # what passes later is applied later
    await until_polls(proxied, key, 2)
    health, store = await health_of(proxied), proxied.api.services.store
    assert health.outage_ms == 0
    now_ms = health.suspect_ms + 1
    assert await store.health.note_refused(await account_of(proxied), now_ms, begun_ms=now_ms) == "confirmed"


async def test_a_403_to_a_status_read_puts_its_kind_in_doubt(proxied: Proxied) -> None:
    """Other kinds, and the credential, are not."""
    key = await watch_later(proxied)
    await ask(proxied, READ, write(ERROR, line=FORBIDDEN))
    await until(lambda: _is_due(proxied, key), within_s=PATIENCE_S, every_s=0.01)
    await until(lambda: _is_suspect(proxied), within_s=PATIENCE_S, every_s=0.01)
    health = await health_of(proxied)
    assert (list(health.suspect_kinds), health.suspect_ms, health.forbidden) == (["sync_job"], 0, {})


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (READ, HTML % b"401 X"),  # some page's
        (READ, HTML % b"403 X"),
        (READ, HTML % b"404 X"),
        (READ, HTML % b"429 X"),  # an edge's, which limits addresses
        (READ, write(ERROR, line=b"HTTP/1.1 503 X")),
        (READ, write(ERROR, line=b"HTTP/1.1 500 X")),
        (LOGIN, write(ERROR, line=REFUSED)),  # a wrong password
        (POST, write(ERROR, line=FORBIDDEN)),  # a scope of that key
        (LIST, write(ERROR, line=FORBIDDEN)),
    ],
)
async def test_what_says_nothing_of_the_account_changes_nothing(
    proxied: Proxied, line: bytes, answer: bytes
) -> None:
    """Neither its health, nor its budget's pause, nor when its jobs are read."""
    key = await watch_later(proxied)
    await ask(proxied, line, answer)
    await ask(proxied, READ, write(RUNS))  # what passes later is applied later
    await until_polls(proxied, key, 2)
    assert (await health_of(proxied)).well
    assert (await budget_of(proxied, "reelmirror")).quiet_ms == 0
    assert await due_in_ms(proxied, key) > 5_000


async def test_a_limit_that_a_client_reached_quiets_the_account(proxied: Proxied) -> None:
    """Until `Retry-After` is over, where the answer says nothing else; an answer right behind it changes nothing."""
    limited = write(ERROR, b"Retry-After: 25", line=LIMITED)
    proxied.upstream.answers = [limited, OK]
    async with proxied.connect() as connection:
        for status in (429, 200):
            await connection.send(proxied.write(READ))
            assert (await connection.read()).status == status
    before_ms = time.time() * 1000
    await until(lambda: _is_quiet(proxied), within_s=PATIENCE_S, every_s=0.01)
    view = await budget_of(proxied, "reelmirror")
    assert 0 < view.quiet_ms - before_ms <= 25_000
    assert view.limited == 1
    shard, account = proxied.api.services.store.shard_of(await account_of(proxied)), await account_of(proxied)
    blocked = await proxied.api.services.store.poll.blocked(shard, [account])
    assert abs(blocked[account] - view.quiet_ms) < 1_000


async def test_a_304_counts_where_its_answer_passed(proxied: Proxied) -> None:
    """With an ETag that did not pass it says nothing."""
    key = await watch(proxied)
    same = b"HTTP/1.1 304 Not Modified\r\nETag: %b\r\n\r\n"
    for number in (1, 2):  # from the second on it is known that nothing changes
        proxied.upstream.answers = [write(RUNS, b'ETag: "v1"')]
        proxied.upstream.requests.clear()
        await proxied.ask(READ)
        await until_polls(proxied, key, number)
    await ask(proxied, READ, same % b'"v1"')
    await until_polls(proxied, key, 3)
    await ask(proxied, READ, same % b'"v2"')
    await ask(proxied, READ, write(RUNS))
    await until_polls(proxied, key, 4)


@pytest.mark.parametrize("fields", [(b"Age: 600",), (b"X-Cache: HIT",), (b"Age: x",)])
async def test_what_a_cache_kept_is_as_old_as_it_says(proxied: Proxied, fields: tuple[bytes, ...]) -> None:
    """Older than the registration it is ignored, and so is what does not say its age."""
    key = await watch(proxied)
    await ask(proxied, READ, write(RUNS, *fields))
    await ask(proxied, READ, write(RUNS))
    await until_polls(proxied, key, 1)
    assert await count_polls(proxied, key) == 1


async def test_a_head_tells_of_the_limit_only(proxied: Proxied) -> None:
    """Its answer has no body to read a state from."""
    key = await watch(proxied)
    reset = proxied.api.services.clock_ms() // 1000 + 40
    told = (b"X-RateLimit-Limit: 60", b"X-RateLimit-Remaining: 50", b"X-RateLimit-Reset: %d" % reset)
    head = write(b"", *told).replace(b"Content-Length: 0", b"Content-Length: 40")
    await ask(proxied, READ.replace(b"GET", b"HEAD"), head)
    await until(lambda: _has_left(proxied, 50), within_s=PATIENCE_S, every_s=0.01)
    assert await count_polls(proxied, key) == 0


async def _is_suspect(proxied: Proxied) -> bool:
    return not (await health_of(proxied)).well


async def _is_due(proxied: Proxied, key: str) -> bool:
    return await due_in_ms(proxied, key) <= 0


async def _is_quiet(proxied: Proxied) -> bool:
    return (await budget_of(proxied, "reelmirror")).quiet_ms > 0


async def _has_left(proxied: Proxied, number: int) -> bool:
    return (await budget_of(proxied, "reelmirror")).remaining == number
