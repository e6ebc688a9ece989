"""The error that ends a command with a message instead of a traceback."""


class CommandError(Exception):
    """A command cannot continue; the message says why and what to do, and never holds a secret."""
