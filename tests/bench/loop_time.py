"""For how long the most expensive requests of at most 64 KB hold the API's event loop; at most 20 ms is right.

`python -m tests.bench.loop_time` prints the ten worst in Markdown. The test suite compares with a plain request instead,
because milliseconds depend on the machine.
"""

import gc
import statistics
import sys
import tempfile
from pathlib import Path

from bridge.api.app import KEYED_ROUTES
from bridge.api.routes.service import open_routes
from tests.api.hostile_requests import hostile_requests, other_requests, register
from tests.api.loop_meter import metered_api
from tests.api.store_server import running_store

MAX_MS = 20.0
ROUNDS = 5


def main() -> None:
    """Measure every request and print the worst."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_store(Path(folder)) as store,
        metered_api(store) as meter,
    ):
        gc.collect()
        gc.disable()
        plain_ms = statistics.median(meter.hold_ms(register(number))[0] for number in range(50))
        requests = [each for route in (*KEYED_ROUTES, *open_routes()) for each in hostile_requests(route)]
        requests += other_requests()
        times = [(*meter.hold_ms(each.sent, rounds=ROUNDS), each.name) for each in requests]
    lines = [
        f"plain registration: {plain_ms:.2f} ms; {len(times)} requests, at most {MAX_MS:g} ms is right",
        "",
    ]
    lines += ["| ms | status | request |", "|---|---|---|"]
    lines += [
        f"| {hold_ms:.2f} | {status} | {name} |" for hold_ms, status, name in sorted(times, reverse=True)[:10]
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
