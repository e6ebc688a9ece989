"""How many polls and attempts a worker has under way at most."""

from typing import Final

# One account gets at most 32 of them, fewer if its provider hangs, so that there is room for others.
POLL_SLOTS: Final = 256
SEND_SLOTS: Final = 1024


def count_send_slots(open_files: int) -> tuple[int, int]:
    """Return how many attempts there may be, and how many of these may hang.

    Each needs a connection, and all else may have as many again of the files that the system lets the process open.
    """
    slots = min(SEND_SLOTS, open_files // 2)
    return slots, slots * 3 // 4
