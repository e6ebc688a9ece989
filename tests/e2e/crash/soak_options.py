"""How long these tests go on, and with which dice: `make soak` sets both."""

import os

ROUNDS = int(os.environ.get("REELBRIDGE_SOAK_ROUNDS", "1"))
SEED = int(os.environ.get("REELBRIDGE_SOAK_SEED", "20261121"))
SOAKING = ROUNDS > 1
