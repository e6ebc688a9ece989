"""Errors of the embedded store."""


class EmbeddedStoreError(RuntimeError):
    """The embedded store cannot be started; the message says why and what to do."""
