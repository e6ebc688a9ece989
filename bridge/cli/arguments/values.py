"""The words that options take."""

from typing import Final

from bridge.providers.registry import KINDS

KIND_NAMES: Final = tuple(KINDS)
WATCHABLE: Final = tuple(name for name, kind in KINDS.items() if kind.registrable)
SCOPES: Final = ("register", "read", "manage", "proxy", "admin")
# As the API names them; a test compares.
CALLBACK_STATES: Final = ("watching", "paused", "ended", "timed_out", "cancelled")
DELIVERY_STATES: Final = ("pending", "in_flight", "succeeded", "parked", "cancelled")
RECOVERED_STATES: Final = ("parked", "cancelled", "succeeded")
