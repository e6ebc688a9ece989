"""The shape of the code: imports go one way, the core is pure, few places open things, files stay short."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    path.relative_to(ROOT) for top in ("bridge", "workers") for path in (ROOT / top).rglob("*.py")
)
TESTS = sorted(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("*.py"))
SCRIPTS = sorted(path.relative_to(ROOT) for path in (ROOT / "bridge").rglob("*.lua"))

PURE = ("bridge/domain/", "bridge/providers/")
IMPURE_MODULES = (
    *("asyncio", "aiohttp", "redis", "socket", "ssl", "http.client", "http.server", "urllib.request"),
    *("requests", "httpx", "sqlite3", "os", "io", "pathlib", "shutil", "tempfile", "subprocess", "signal"),
    *("threading", "multiprocessing", "concurrent", "time", "random", "secrets", "uuid"),
    *("logging", "structlog", "importlib"),
)
IMPURE_NAMES = frozenset({"open", "input", "print", "__import__", "eval", "exec"})
CLOCKS = frozenset({"now", "utcnow", "today"})

# Who may open what. Commands of the CLI are programs of their own: they ask one server and go.
PROGRAMS = ("bridge/cli/",)
OPENERS: dict[str, tuple[str, ...]] = {
    "bridge.container.open_services": ("bridge/api/app.py", "workers/main.py"),
    "bridge.store.store.Store.open": ("bridge/container.py",),
    "bridge.store.server.connect.connect": ("bridge/container.py", *PROGRAMS),
    "bridge.http.receivers.Sender": ("bridge/container.py", *PROGRAMS),
    "bridge.http.upstream.Upstream": ("bridge/container.py", *PROGRAMS),
    "aiohttp.ClientSession": ("bridge/http/", *PROGRAMS),
    "redis.asyncio.Redis": ("bridge/store/server/connect.py",),
    "redis.asyncio.Redis.from_url": ("bridge/store/server/connect.py",),
    "redis.asyncio.from_url": ("bridge/store/server/connect.py",),
    "redis.asyncio.BlockingConnectionPool.from_url": ("bridge/store/server/connect.py",),
    "redis.asyncio.ConnectionPool.from_url": ("bridge/store/server/connect.py",),
    "redis.asyncio.RedisCluster.from_url": ("bridge/store/server/connect.py",),
    "redis.asyncio.cluster.RedisCluster.from_url": ("bridge/store/server/connect.py",),
}

Finder = Callable[[ast.Module], Iterator[str]]


def list_imports(tree: ast.AST) -> Iterator[str]:
    """Give the full name of everything imported anywhere in a file, functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (f"{module}.{alias.name}" for alias in node.names)


def is_within(name: str, modules: tuple[str, ...]) -> bool:
    """Say whether a full name is one of the modules or lies in one."""
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def find_workers(tree: ast.Module) -> Iterator[str]:
    """Find imports of the worker's package."""
    yield from (name for name in list_imports(tree) if is_within(name, ("workers",)))


def find_relative(tree: ast.Module) -> Iterator[str]:
    """Find relative imports, which the other rules would not see."""
    yield from (name for name in list_imports(tree) if name.startswith("."))


def find_impure(tree: ast.Module) -> Iterator[str]:
    """Find what does I/O, reads a clock or throws dice."""
    yield from (name for name in list_imports(tree) if is_within(name, IMPURE_MODULES))
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in IMPURE_NAMES:
                yield f"{name}()"
            case ast.Call(func=ast.Attribute(attr=name)) if name in CLOCKS:
                yield f".{name}()"
            case ast.AsyncFunctionDef(name=name) | ast.Global(names=[name, *_]):
                yield name


def find_outside(*allowed: str) -> Finder:
    """Find imports of our own packages other than the allowed ones."""

    def find(tree: ast.Module) -> Iterator[str]:
        for name in list_imports(tree):
            if is_within(name, ("bridge", "workers", "tests")) and not is_within(name, allowed):
                yield name

    return find


def find_opened(tree: ast.Module) -> Iterator[str]:
    """Find calls that open a store or a client, by the full name of what is called."""
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                known[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, dot, rest = ast.unparse(node.func).partition(".")
            name = known.get(first, first) + dot + rest
            if name in OPENERS:
                yield name


def find_keys(tree: ast.Module) -> Iterator[str]:
    """Find texts that begin like a key of the store: a hash tag and a colon."""
    for node in ast.walk(tree):
        match node:
            case ast.JoinedStr(values=[ast.Constant(value=str(first)), ast.FormattedValue(), *_]):
                if first in ("{", "{p:"):
                    yield ast.unparse(node)
            case ast.Constant(value=str(text) | bytes(text)):
                shown = text if isinstance(text, str) else text.decode(errors="replace")
                if re.match(r"\{[\w:%]*\}:", shown):
                    yield shown


def parse(path: Path) -> ast.Module:
    """Parse a file, its path from the project's root."""
    return ast.parse((ROOT / path).read_text())


def find_in(paths: list[Path], find: Finder) -> list[str]:
    """Give every finding in some files, with its file."""
    return [f"{path}: {what}" for path in paths for what in find(parse(path))]


def under(*places: str) -> list[Path]:
    """Give the source files under some folders; there must be some."""
    found = [path for path in SOURCES if path.as_posix().startswith(places)]
    assert found, f"nothing lies under {places}"
    return found


def test_the_bridge_does_not_know_its_workers() -> None:
    """`workers` drives `bridge`, never the other way round."""
    assert find_in(under("bridge/"), find_workers) == []


def test_imports_are_absolute() -> None:
    """So that every rule here sees them."""
    assert find_in(SOURCES, find_relative) == []


def test_the_core_is_pure() -> None:
    """Domain and providers do no I/O, read no clock and throw no dice."""
    assert find_in(under(*PURE), find_impure) == []


def test_the_core_imports_only_the_core() -> None:
    """Providers know the domain; the domain knows only itself."""
    assert find_in(under("bridge/domain/"), find_outside("bridge.domain")) == []
    assert find_in(under("bridge/providers/"), find_outside("bridge.domain", "bridge.providers")) == []


def test_only_composition_roots_open_stores_and_clients() -> None:
    """Everybody else is handed what it needs."""
    opened = [(path.as_posix(), name) for path in SOURCES for name in find_opened(parse(path))]
    assert [(path, name) for path, name in opened if not path.startswith(OPENERS[name])] == []


@pytest.mark.parametrize("name", ["bridge.container.open_services", "bridge.store.store.Store.open"])
def test_the_composition_roots_are_where_the_rule_says(name: str) -> None:
    """A rule about a name that nobody calls would hold for ever."""
    for place in OPENERS[name]:
        assert name in find_opened(parse(Path(place)))


def test_only_the_store_spells_keys() -> None:
    """`store/keys.py` is the map of every key; others ask it."""
    elsewhere = [path for path in SOURCES if not path.as_posix().startswith("bridge/store/")]
    assert find_in(elsewhere, find_keys) == []
    assert find_in([Path("bridge/store/keys.py")], find_keys)


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


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_say_what_they_take_and_give(path: Path) -> None:
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
        (find_opened, "from bridge.simulator.upstream import Upstream\nUpstream(name='x')"),
        (find_keys, "path = '/v1/{id}'\nbucket = f'{name}:{bucket}'\nbody = '{\"a\":1}'"),
    ],
)
def test_rules_leave_others_alone(find: Finder, source: str) -> None:
    """What only looks alike is no finding."""
    assert list(find(ast.parse(source))) == []
