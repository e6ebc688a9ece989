"""Garbage collection settings of the processes that do much."""

import gc


def tune_gc() -> None:
    """Exempt all present objects from garbage collection, and collect seldom.

    Polling, delivering and answering make many objects and almost no reference cycles, so collecting at Python's
    defaults is mostly in vain.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
