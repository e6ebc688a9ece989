"""What the architecture's rules look for: each function yields the breaches of one rule in one parsed file."""

import ast
import re
from collections.abc import Callable, Iterator, Mapping

Finder = Callable[[ast.Module], Iterator[str]]

IMPURE_MODULES = (
    *("asyncio", "aiohttp", "redis", "socket", "ssl", "http.client", "http.server", "urllib.request"),
    *("requests", "httpx", "sqlite3", "os", "io", "pathlib", "shutil", "tempfile", "subprocess", "signal"),
    *("threading", "multiprocessing", "concurrent", "time", "random", "secrets", "uuid"),
    *("logging", "structlog", "importlib", "aiohappyeyeballs"),
)
IMPURE_NAMES = frozenset({"open", "input", "print", "__import__", "eval", "exec"})
CLOCKS = frozenset({"now", "utcnow", "today"})
OURS = ("bridge", "workers", "tests")


def list_imports(tree: ast.AST) -> Iterator[str]:
    """Yield the full name of everything imported anywhere in a file, functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (f"{module}.{alias.name}" for alias in node.names)


def is_within(name: str, modules: tuple[str, ...]) -> bool:
    """Return whether a full name is one of the modules or lies in one."""
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def find_imports_of(*modules: str) -> Finder:
    """Return a finder of imports of some modules."""

    def find(tree: ast.Module) -> Iterator[str]:
        yield from (name for name in list_imports(tree) if is_within(name, modules))

    return find


def find_outside(*allowed: str) -> Finder:
    """Return a finder of imports of our own packages other than the allowed ones."""

    def find(tree: ast.Module) -> Iterator[str]:
        for name in list_imports(tree):
            if is_within(name, OURS) and not is_within(name, allowed):
                yield name

    return find


def find_relative(tree: ast.Module) -> Iterator[str]:
    """Find relative imports, which the other rules would not see."""
    yield from (name for name in list_imports(tree) if name.startswith("."))


def find_impure(tree: ast.Module) -> Iterator[str]:
    """Find what does I/O, reads a clock or draws random numbers."""
    yield from (name for name in list_imports(tree) if is_within(name, IMPURE_MODULES))
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in IMPURE_NAMES:
                yield f"{name}()"
            case ast.Call(func=ast.Attribute(attr=name)) if name in CLOCKS:
                yield f".{name}()"
            case ast.AsyncFunctionDef(name=name) | ast.Global(names=[name, *_]):
                yield name


def find_calls_of(names: Mapping[str, object]) -> Finder:
    """Return a finder of calls of some functions or classes, by their full names."""

    def find(tree: ast.Module) -> Iterator[str]:
        known = _name_imports(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                first, dot, rest = ast.unparse(node.func).partition(".")
                name = known.get(first, first) + dot + rest
                if name in names:
                    yield name

    return find


def _name_imports(tree: ast.Module) -> dict[str, str]:
    """Map each name that a file's imports define to the full name behind it."""
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                known[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return known


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


def find_redis(tree: ast.Module) -> Iterator[str]:
    """Find what speaks to Redis by itself: the key map, the scripts, redis-py, or the store's own connection."""
    yield from find_imports_of("bridge.store.keys", "bridge.store.scripts", "redis")(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "redis":
            yield ast.unparse(node)


def find_retry_loops(tree: ast.Module) -> Iterator[str]:
    """Find loops that try a number of times and commit or compare-and-set in them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.For) and ast.unparse(node.iter).startswith("range("):
            for name in sorted(set(_list_called_methods(node)) & {"commit", "commit_many", "swap"}):
                yield f"line {node.lineno}: {name} in a loop"


def _list_called_methods(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.func.attr


def find_attribute(*names: str) -> Finder:
    """Return a finder of uses of some attributes."""

    def find(tree: ast.Module) -> Iterator[str]:
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in names:
                yield f"line {node.lineno}: {ast.unparse(node)}"

    return find


def find_callbacks(tree: ast.Module) -> Iterator[str]:
    """Find uses of a job's callbacks; the key of a project's list of callbacks has the same name."""
    yield from (found for found in find_attribute("callbacks")(tree) if not found.endswith(" keys.callbacks"))


def list_public_classes(tree: ast.Module) -> Iterator[str]:
    """Yield the public classes that a file defines."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name


def list_long_functions(tree: ast.Module, longest: int) -> Iterator[str]:
    """Yield the functions that take more lines than allowed, decorators and docstring included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            if (lines := node.end_lineno - node.lineno + 1) > longest:
                yield f"{node.name}: {lines} lines"


def find_circles(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the groups of names that can all be reached from each other, each sorted; names alone are no group."""
    reach: dict[str, set[str]] = {}
    for start in arrows:
        seen: set[str] = set()
        waiting = list(arrows[start])
        while waiting:
            if (name := waiting.pop()) not in seen:
                seen.add(name)
                waiting += arrows.get(name, ())
        reach[start] = seen
    groups = {frozenset(b for b in reach if a in reach[b] and b in reach[a]) for a in reach}
    return sorted(sorted(group) for group in groups if len(group) > 1)
