"""What all use cases work with: settings, store, HTTP clients, clock and randomness, opened once per process."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from bridge.config.settings import Settings
from bridge.config.tracing import NO_TRACING, Tracing
from bridge.domain.jobs.intervals import IDLE_LASTS_S, TAIL_LASTS_S, TimeScale
from bridge.domain.jobs.outcome import KindTraits
from bridge.domain.urls.policy import UrlPolicy
from bridge.http.receivers import Sender
from bridge.http.upstream import Login, UpstreamClient
from bridge.providers.registry import KINDS
from bridge.providers.spec import Clock
from bridge.services.duration_estimates import DurationEstimates
from bridge.services.reachability import Reachability
from bridge.services.shared_reads import SharedReads
from bridge.store.store import Store
from bridge.store.tables.accounts import Account
from bridge.store.unit_of_work import UnitOfWork

Dice = Callable[[int], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What a process works with. `clock_ms` returns Unix milliseconds by the store's clock, `dice` random bytes.

    `process` is a name that no other process has, also not one after a restart.
    """

    store: Store
    settings: Settings
    policy: UrlPolicy
    sender: Sender
    upstream: UpstreamClient
    clock_ms: Callable[[], int]
    dice: Dice
    process: str
    durations: DurationEstimates
    tracing: Tracing = NO_TRACING
    store_memory: int = 0  # bytes at which the store refuses new work, 0: not known
    shared_reads: SharedReads = field(default_factory=SharedReads)
    reachability: Reachability = field(default_factory=Reachability)

    @property
    def time_scale(self) -> TimeScale:
        """The factor on all documented times (REELBRIDGE_POLL_SCALE)."""
        return _time_scale(self.settings.poll_scale)

    def unit_of_work(self, shard: str) -> UnitOfWork:
        """Return an empty unit of work on a shard, dated now."""
        return UnitOfWork(shard, now_ms=self.clock_ms(), retention_s=self.settings.retention)

    def base_url(self, account: Account) -> str:
        """Return the base URL of an account's provider, from the settings if they have one."""
        return self.settings.upstream_url(account.provider)

    async def login(self, account: Account) -> Login:
        """Return what a request with an account's credential needs."""
        credential = await self.store.accounts.credential(account.id)
        return Login(provider=account.provider, base_url=self.base_url(account), credential=credential)


@cache
def _time_scale(scale: float) -> TimeScale:
    """Return a scale, which each poll asks for."""
    return TimeScale(scale=scale)


@cache
def kind_traits(kind: str) -> KindTraits:
    """Return what the state machine needs to know of a kind."""
    return KINDS[kind].traits


def clock_of(kind: str) -> str:
    """Return what the watch timeout of a kind counts from; a group's is that of its members."""
    return str(KINDS[kind].clock) if kind in KINDS else str(Clock.REGISTRATION)


def lasts_ms(services: Services, kind: str, *, once: bool, timeout_s: float | None) -> int:
    """Return how long after its registration a callback expires at the latest, as far as that is known then.

    A callback that goes on after an ending (not `once`) also gets the time in which a late ending is looked for.
    """
    spec = KINDS.get(kind)
    if spec is None:  # a chain
        return round((timeout_s or IDLE_LASTS_S) * 1000)
    if timeout_s is None and str(spec.clock) == "first_part":
        return round(IDLE_LASTS_S * 1000)
    until_s = timeout_s or spec.timing.timeout_s * services.settings.poll_scale
    return round((until_s if once else until_s + TAIL_LASTS_S) * 1000)
