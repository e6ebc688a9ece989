"""What clients send through the bridge counts against their accounts' budgets, and never waits for them."""

from bridge.domain.polling.rate_limit import BudgetView
from bridge.services.accounts.budget_view import view_budget
from bridge.services.accounts.manage import find_account_of
from tests.e2e.processes import until
from tests.proxy.wire import OK, PATIENCE_S, Proxied


async def budget_of(proxied: Proxied, provider: str) -> BudgetView:
    services = proxied.api.services
    project = await services.store.projects.ensure_default()
    account = await find_account_of(services, project.id, provider)
    assert account is not None
    return await view_budget(services, account)


async def until_client(proxied: Proxied, provider: str, number: int) -> BudgetView:
    """Wait until a budget counts so many requests of the client."""

    async def look() -> bool:
        return (await budget_of(proxied, provider)).client_peak == number

    await until(look, within_s=PATIENCE_S, every_s=0.01)
    return await budget_of(proxied, provider)


async def test_what_is_sent_through_counts_as_the_clients(proxied: Proxied) -> None:
    """Also where the provider's answers say nothing of the limit."""
    for _ in range(7):
        await proxied.ask()
    assert (await until_client(proxied, "reelmirror", 7)).remaining is None


async def test_the_headers_of_an_answer_correct_the_count(proxied: Proxied) -> None:
    """The same request counts once; what the client sends past the bridge counts too."""
    reset = proxied.api.services.clock_ms() // 1000 + 40
    told = b"X-RateLimit-Limit: 60\r\nX-RateLimit-Remaining: 50\r\nX-RateLimit-Reset: %d\r\n\r\n" % reset
    proxied.upstream.answers = [OK.replace(b"\r\n\r\n", b"\r\n" + told)]
    await proxied.ask()
    view = await until_client(proxied, "reelmirror", 10)
    assert (view.limit, view.remaining) == (60, 50)


async def test_only_what_counts_under_a_limit_is_counted(proxied: Proxied) -> None:
    """ReelBot limits each endpoint by itself: status reads are what the bridge needs."""
    proxied.prefix = b"/reelbot/api"
    await proxied.ask(b"POST /v1/video/generate HTTP/1.1", b"Content-Length: 2", body=b"{}")
    await proxied.ask(b"GET /v1/video/status/abcdefghijkl HTTP/1.1")
    await until_client(proxied, "reelbot", 1)


async def test_an_account_without_budget_is_asked_all_the_same(proxied: Proxied) -> None:
    """Whether the provider still answers is between client and provider."""
    for _ in range(90):
        assert (await proxied.ask()).status == 200
    assert len(proxied.upstream.requests) == 90


async def test_reads_ask_the_store_for_nothing_each(proxied: Proxied) -> None:
    """What a read needs is remembered for half a second, and what follows from it goes to the store in batches."""
    redis = proxied.api.services.store.redis
    async with proxied.connect() as connection:
        await redis.config_resetstat()
        for _ in range(400):
            await connection.send(proxied.write())
            assert (await connection.read()).status == 200
    stats = await redis.info("commandstats")
    assert sum(each["calls"] for each in stats.values()) < 400
