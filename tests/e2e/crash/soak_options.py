"""How many rounds the crash tests run, and with which random seed: `make soak` sets both."""

import os

ROUNDS = int(os.environ.get("REELBRIDGE_SOAK_ROUNDS", "1"))
SEED = int(os.environ.get("REELBRIDGE_SOAK_SEED", "20261121"))
SOAKING = ROUNDS > 1
