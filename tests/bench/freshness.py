"""How soon an ending is seen under one key's 60 requests a minute: the bridge, the documented loops, an oracle.

    python -m tests.bench.freshness [--seeds 10] [--full]

Virtual time, seeded; the planner and the budget script are the ones in service. Every contestant gets the same jobs,
the same limiter and the same network, and knows a post's media type, as the documented intervals presuppose; (f) does without.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast, get_args

from redis.asyncio import Redis
from redis.exceptions import RedisError

from bridge.store.server.engines import find_engine
from tests.bench.bridge import run_bridge
from tests.bench.race import Result, Set, Style, make_jobs
from tests.bench.rivals import backoff, fixed_interval, run_loops, run_oracle

SIZES = (1, 5, 20, 100, 500, 2000)
NAMES = {
    "a": "fixed interval, documented",
    "b": "backoff, documented",
    "c": "**reelbridge**, no list calls",
    "d": "**reelbridge**, personas known",
    "e": "oracle",
    "f": "as c, media types unknown until read",
}
LEAST_JOBS = 300  # pooled over seeds: a mean over less tells little


def seeds_for(count: int, most: int) -> int:
    """Give how many seeds a size needs: many for few jobs, one for thousands."""
    return max(1, min(most if count > 20 else 30, -(-LEAST_JOBS * most // (10 * count)) + 1))


async def run_one(
    redis: Redis, who: str, which: Set, size: int, *, seeds: int, style: Style = "fixed", client: int = 0
) -> Result:
    """Run one contestant over one course, once a seed, and pool what came."""
    pooled = Result()
    for seed in range(seeds):
        jobs = make_jobs(which, size, seed)
        if who in "ab":
            delay = fixed_interval if who == "a" else backoff
            pooled.add(run_loops(jobs, delay, style=style, client=client, seed=seed))
        elif who == "e":
            pooled.add(run_oracle(jobs, style=style, client=client, seed=seed))
        else:
            pooled.add(
                await run_bridge(
                    redis, jobs, lists=who == "d", style=style, client=client, seed=seed, blind=who == "f"
                )
            )
    return pooled


@asynccontextmanager
async def own_server() -> AsyncIterator[Redis]:
    """A private server for the budget script."""
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "s"
        command = [str(find_engine().binary), "--port", "0", "--unixsocket", str(socket), "--save", ""]
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL)
        try:
            async with Redis(unix_socket_path=str(socket)) as redis:
                while not await _answers(redis):  # noqa: ASYNC110 -- another process begins to listen
                    await asyncio.sleep(0.01)
                yield redis
        finally:
            process.kill()
            await process.wait()


async def _answers(redis: Redis) -> bool:
    try:
        return bool(await redis.ping())
    except RedisError:
        return False


def head() -> str:
    """Give the table's head."""
    columns = ["jobs", "polling", "mean", "p50", "p95", "max", "requests a job", "429s", "wrong timeouts"]
    return f"| {' | '.join(columns)} |\n|{'---:|:---|' + '---:|' * (len(columns) - 2)}"


def line(size: int, who: str, result: Result) -> str:
    """Give one line of the table; times in seconds."""
    times = [result.mean, result.share(0.5), result.share(0.95), max(result.delays_s)]
    cells = [f"{size:,}", NAMES[who], *(f"{each:.1f}" if each < 100 else f"{each:.0f}" for each in times)]
    cells += [f"{result.requests_per_job:.2f}", f"{result.limited:,}", f"{result.wrong_timeouts:,}"]
    return f"| {' | '.join(cells)} |"


async def print_course(
    redis: Redis, which: Set, *, seeds: int, style: Style, client: int, sizes: Sequence[int]
) -> None:
    """Run everybody over one course and print it."""
    busy = f"client asks {client} a minute" if client else "client idle"
    title = "posts only, 10 personas" if which == "P" else "70 % posts, 10 % each of sync, voice, publishing"
    _say(f"\n**{which}: {title}; {style} window; {busy}**\n\n{head()}")
    for size in sizes:
        for who in "abcde" if which == "P" else "abcfe":
            result = await run_one(
                redis, who, which, size, seeds=seeds_for(size, seeds), style=style, client=client
            )
            _say(line(size, who, result))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def main(arguments: Sequence[str]) -> None:
    """Print the table; with --full also the sliding window and the busy client."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--most", type=int, default=SIZES[-1], help="largest number of jobs")
    given = parser.parse_args(arguments)
    variants = [("fixed", 0)] + ([("fixed", 20), ("sliding", 0), ("sliding", 20)] if given.full else [])
    sizes = [size for size in SIZES if size <= given.most]
    async with own_server() as redis:
        for style, client in variants:
            for which in get_args(Set):
                await print_course(
                    redis,
                    which,
                    seeds=given.seeds,
                    style=cast(Style, style),
                    client=client,
                    sizes=sizes,
                )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
