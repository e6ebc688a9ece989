"""Plan what `up` starts: which processes, with which environment."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

from bridge.cli.local.key_files import Keys
from bridge.cli.local.preflight import find_free_port
from bridge.config.settings import Settings
from bridge.providers.registry import PROVIDERS
from bridge.simulator.demo import demo_environment

DEMO_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """The built-in simulator in the place of the upstreams."""

    port: int

    @property
    def url(self) -> str:
        """Return the address at which it listens."""
        return f"http://{DEMO_HOST}:{self.port}"

    @property
    def command(self) -> list[str]:
        """Return the command that starts it; the port stays the same across restarts."""
        return own_command("simulate", "--host", DEMO_HOST, "--port", str(self.port), "--speed", "1")


def plan_demo(settings: Settings) -> Demo | None:
    """Return a simulator if no upstream can be meant: no key is set. Else None."""
    if any(settings.credential_of(provider) for provider in PROVIDERS):
        return None
    return Demo(port=find_free_port(DEMO_HOST, preferred=min(settings.port + 1, 65_535)))


def own_command(*words: str) -> list[str]:
    """Return the command line of one of our own commands, run by this interpreter.

    `-P` keeps modules in the current directory from being imported instead of ours.
    """
    return [sys.executable, "-P", "-m", "bridge.cli.main", *words]


def child_environment(
    settings: Settings,
    keys: Keys,
    demo: Demo | None,
    *,
    redis_url: str,
    inherited: Mapping[str, str] = os.environ,
    terminal: TextIO = sys.stdout,
) -> dict[str, str]:
    """Return the environment of the child processes: the inherited one with what this start has decided.

    Secrets are passed here and never as arguments, which other users of the machine can see.
    """
    environment = dict(inherited) | {
        "REELBRIDGE_PORT": str(settings.port),
        "REELBRIDGE_REDIS_URL": redis_url,
        "REELBRIDGE_DATA_DIR": str(settings.data_dir.resolve()),
        "REELBRIDGE_API_KEY": keys.api_key,
        "REELBRIDGE_MASTER_KEYS": keys.master_keys,
        "PYTHONUNBUFFERED": "1",
    }
    if settings.log_format == "auto" and terminal.isatty():
        environment["REELBRIDGE_LOG"] = "console"
    if demo is not None:
        environment |= demo_environment(demo.url)
    return environment
