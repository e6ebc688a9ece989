"""How long the tests watch a host that never answers: `make isolation` watches it for a whole minute."""

import os

WATCHED_S = float(os.environ.get("REELBRIDGE_ISOLATION_S", "15"))
