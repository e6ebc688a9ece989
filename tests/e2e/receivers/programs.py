"""The receivers of `deploy/receivers` as running programs, each in a folder of its own."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.docs.pages import ROOT
from tests.e2e.processes import Process, free_port
from tests.nocode.toolbox import Toolbox

HERE = Path(__file__).parent
KIT = ROOT / "deploy" / "receivers"
Command = Callable[[int, Path, Path], list[str]]


@dataclass(frozen=True, kw_only=True)
class Program:
    """How to run a receiver: the folder of the kit it is in, further files, and a command from port, node and modules.

    `ready` is what it prints once it takes requests; empty: the port tells.
    """

    folder: str
    command: Command
    beside: tuple[str, ...] = ()
    node: bool = True
    ready: str


def _python(*words: str) -> Command:
    return lambda port, _node, _modules: [sys.executable, *(each.format(port=port) for each in words)]


def _node(script: str) -> Command:
    return lambda _port, node, _modules: [str(node), script]


PROGRAMS = {
    "flask": Program(
        folder="python",
        node=False,
        command=_python("-m", "flask", "--app", "flask_receiver", "run", "--port", "{port}"),
        ready="Running on",
    ),
    "fastapi": Program(
        folder="python",
        node=False,
        command=_python("-m", "uvicorn", "fastapi_receiver:app", "--port", "{port}"),
        ready="Uvicorn running",
    ),
    "aiohttp": Program(
        folder="python",
        node=False,
        command=_python("-m", "aiohttp.web", "-H", "127.0.0.1", "-P", "{port}", "aiohttp_receiver:make_app"),
        ready="Running on",
    ),
    "django": Program(
        folder="python",
        node=False,
        command=_python("django_receiver.py", "runserver", "--noreload", "127.0.0.1:{port}"),
        ready="Quit the server",
    ),
    "express": Program(folder="node", command=_node("express.mjs"), ready="listening"),
    "next": Program(
        folder="node", beside=("serve_route.mjs",), command=_node("serve_route.mjs"), ready="listening"
    ),
    "cloudflare": Program(
        folder="cloudflare", beside=("serve_worker.mjs",), command=_node("serve_worker.mjs"), ready="ready"
    ),
    "node-red": Program(
        folder="node-red",
        command=lambda port, node, modules: [
            *(str(node), str(modules / "node-red" / "red.js"), "--userDir", ".", "--port", str(port)),
            *("-D", "uiHost=127.0.0.1", "flow.json"),
        ],
        ready="Started flows",
    ),
}


@contextmanager
def running(
    program: Program, toolbox: Toolbox | None, folder: Path, secret: str
) -> Iterator[tuple[str, Process]]:
    """Run a receiver for a while; yield its URL and its process."""
    shutil.copytree(KIT / program.folder, folder, dirs_exist_ok=True)
    for name in program.beside:
        shutil.copy(HERE / name, folder)
    node = modules = Path()
    if toolbox is not None:
        node, modules = toolbox.node, toolbox.modules
        (folder / "node_modules").symlink_to(modules)
        shutil.copy(HERE / "package.json", folder)
    port = free_port()
    environment = {"WEBHOOK_SECRET": secret, "PORT": str(port), "PYTHONWARNINGS": "default", "NO_COLOR": "1"}
    process = Process(*program.command(port, node, modules), env=environment, cwd=folder)
    try:
        process.wait_for(program.ready)
        yield f"http://127.0.0.1:{port}/webhook", process
    finally:
        process.kill()
