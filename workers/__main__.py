"""Run a worker, as `reelbridge worker` does: arq's command line on uvloop, where that exists."""

import asyncio
import sys

from arq.cli import cli

from bridge.config.log import configure_logging
from bridge.config.settings import load_settings
from bridge.store.server.fitness import UnfitStoreError
from bridge.store.vault import VaultError

SETTINGS = "workers.main.WorkerSettings"
LOGGING = ("--custom-log-dict", "bridge.config.log.ARQ_LOGGING")

if __name__ == "__main__":
    if sys.platform != "win32":
        import uvloop  # does not exist for Windows

        asyncio.set_event_loop(uvloop.new_event_loop())
    configure_logging(load_settings())  # what is logged while arq connects looks like all else
    try:
        cli([SETTINGS, *LOGGING])
    except (UnfitStoreError, VaultError) as error:
        sys.exit(f"reelbridge: {error}")
