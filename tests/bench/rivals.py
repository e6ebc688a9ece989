"""What the bridge is measured against: the loops that the documentation shows, and an oracle."""

import heapq
import random
from collections import deque
from collections.abc import Callable

from tests.bench.race import FULL_MS, LATENCY_MS, START_MS, Job, Limiter, Result, Style, client_calls, tell

Delay = Callable[[Job, int], float]  # seconds to the next read after this many
WARM_MS = START_MS + FULL_MS
LASTS_MS = 4_000_000


def fixed_interval(job: Job, reads: int) -> float:
    """Wait as the documented table says (ReelMirror, Webhooks guide)."""
    del reads
    return job.sort.every_s


def backoff(job: Job, reads: int) -> float:
    """Wait as the documented sample loop does: 5 s, then 1.5 times as long up to 60 s."""
    del job
    return float(min(5 * 1.5 ** min(reads - 1, 10), 60))


def run_loops(jobs: list[Job], delay: Delay, *, style: Style, client: int, seed: int) -> Result:
    """Run one loop a job. Refused, it waits for the reset, as documented; past its timeout it gives up, wrongly.

    Its watch goes on all the same, so that its delay can be told. Loops that wait for one reset come in any order.
    """
    limiter, dice = Limiter(style, seed), random.Random(f"loops {seed}")
    queue = [(job.start_ms, job.number, 0) for job in jobs]
    queue += [(at, -1, 0) for at in client_calls(client, seed, LASTS_MS)]
    heapq.heapify(queue)
    left = len(jobs)
    requests = limited = limited_warm = client_refused = 0
    while left:
        now, number, reads = heapq.heappop(queue)
        verdict = limiter.take(now)
        if number < 0:
            client_refused += not verdict.allowed and now > WARM_MS
            continue
        job = jobs[number]
        if not verdict.allowed:
            limited += 1
            limited_warm += now > WARM_MS
            job.gave_up |= now > job.start_ms + 1000 * job.sort.timeout_s
            heapq.heappush(queue, (verdict.reset_ms + dice.randrange(500), number, reads))
            continue
        requests += 1
        if job.end_ms <= now:
            job.seen_ms = now + LATENCY_MS
            left -= 1
        else:
            wait = LATENCY_MS + round(1000 * delay(job, reads + 1))
            heapq.heappush(queue, (now + wait, number, reads + 1))
    return tell(
        jobs, requests=requests, limited=limited, limited_warm=limited_warm, client_refused=client_refused
    )


def run_oracle(jobs: list[Job], *, style: Style, client: int, seed: int) -> Result:
    """Read each job at its end, first come, first served, never when the limit would refuse."""
    limiter = Limiter(style, seed)
    queue = [(job.end_ms, job.number) for job in jobs]
    queue += [(at, -1) for at in client_calls(client, seed, LASTS_MS)]
    heapq.heapify(queue)
    ended: deque[Job] = deque()
    left, client_refused = len(jobs), 0
    while left:
        now, number = heapq.heappop(queue)
        if number == -1:
            client_refused += not limiter.take(now).allowed and now > WARM_MS
        elif number >= 0:
            ended.append(jobs[number])
        while ended:
            verdict = limiter.take(now)
            if not verdict.allowed:
                heapq.heappush(queue, (max(verdict.reset_ms, now + 1), -2))
                break
            ended.popleft().seen_ms = now + LATENCY_MS
            left -= 1
    return tell(jobs, requests=len(jobs), client_refused=client_refused)
