"""`reelbridge up`: the whole service in one command, supervised."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from bridge.cli.api_client import ApiClient, local_url
from bridge.cli.banner import Facts, write_banner
from bridge.cli.child import Child
from bridge.cli.errors import CommandError
from bridge.cli.ground import check_port, hold_directory
from bridge.cli.inbox import follow_inbox
from bridge.cli.keyfiles import Keys, find_keys
from bridge.cli.output import Terminal
from bridge.cli.plan import Demo, child_environment, own_command, plan_demo
from bridge.cli.store_keeper import running_store
from bridge.settings import Settings

PORT_PATIENCE_S = 3.0  # an API whose `up` was killed may just be ending
DEMO_TIMEOUT_S = 30.0
HOPELESS_DEATHS = 5
LOOK_EVERY_S = 0.1
TELL_EVERY_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the operator asked for by signal: to end, and to end now."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    hurry: asyncio.Event = field(default_factory=asyncio.Event)


def run_up(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; the exit status."""
    return asyncio.run(_up(settings, Terminal()))


async def _up(settings: Settings, terminal: Terminal) -> int:
    wishes = _listen_for_signals(terminal)
    lock = hold_directory(settings.data_dir)
    try:
        port = await _wait_port(settings, wishes)
        settings = settings.model_copy(update={"port": port})
        keys = find_keys(settings)
        demo = plan_demo(settings)
        async with running_store(settings, say=terminal.say, stop=wishes.stop) as redis_url:
            environment = child_environment(settings, keys, demo, redis_url=redis_url)
            async with _running_demo(demo, environment, terminal, wishes):
                children = [
                    Child(name, own_command(name), environment, say=terminal.say)
                    for name in ("api", "worker")
                ]
                async with _running(children, wishes):
                    await _serve(settings, keys, children, terminal, wishes, demo=demo is not None)
                    terminal.say("up", "stopping; attempts in flight get up to 35 s (again: at once)")
    finally:
        os.close(lock)
    terminal.say("up", "stopped")
    return 0


def _listen_for_signals(terminal: Terminal) -> Wishes:
    wishes = Wishes()

    def heed() -> None:
        if wishes.stop.is_set():
            terminal.say("up", "stopping at once")
            wishes.hurry.set()
        wishes.stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, heed)
    return wishes


async def _wait_port(settings: Settings, wishes: Wishes) -> int:
    deadline = time.monotonic() + PORT_PATIENCE_S
    while True:
        try:
            return check_port(settings.host, settings.port)
        except CommandError:
            if time.monotonic() > deadline or wishes.stop.is_set():
                raise
        await asyncio.sleep(LOOK_EVERY_S)


@asynccontextmanager
async def _running(children: Sequence[Child], wishes: Wishes) -> AsyncIterator[None]:
    """Keep processes running for a block, then let all of them end together."""
    tasks = [asyncio.create_task(child.run()) for child in children]
    try:
        yield
    finally:
        await asyncio.gather(*(child.stop(hurry=wishes.hurry) for child in children))
        await asyncio.gather(*tasks)


@asynccontextmanager
async def _running_demo(
    demo: Demo | None, environment: dict[str, str], terminal: Terminal, wishes: Wishes
) -> AsyncIterator[None]:
    if demo is None:
        yield
        return
    ready = asyncio.Event()

    def hear(line: str) -> None:
        if line.startswith("simulator ready "):
            ready.set()

    simulator = Child("simulator", demo.command, environment, say=terminal.say, on_line=hear)
    async with _running([simulator], wishes):
        if not await _first_of(ready, wishes.stop, timeout_s=DEMO_TIMEOUT_S):
            raise CommandError("the simulator did not start; its last lines are above")
        yield


async def _first_of(*events: asyncio.Event, timeout_s: float) -> bool:
    tasks = [asyncio.create_task(event.wait()) for event in events]
    done, waiting = await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    return bool(done)


async def _serve(
    settings: Settings,
    keys: Keys,
    children: Sequence[Child],
    terminal: Terminal,
    wishes: Wishes,
    *,
    demo: bool,
) -> None:
    """Show the banner once all is ready, then the demo's inbox, until told to stop."""
    async with ApiClient(local_url(settings), keys.api_key) as api:
        if not await _wait_ready(api, children, terminal, wishes):
            return
        following = (
            asyncio.create_task(follow_inbox(api, lambda line: terminal.say("inbox", line))) if demo else None
        )
        terminal.write(write_banner(await _find_facts(api, settings, keys, terminal, demo=demo)))
        await wishes.stop.wait()
        if following is not None:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following


async def _wait_ready(api: ApiClient, children: Sequence[Child], terminal: Terminal, wishes: Wishes) -> bool:
    """Wait for `/readyz`; False when told to stop, `CommandError` when a process cannot live."""
    told = time.monotonic()
    while not wishes.stop.is_set():
        try:
            status, answer = await api.ask("GET", "/readyz")
        except CommandError:
            status, answer = 0, None
        if status == 200:
            return True
        for child in children:
            if child.deaths_in_a_row >= HOPELESS_DEATHS:
                raise CommandError(
                    f"{child.name} does not stay alive; its last lines:\n" + "\n".join(child.tail)
                )
        if time.monotonic() - told > TELL_EVERY_S:
            told = time.monotonic()
            terminal.say("up", f"still waiting: /readyz says {status or 'nothing'} {answer or ''}".rstrip())
        await asyncio.sleep(LOOK_EVERY_S)
    return False


async def _find_facts(
    api: ApiClient, settings: Settings, keys: Keys, terminal: Terminal, *, demo: bool
) -> Facts:
    secret: str | None = None
    try:
        answer = await api.call("GET", "/v1/secrets/default")
        secret = str(answer["secret"]) if isinstance(answer, dict) and "secret" in answer else None
    except CommandError as error:
        terminal.say("up", f"the signing secret cannot be read: {error}")
    page = await _find_page(api)
    return Facts(url=settings.base_url, page=page, keys=keys, signing_secret=secret, demo=demo)


async def _find_page(api: ApiClient) -> str:
    """The dashboard, or the docs while there is none."""
    with suppress(CommandError):
        status, _ = await api.ask("GET", "/")
        if status < 400:
            return "/"
    return "/docs"
