"""Break the reference cycles that a failed request leaves behind.

The future that an exception comes from, or a list of the errors of several addresses, stands in a local variable of a
frame that the exception's traceback names. Such a cycle holds the request with its body and headers until the garbage collector finds it, which may be
after hundreds of failures.
"""

import traceback


def forget_frames(error: BaseException) -> None:
    """Clear the frames that an exception and its causes have left, and their tracebacks; what still runs is kept."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        traceback.clear_frames(each.__traceback__)
        each.__traceback__ = None
        waiting += (each.__cause__, each.__context__)
