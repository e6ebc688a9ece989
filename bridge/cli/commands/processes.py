"""The commands that run a single process: `api`, `worker`, `simulate`."""

import importlib
import os
import runpy
import sys

from bridge.cli.local.errors import CommandError
from bridge.config.settings import Settings, SettingsError
from bridge.store.server.fitness import UnfitStoreError
from bridge.store.vault import VaultError

WORKER = "workers"


def run_api(settings: Settings) -> int:
    """Serve the HTTP API until SIGTERM or SIGINT."""
    require_shared(settings)
    # Imported late: the other commands do not need the web application.
    app = importlib.import_module("bridge.serving")
    try:
        app.main(settings)
    except (UnfitStoreError, VaultError) as error:
        raise CommandError(str(error)) from None
    return 0


def run_worker(settings: Settings) -> int:
    """Become an arq worker, by running `python -m workers`: this package must not import that one."""
    require_shared(settings)
    if sys.platform == "linux":
        # -P: never a `workers` from the current directory, which would get the master keys.
        os.execv(sys.executable, [sys.executable, "-P", "-m", WORKER])  # noqa: S606 -- our own interpreter, fixed arguments
    # Elsewhere the watch over the supervisor is a thread, which exec would end.
    runpy.run_module(WORKER, run_name="__main__", alter_sys=True)
    return 0


def run_simulator(host: str, port: int, speed: float) -> int:
    """Serve the simulators of both providers until SIGTERM or SIGINT."""
    if not 0 < speed <= 100_000:
        raise CommandError("--speed: use a number above 0, such as 1 or 50")
    simulator = importlib.import_module("bridge.simulator.serve")
    try:
        simulator.main(simulator.SimulatorConfig(host=host, port=port, speed=speed))
    except OSError as error:
        raise CommandError(f"the simulator cannot listen on {host}:{port}: {error.strerror}") from None
    return 0


def require_shared(settings: Settings) -> None:
    """Raise `SettingsError` when a setting is missing that api and worker must have in common."""
    missing = [
        f"{name}: needed by api and worker on their own, the same for all; {fix}"
        for name, value, fix in (
            ("REELBRIDGE_REDIS_URL", settings.redis_url, "set it"),
            ("REELBRIDGE_MASTER_KEYS", settings.master_keys, "make one with `openssl rand -base64 32`"),
        )
        if value is None
    ]
    if missing:
        raise SettingsError("\n".join([*missing, "(`reelbridge up` starts everything and sets both itself)"]))
