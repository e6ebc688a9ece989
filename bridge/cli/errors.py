"""What ends a command with a message instead of a traceback."""


class CommandError(Exception):
    """The command cannot go on; the message says why and what to do, and never holds a secret."""
