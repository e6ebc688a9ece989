"""How the worker has its memory looked through for cycles."""

import gc


def tune_gc() -> None:
    """Let the cyclic collector leave alone what was loaded at the start, and look seldom for what work leaves behind.

    Work makes many objects and next to no cycles, so that most of what the collector does at its defaults is in vain.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
