"""How long the tests watch a host that never answers, and how much waits for a dead URL; both are more in `make isolation`."""

import os

DEAD = int(
    os.environ.get("REELBRIDGE_ISOLATION_DEAD", "40")
)  # deliveries to a URL that hangs, and to one that is gone
WATCHED_S = float(os.environ.get("REELBRIDGE_ISOLATION_S", "15"))
