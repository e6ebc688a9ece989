"""Whether a task that talks to the store has been cancelled."""

import asyncio


def is_cancelled() -> bool:
    """Return whether the running task has been cancelled.

    The store's client, when it is cancelled during a command, may raise an error of its own instead or go on, so that
    loops must check this.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
