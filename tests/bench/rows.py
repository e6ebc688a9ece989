"""The rows of the table: what each round measured, its ratio to the bare loop of the same round, and the aims."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.bench.ground import Size
from tests.bench.meter import Speed
from tests.bench.report import Row, percentile
from tests.bench.watching import Watching

POLL_RATIO = 0.75
ENDING_RATIO = 0.3
DELIVERY_RATIO = 0.85
REGISTRATION_RATIO = 0.5
LAG_P99_MS = 250
BYTES_A_JOB = 700


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """What each round measured."""

    bare_reads: list[Speed] = field(default_factory=list)
    polls: list[Speed] = field(default_factory=list)
    endings: list[Speed] = field(default_factory=list)
    bare_posts: list[Speed] = field(default_factory=list)
    deliveries: list[Speed] = field(default_factory=list)
    bare_registrations: list[Speed] = field(default_factory=list)
    registrations: list[Speed] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)


def list_rows(size: Size, rounds: Rounds, watching: Watching) -> list[Row]:
    """Return all rows of the table, in its order."""
    return [
        *_list_speed("bare GET loop", "a bare GET", rounds.bare_reads),
        *_list_speed("polls", "a poll", rounds.polls),
        *compare("polls", "a poll", rounds.polls, rounds.bare_reads, least=POLL_RATIO),
        *_list_speed("polls that end a job (event and delivery written)", "an ending", rounds.endings),
        *compare("endings", "an ending", rounds.endings, rounds.bare_reads, least=ENDING_RATIO),
        *_list_speed("bare POST + HMAC loop", "a bare POST", rounds.bare_posts),
        *_list_speed("signed deliveries", "a delivery", rounds.deliveries),
        *compare("deliveries", "a delivery", rounds.deliveries, rounds.bare_posts, least=DELIVERY_RATIO),
        *_list_speed("bare durable registrations over HTTP", "of its API", rounds.bare_registrations),
        *_list_speed("registrations over HTTP, on disk", "of the API a registration", rounds.registrations),
        *compare(
            "registrations",
            "of the API a registration",
            rounds.registrations,
            rounds.bare_registrations,
            least=REGISTRATION_RATIO,
        ),
        *_list_latencies(size, rounds.latencies_ms),
        *_list_watching(size, watching),
    ]


def compare(
    name: str, item: str, ours: Sequence[Speed], bare: Sequence[Speed], *, least: float | None = None
) -> Iterator[Row]:
    """Yield the ratio of rates and the ratio of processor times, each round's speed by the bare one beside it."""
    pairs = list(zip(ours, bare, strict=True))
    bold = "**" if least is not None else ""
    yield Row(
        name=f"{bold}{name}, ratio to the bare loop{bold}",
        values=[mine.per_s / plain.per_s for mine, plain in pairs],
        digits=2,
        least=least,
    )
    yield Row(
        name=f"processor time {item}, ratio to bare",
        values=[mine.cpu_us / plain.cpu_us for mine, plain in pairs],
        digits=2,
    )


def _list_speed(name: str, item: str, speeds: Sequence[Speed]) -> Iterator[Row]:
    yield Row(name=name, values=[each.per_s for each in speeds], unit=" /s")
    yield Row(name=f"processor time {item}", values=[each.cpu_us for each in speeds], unit=" µs")


def _list_latencies(size: Size, latencies_ms: Sequence[float]) -> Iterator[Row]:
    for share in (0.5, 0.99):
        yield Row(
            name=f"registration, {size.slots} at once, p{share * 100:.0f}",
            values=[percentile(latencies_ms, share)],
            unit=" ms",
        )


def _list_watching(size: Size, watching: Watching) -> Iterator[Row]:
    jobs, lags = f"{size.watched_jobs:,} watched jobs", watching.lags_ms
    yield Row(
        name=f"{jobs}, polls done of {watching.offered_per_s:,.0f} /s due",
        values=[watching.polled_per_s],
        unit=" /s",
    )
    yield Row(name=f"{jobs}, schedule lag p50", values=[percentile(lags, 0.5)], unit=" ms")
    yield Row(
        name=f"**{jobs}, schedule lag p99**", values=[percentile(lags, 0.99)], unit=" ms", most=LAG_P99_MS
    )
    yield Row(
        name=f"**{jobs}, bytes of Redis a job, registered**",
        values=[watching.bytes_registered],
        unit=" B",
        most=BYTES_A_JOB,
    )
    yield Row(
        name=f"{jobs}, bytes of Redis a job, with its last object and poll log",
        values=[watching.bytes_read],
        unit=" B",
    )
