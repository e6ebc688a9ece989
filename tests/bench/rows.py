"""The rows of the table: what each round measured, its ratio to the bare loop of the same round, and the aims."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.bench.end_to_end import Together
from tests.bench.ground import Size
from tests.bench.meter import Speed
from tests.bench.report import Row, percentile
from tests.bench.rounds import BARE, Round
from tests.bench.watching import Watching

POLL_RATIO = 0.75
ENDING_RATIO = 0.3
DELIVERY_RATIO = 0.85
REGISTRATION_RATIO = 0.5
LAG_P99_MS = 250
BYTES_A_JOB = 700


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All that was measured: `latencies_ms` of registrations, and speeds of queues by version and what they did."""

    rounds: Sequence[Round]
    latencies_ms: Sequence[float]
    watching: Watching
    together: Sequence[Together]
    queues: Mapping[str, Sequence[Round]]

    def speeds(self, name: str) -> list[Speed]:
        """Return one speed of each round."""
        return [each[name] for each in self.rounds]


def list_rows(size: Size, found: Findings) -> list[Row]:
    """Return all rows of the table, in its order."""
    return [
        *_list_speed("bare GET loop", "a bare GET", found.speeds("bare GET")),
        *_list_speed("polls", "a poll", found.speeds("polls")),
        *_compare("polls", "a poll", found, least=POLL_RATIO),
        *_list_speed(
            "polls that end a job (event and delivery written)", "an ending", found.speeds("endings")
        ),
        *_compare("endings", "an ending", found, least=ENDING_RATIO),
        *_list_speed("bare POST + HMAC loop", "a bare POST", found.speeds("bare POST")),
        *_list_speed("signed deliveries", "a delivery", found.speeds("deliveries")),
        *_compare("deliveries", "a delivery", found, least=DELIVERY_RATIO),
        *_list_speed(
            "bare durable registrations over HTTP", "of its API", found.speeds("bare registrations")
        ),
        *_list_speed(
            "registrations over HTTP, on disk", "of the API a registration", found.speeds("registrations")
        ),
        *_compare("registrations", "of the API a registration", found, least=REGISTRATION_RATIO),
        *_list_latencies(size, found.latencies_ms),
        *_list_watching(size, found.watching),
        *_list_together(size, found.together),
    ]


def list_queues(found: Findings) -> list[Sequence[str]]:
    """Return the lines of the table of job queues, the bridge first: each round's ratios to its bare loops."""
    all_rounds = {"**reelbridge**": found.rounds, **found.queues}
    return [
        (
            name,
            *(cell for what in ("polls", "deliveries") for cell in _list_ratios(what, rounds, found.rounds)),
        )
        for name, rounds in all_rounds.items()
    ]


def _list_ratios(what: str, rounds: Sequence[Round], bare: Sequence[Round]) -> Iterator[str]:
    pairs = [(mine[what], plain[BARE[what]]) for mine, plain in zip(rounds, bare, strict=True)]
    yield Row(name=what, values=[mine.per_s / plain.per_s for mine, plain in pairs], digits=3).cells()[1]
    yield Row(name=what, values=[mine.cpu_us / plain.cpu_us for mine, plain in pairs], digits=1).cells()[1]


def _compare(what: str, item: str, found: Findings, *, least: float) -> Iterator[Row]:
    """Yield the ratio of rates and the ratio of processor times, each round's speed by the bare one beside it."""
    pairs = list(zip(found.speeds(what), found.speeds(BARE[what]), strict=True))
    yield Row(
        name=f"**{what}, ratio to the bare loop**",
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


def _list_together(size: Size, together: Sequence[Together]) -> Iterator[Row]:
    jobs = f"`up`, {size.ending_jobs:,} jobs that end together"
    yield Row(name=f"{jobs}, callbacks", values=[each.per_s for each in together], unit=" /s")
    for share in (0.5, 0.99):
        yield Row(
            name=f"{jobs}, lag from the end upstream to the callback, p{share * 100:.0f}",
            values=[percentile(each.lags_ms, share) for each in together],
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
