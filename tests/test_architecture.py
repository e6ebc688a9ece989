"""The shape of the code as rules: floors and rooms, a pure core, knowledge in one place, names and sizes.

Each rule has a test that holds it and a planted breach that it finds.
"""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.architecture_rules import (
    Finder,
    find_attribute,
    find_callbacks,
    find_calls_of,
    find_circles,
    find_imports_of,
    find_impure,
    find_keys,
    find_outside,
    find_redis,
    find_relative,
    find_retry_loops,
    list_imports,
    list_long_functions,
    list_public_classes,
)

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    path.relative_to(ROOT) for top in ("bridge", "workers") for path in (ROOT / top).rglob("*.py")
)
TESTS = sorted(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("*.py"))
SCRIPTS = sorted(path.relative_to(ROOT) for path in (ROOT / "bridge").rglob("*.lua"))

# Each package may import itself and what stands beside it here: lower floors, and nothing else of ours.
FLOORS: dict[str, tuple[str, ...]] = {
    "bridge.errors": (),
    "bridge.domain": (),
    "bridge.providers": ("bridge.domain",),
    "bridge.config": ("bridge.domain", "bridge.providers"),
    "bridge.http": ("bridge.domain", "bridge.providers"),
    "bridge.http.client": (),
    "bridge.store": ("bridge.domain", "bridge.config"),
    "bridge.services": (
        *("bridge.domain", "bridge.providers", "bridge.config", "bridge.http", "bridge.store"),
        "bridge.errors",
    ),
    "bridge.simulator": (),
    "workers": ("bridge",),
}
# Who may open what. Commands of the command line are programs of their own: they ask one server and end.
PROGRAMS = ("bridge/cli/",)
OPENERS: dict[str, tuple[str, ...]] = {
    "bridge.container.open_services": ("bridge/serving.py", "workers/main.py"),
    "bridge.store.store.Store.open": ("bridge/container.py",),
    "bridge.store.server.connect.connect": ("bridge/container.py", *PROGRAMS),
    "bridge.http.receivers.Sender": ("bridge/container.py", *PROGRAMS),
    "bridge.http.upstream.UpstreamClient": ("bridge/container.py", *PROGRAMS),
    "aiohttp.ClientSession": PROGRAMS,
    "redis.asyncio.Redis": ("bridge/store/server/connect.py",),
    "redis.asyncio.Redis.from_url": ("bridge/store/server/connect.py",),
    "redis.asyncio.from_url": ("bridge/store/server/connect.py",),
    "redis.asyncio.BlockingConnectionPool.from_url": ("bridge/store/server/connect.py",),
    "bridge.store.server.redis_connection.FewTurnsPool.from_url": ("bridge/store/server/connect.py",),
    "redis.asyncio.ConnectionPool.from_url": ("bridge/store/server/connect.py",),
    "redis.asyncio.RedisCluster.from_url": ("bridge/store/server/connect.py",),
    "bridge.store.server.patient_cluster.PatientCluster.from_url": ("bridge/store/server/connect.py",),
    "redis.asyncio.cluster.RedisCluster.from_url": ("bridge/store/server/connect.py",),
}
# A callback lives in its job's record: the state machine and what registers or changes callbacks know that.
CALLBACKS = ("bridge/domain/jobs/", "bridge/services/subscriptions/", "bridge/services/jobs/registration.py")
# One place turns a 429 into a pause, one lets a lane wait for it.
PAUSES = ("bridge/services/accounts/pause.py",)
# arq's own connection is redis-py's; every other command goes through the store.
OWN_CONNECTION = ("bridge/store/", "workers/arq_queue.py")
LONGEST_FUNCTION = 46
LARGEST_FOLDER = 20

find_workers = find_imports_of("workers")
find_aiohttp = find_imports_of("aiohttp")
find_opened = find_calls_of(OPENERS)
find_pauses = find_attribute("block", "block_many")


@cache
def parse(path: Path) -> ast.Module:
    """Parse a file, its path from the project's root."""
    return ast.parse((ROOT / path).read_text())


def find_in(paths: list[Path], find: Finder) -> list[str]:
    """Return every finding in some files, each with its file."""
    return [f"{path}: {what}" for path in paths for what in find(parse(path))]


def under(*places: str) -> list[Path]:
    """Return the source files under some folders; there must be some."""
    found = [path for path in SOURCES if path.as_posix().startswith(places)]
    assert found, f"nothing lies under {places}"
    return found


def outside(*places: str) -> list[Path]:
    """Return the source files that are not under some folders."""
    under(*places)
    return [path for path in SOURCES if not path.as_posix().startswith(places)]


def module_of(path: Path) -> str:
    """Return the full name of a module."""
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> str:
    """Return the folder of a module; one that stands beside rooms is a room of its own."""
    folder = module.rpartition(".")[0]
    has_rooms = any(each != folder and each.startswith(f"{folder}.") for each in _folders())
    return module if has_rooms else folder


