"""`reelbridge up`: the whole service in one command, supervised."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from bridge.cli.local.api_client import ApiClient, local_url
from bridge.cli.local.errors import CommandError
from bridge.cli.local.key_files import Keys, find_keys
from bridge.cli.local.preflight import check_port, lock_directory
from bridge.cli.local.private_files import close_to_others
from bridge.cli.supervisor.banner import BannerFacts, write_banner
from bridge.cli.supervisor.inbox import follow_inbox
from bridge.cli.supervisor.output import Terminal
from bridge.cli.supervisor.process_plan import Demo, child_environment, own_command, plan_demo
from bridge.cli.supervisor.store_process import running_store
from bridge.cli.supervisor.supervised_process import SupervisedProcess
from bridge.config.settings import Settings

PORT_WAIT_S = 3.0  # the API of an `up` that was killed may still be ending
MAX_DEATHS_IN_A_ROW = 5
POLL_INTERVAL_S = 0.1
REPORT_INTERVAL_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSignals:
    """What the operator has asked for by signal: to stop, and (`force`) to stop at once."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    force: asyncio.Event = field(default_factory=asyncio.Event)


def run_up(settings: Settings) -> int:
    """Run until SIGTERM, SIGINT or SIGHUP; return the exit status."""
    return asyncio.run(_up(settings, Terminal()))


async def _up(settings: Settings, terminal: Terminal) -> int:
    signals = _listen_for_signals(terminal)
    lock = lock_directory(settings.data_dir)
    try:
        for line in close_to_others(settings.data_dir):
            terminal.write_line("up", line)
        port = await _wait_port(settings, signals)
        settings = settings.model_copy(update={"port": port})
        keys = find_keys(settings)
        demo = plan_demo(settings)
        async with running_store(settings, write_line=terminal.write_line, stop=signals.stop) as redis_url:
            environment = child_environment(settings, keys, demo, redis_url=redis_url)
            simulators = _plan_simulator(demo, environment, terminal)
            workers = [
                SupervisedProcess(name, own_command(name), environment, write_line=terminal.write_line)
                for name in ("api", "worker")
            ]
            # The blocks end in reverse order: first API and worker, then the simulator that the worker calls.
            async with _running([child for child, _ in simulators], signals), _running(workers, signals):
                await _serve(
                    settings, keys, workers=workers, simulators=simulators, terminal=terminal, signals=signals
                )
                terminal.write_line("up", "stopping; attempts in flight get up to 35 s (again: at once)")
    finally:
        os.close(lock)
    terminal.write_line("up", "stopped")
    return 0


def _listen_for_signals(terminal: Terminal) -> StopSignals:
    signals = StopSignals()

    def on_signal() -> None:
        if signals.stop.is_set():
            terminal.write_line("up", "stopping at once")
            signals.force.set()
        signals.stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal)
    return signals


async def _wait_port(settings: Settings, signals: StopSignals) -> int:
    deadline = time.monotonic() + PORT_WAIT_S
    while True:
        try:
            return check_port(settings.host, settings.port)
        except CommandError:
            if time.monotonic() > deadline or signals.stop.is_set():
                raise
        await asyncio.sleep(POLL_INTERVAL_S)


@asynccontextmanager
async def _running(children: Sequence[SupervisedProcess], signals: StopSignals) -> AsyncIterator[None]:
    """Keep processes running for the length of a block, then stop all of them together."""
    tasks = [asyncio.create_task(child.run()) for child in children]
    try:
        yield
    finally:
        await asyncio.gather(*(child.stop(force=signals.force) for child in children))
        await asyncio.gather(*tasks)


def _plan_simulator(
    demo: Demo | None, environment: dict[str, str], terminal: Terminal
) -> list[tuple[SupervisedProcess, asyncio.Event]]:
    """Return the simulator, if there is to be one, with an event that is set once it is ready."""
    if demo is None:
        return []
    ready = asyncio.Event()

    def on_line(line: str) -> None:
        if line.startswith("simulator ready "):
            ready.set()

    return [
        (
            SupervisedProcess(
                "simulator", demo.command, environment, write_line=terminal.write_line, on_line=on_line
            ),
            ready,
        )
    ]


async def _serve(
    settings: Settings,
    keys: Keys,
    *,
    workers: Sequence[SupervisedProcess],
    simulators: Sequence[tuple[SupervisedProcess, asyncio.Event]],
    terminal: Terminal,
    signals: StopSignals,
) -> None:
    """Print the banner once everything is ready, then what arrives in the demo's inbox, until stopped."""
    demo = bool(simulators)
    children = [*workers, *(child for child, _ in simulators)]
    async with ApiClient(local_url(settings), keys.api_key) as api:
        if not await _wait_ready(api, children, [ready for _, ready in simulators], terminal, signals):
            return
        following = (
            asyncio.create_task(follow_inbox(api, lambda line: terminal.write_line("inbox", line)))
            if demo
            else None
        )
        terminal.write(write_banner(await _collect_facts(api, settings, keys, terminal, demo=demo)))
        await signals.stop.wait()
        if following is not None:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following


async def _wait_ready(
    api: ApiClient,
    children: Sequence[SupervisedProcess],
    events: Sequence[asyncio.Event],
    terminal: Terminal,
    signals: StopSignals,
) -> bool:
    """Wait until `/readyz` reports a worker and all events are set; return False when stopped before.

    Raise `CommandError` when a process keeps dying.
    """
    reported = time.monotonic()
    while not signals.stop.is_set():
        try:
            status, answer = await api.request("GET", "/readyz")
        except CommandError:
            status, answer = 0, None
        working = status == 200 and isinstance(answer, dict) and bool(answer.get("workers"))
        if working and all(event.is_set() for event in events):
            return True
        for child in children:
            if child.deaths_in_a_row >= MAX_DEATHS_IN_A_ROW:
                raise CommandError(
                    f"{child.name} does not stay alive; its last lines:\n" + "\n".join(child.tail)
                )
        if time.monotonic() - reported > REPORT_INTERVAL_S:
            reported = time.monotonic()
            terminal.write_line("up", f"still waiting: {describe_readiness(status, answer)}")
        with suppress(TimeoutError):
            await asyncio.wait_for(signals.stop.wait(), POLL_INTERVAL_S)
    return False


def describe_readiness(status: int, answer: object) -> str:
    """Return in words what `/readyz` has answered; status 0 stands for no answer."""
    if status == 0:
        return "the API does not answer yet"
    body = answer if isinstance(answer, dict) else {}
    if status == 200:
        return (
            "the worker has not reported yet"
            if not body.get("workers")
            else "another process is not ready yet"
        )
    error = body.get("error")
    message = error.get("message") if isinstance(error, dict) else None
    return f"the API is not ready: {message or f'it answers {status}'}"


async def _collect_facts(
    api: ApiClient, settings: Settings, keys: Keys, terminal: Terminal, *, demo: bool
) -> BannerFacts:
    secret: str | None = None
    try:
        answer = await api.call("GET", "/v1/secrets/default")
        secret = str(answer["secret"]) if isinstance(answer, dict) and "secret" in answer else None
    except CommandError as error:
        terminal.write_line("up", f"the signing secret cannot be read: {error}")
    return BannerFacts(url=settings.base_url, keys=keys, signing_secret=secret, demo=demo)
