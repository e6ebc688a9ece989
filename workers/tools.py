"""What the readers of jobs share in one worker."""

from dataclasses import dataclass

from bridge.services.account_notes import AccountNotes
from bridge.services.context import Services
from bridge.services.evidence import Evidence
from bridge.services.logins import Logins
from bridge.services.neighbours import Neighbours
from bridge.services.spending import Spending
from workers.riding import Riding

RENEW_S = 2.0  # less than a lease that has waited for a slot still lasts


@dataclass(frozen=True, slots=True, kw_only=True)
class PollTools:
    """One worker's tools for polling; `lease_ms` is how long a claim of jobs lasts unless it is renewed."""

    services: Services
    logins: Logins
    spending: Spending
    evidence: Evidence
    notes: AccountNotes
    riding: Riding
    neighbours: Neighbours
    lease_ms: int