@cache
def _folders() -> frozenset[str]:
    return frozenset(".".join(path.parent.parts) for path in SOURCES if path.name != "__init__.py")


def arrows_between_modules() -> Iterator[tuple[str, str]]:
    """Yield who imports whom, by the modules' full names."""
    modules = {module_of(path) for path in SOURCES}
    for path in SOURCES:
        for name in list_imports(parse(path)):
            target = name if name in modules else name.rpartition(".")[0]
            if target in modules and target != module_of(path):
                yield module_of(path), target


# 1. Floors: imports go down, and no two rooms import each other in a circle.


@pytest.mark.parametrize("package", FLOORS)
def test_imports_go_down(package: str) -> None:
    """A package imports itself and lower floors."""
    places = [path for path in SOURCES if f"{module_of(path)}.".startswith(f"{package}.")]
    assert places
    assert find_in(places, find_outside(package, *FLOORS[package])) == []


def test_no_two_rooms_import_each_other_in_a_circle() -> None:
    """Who works in one room can leave the others of its floor shut."""
    arrows: dict[str, set[str]] = defaultdict(set)
    for source, target in arrows_between_modules():
        arrows[room_of(source)].add(room_of(target))
    for room, targets in arrows.items():
        targets.discard(room)
    assert find_circles(arrows) == []


def test_imports_are_absolute() -> None:
    """So that every rule here sees them."""
    assert find_in(SOURCES, find_relative) == []


def test_the_core_is_pure() -> None:
    """Domain and providers do no I/O, read no clock and draw no random numbers."""
    assert find_in(under("bridge/domain/", "bridge/providers/"), find_impure) == []


def test_only_composition_roots_open_stores_and_clients() -> None:
    """Everybody else is handed what it needs."""
    opened = [(path.as_posix(), name) for path in SOURCES for name in find_opened(parse(path))]
    assert [(path, name) for path, name in opened if not path.startswith(OPENERS[name])] == []


def test_requests_go_through_our_own_client() -> None:
    """On the way where addresses are judged nothing depends on what aiohttp's client does by itself."""
    assert find_in(under("bridge/http/"), find_aiohttp) == []


@pytest.mark.parametrize("name", ["bridge.container.open_services", "bridge.store.store.Store.open"])
def test_the_composition_roots_are_where_the_rule_says(name: str) -> None:
    """A rule about a name that nobody calls would hold for ever."""
    for place in OPENERS[name]:
        assert name in find_opened(parse(Path(place)))


# 2. The bridge does not know its workers; a handler claims, calls a service and settles.


def test_the_bridge_does_not_know_its_workers() -> None:
    """`workers` drives `bridge`, never the other way round."""
    assert find_in(under("bridge/"), find_workers) == []


def test_handlers_leave_the_work_to_services() -> None:
    """A handler knows records, queues and services: no provider, no HTTP, no rule of the state machine."""
    allowed = (
        "bridge.services",
        "bridge.store",
        "workers",
        "bridge.domain.deliveries",
        "bridge.domain.jobs.records",
    )
    assert find_in(under("workers/handlers/"), find_outside(*allowed)) == []


# 4. Deliveries know subscriptions; that a callback lies in its job's record is known in few places.


def test_few_places_know_that_callbacks_lie_in_their_jobs() -> None:
    """What delivers, cancels, tests or shows asks for a subscription."""
    assert find_in(outside(*CALLBACKS), find_callbacks) == []


# 5. One pause for one 429.


def test_one_place_lets_a_lane_wait() -> None:
    """The gate of an account's lane follows from its rate budget, and from nothing else."""
    assert find_in(outside("bridge/store/", *PAUSES), find_pauses) == []


# 6. The store alone speaks to Redis, and an optimistic retry is written once.


def test_only_the_store_spells_keys() -> None:
    """`store/keys.py` is the map of every key; others ask it."""
    assert find_in(outside("bridge/store/"), find_keys) == []
    assert find_in([Path("bridge/store/keys.py")], find_keys)


def test_only_the_store_speaks_to_redis() -> None:
    """No service issues a command or builds a key."""
    assert find_in(outside(*OWN_CONNECTION), find_redis) == []


def test_an_optimistic_retry_is_written_once() -> None:
    """Load, decide, commit, and again after a conflict: one function does it."""
    assert find_in(outside("bridge/store/unit_of_work.py"), find_retry_loops) == []


# 8. Names and sizes.


def test_no_public_class_name_stands_twice() -> None:
    """One word, one meaning."""
    counted = Counter(name for path in SOURCES for name in list_public_classes(parse(path)))
    assert {name: n for name, n in counted.items() if n > 1} == {}


def test_folders_stay_small() -> None:
    """A folder that outgrows a glance is two rooms."""
    counted = Counter(path.parent.as_posix() for path in SOURCES if path.name != "__init__.py")
    assert {folder: n for folder, n in counted.items() if n > LARGEST_FOLDER} == {}


