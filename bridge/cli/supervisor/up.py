"""`reelbridge up`: the whole service in one command, supervised."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from bridge.cli.commands.api_client import ApiClient, local_url
from bridge.cli.errors import CommandError
from bridge.cli.supervisor.banner import Facts, write_banner
from bridge.cli.supervisor.child import Child
from bridge.cli.supervisor.inbox import follow_inbox
from bridge.cli.supervisor.keyfiles import Keys, find_keys
from bridge.cli.supervisor.output import Terminal
from bridge.cli.supervisor.preflight import check_port, hold_directory
from bridge.cli.supervisor.process_plan import Demo, child_environment, own_command, plan_demo
from bridge.cli.supervisor.store_process import running_store
from bridge.config.settings import Settings

PORT_PATIENCE_S = 3.0  # an API whose `up` was killed may just be ending
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
            emulated = _plan_simulator(demo, environment, terminal)
            workers = [
                Child(name, own_command(name), environment, say=terminal.say) for name in ("api", "worker")
            ]
            # Left in the other order: what works ends first, then what it works with.
            async with _running([child for child, _ in emulated], wishes), _running(workers, wishes):
                await _serve(
                    settings, keys, workers=workers, emulated=emulated, terminal=terminal, wishes=wishes
                )
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


def _plan_simulator(
    demo: Demo | None, environment: dict[str, str], terminal: Terminal
) -> list[tuple[Child, asyncio.Event]]:
    """The simulator, if one is wanted, and the event of its being ready."""
    if demo is None:
        return []
    ready = asyncio.Event()

    def hear(line: str) -> None:
        if line.startswith("simulator ready "):
            ready.set()

    return [(Child("simulator", demo.command, environment, say=terminal.say, on_line=hear), ready)]


async def _serve(
    settings: Settings,
    keys: Keys,
    *,
    workers: Sequence[Child],
    emulated: Sequence[tuple[Child, asyncio.Event]],
    terminal: Terminal,
    wishes: Wishes,
) -> None:
    """Show the banner once all is ready, then the demo's inbox, until told to stop."""
    demo = bool(emulated)
    children = [*workers, *(child for child, _ in emulated)]
    async with ApiClient(local_url(settings), keys.api_key) as api:
        if not await _wait_ready(api, children, [ready for _, ready in emulated], terminal, wishes):
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


async def _wait_ready(
    api: ApiClient,
    children: Sequence[Child],
    events: Sequence[asyncio.Event],
    terminal: Terminal,
    wishes: Wishes,
) -> bool:
    """Wait for `/readyz`, a worker and all events; False when told to stop, `CommandError` when a process cannot live."""
    told = time.monotonic()
    while not wishes.stop.is_set():
        try:
            status, answer = await api.ask("GET", "/readyz")
        except CommandError:
            status, answer = 0, None
        working = status == 200 and isinstance(answer, dict) and bool(answer.get("workers"))
        if working and all(event.is_set() for event in events):
            return True
        for child in children:
            if child.deaths_in_a_row >= HOPELESS_DEATHS:
                raise CommandError(
                    f"{child.name} does not stay alive; its last lines:\n" + "\n".join(child.tail)
                )
        if time.monotonic() - told > TELL_EVERY_S:
            told = time.monotonic()
            terminal.say("up", f"still waiting: /readyz says {status or 'nothing'} {answer or ''}".rstrip())
        with suppress(TimeoutError):
            await asyncio.wait_for(wishes.stop.wait(), LOOK_EVERY_S)
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