@pytest.mark.parametrize(
    ("paths", "longest"),
    [(SOURCES, 300), (SCRIPTS, 300), (TESTS, 400)],  # tests: one subject with its table of cases
    ids=["sources", "scripts", "tests"],
)
def test_files_stay_short(paths: list[Path], longest: int) -> None:
    """A file that outgrows its reader is two files."""
    lines = {path.as_posix(): len((ROOT / path).read_text().splitlines()) for path in paths}
    assert lines
    assert {path: n for path, n in lines.items() if n > longest} == {}


def test_functions_stay_short() -> None:
    """A function that outgrows a screen is two functions."""
    assert find_in(SOURCES, lambda tree: list_long_functions(tree, LONGEST_FUNCTION)) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_say_what_they_take_and_return(path: Path) -> None:
    """Each has a version in its name and a header with KEYS, ARGV and Returns."""
    lines = (ROOT / path).read_text().splitlines()
    assert re.fullmatch(r"[a-z_]+_v\d+\.lua", path.name), "old and new processes run side by side"
    assert lines[0].startswith("#!lua")
    header = [line for line in lines[1:] if line.startswith("--")][: _count_comments(lines[1:])]
    for word in ("KEYS", "ARGV", "Returns"):
        assert any(re.match(rf"--\s+{word}\b\s+\S", line) for line in header), f"{word} is not explained"


def _count_comments(lines: list[str]) -> int:
    return next((n for n, line in enumerate(lines) if not line.startswith("--")), len(lines))


@pytest.mark.parametrize(
    ("find", "source"),
    [
        (find_workers, "def f():\n    from workers.pump import Pump"),
        (find_relative, "from . import job"),
        (find_aiohttp, "from aiohttp.client_proto import ResponseHandler"),
        (find_impure, "import time"),
        (find_impure, "from os import environ"),
        (find_impure, "from urllib.request import urlopen"),
        (find_impure, "from datetime import datetime\ndatetime.now()"),
        (find_impure, "open('x')"),
        (find_impure, "async def f(): ..."),
        (find_outside("bridge.domain"), "from bridge.providers.registry import KINDS"),
        (find_outside("bridge.domain"), "import bridge.store.keys"),
        (find_outside("bridge.domain"), "from bridge import log"),
        (find_opened, "import aiohttp\naiohttp.ClientSession(trust_env=False)"),
        (find_opened, "from aiohttp import ClientSession as Session\nSession()"),
        (find_opened, "from bridge.store.store import Store\nasync def f(): await Store.open(1)"),
        (find_opened, "from redis.asyncio import Redis\nRedis.from_url('x')"),
        (find_keys, "key = f'{{{shard}}}:j:{job}'"),
        (find_keys, "key = f'{{p:{project}}}:feed'"),
        (find_keys, "key = '{g}:projects'"),
        (find_keys, "key = b'{%s}:e'"),
        (find_redis, "from bridge.store import keys"),
        (find_redis, "async def f(services): await services.store.redis.get('x')"),
        (find_redis, "from redis.exceptions import RedisError"),
        (find_retry_loops, "async def f(c):\n    for _ in range(8):\n        await c.commit(1)"),
        (find_callbacks, "for each in job.callbacks: ..."),
        (find_pauses, "await services.store.poll.block(shard, lane, 5)"),
        (lambda tree: list_long_functions(tree, 2), "def f():\n    a = 1\n    return a"),
    ],
)
def test_each_rule_can_fail(find: Finder, source: str) -> None:
    """What a rule forbids, it finds."""
    assert list(find(ast.parse(source)))


@pytest.mark.parametrize(
    ("find", "source"),
    [
        (find_workers, "from bridge.workers_of import x"),
        (find_impure, "from datetime import UTC, timedelta\nimport timeit2"),
        (find_opened, "from bridge.simulator.upstream import UpstreamClient\nUpstreamClient(name='x')"),
        (find_keys, "path = '/v1/{id}'\nbucket = f'{name}:{bucket}'\nbody = '{\"a\":1}'"),
        (find_redis, "from bridge.store.store import Store\nredis_url = settings.redis_url"),
        (find_retry_loops, "for n in range(3):\n    print(n)"),
        (find_callbacks, "from bridge.services.subscriptions import callbacks\ncallbacks.get(1)"),
        (lambda tree: list_long_functions(tree, 3), "def f():\n    a = 1\n    return a"),
    ],
)
def test_rules_leave_others_alone(find: Finder, source: str) -> None:
    """What only looks alike is no finding."""
    assert list(find(ast.parse(source))) == []


def test_circles_and_repeated_names_are_found() -> None:
    """Two rooms that reach each other, however far round; a class that two files define."""
    assert find_circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert find_circles({"a": {"b"}, "b": set()}) == []
    assert list(list_public_classes(ast.parse("class Page: ...\nclass _Own: ..."))) == ["Page"]
