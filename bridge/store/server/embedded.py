"""The private Valkey server of `reelbridge up`, on a unix socket, with its data in one directory.

The server survives a kill -9 of the process that started it, and the next start adopts it. Two servers would destroy
the data, so that the server itself inherits a lock on the directory. Engines and older versions may not read each
other's append-only files, so that each engine has its own directory with a marker of its version. A start never begins
with empty data unnoticed.
"""

import asyncio
import fcntl
import os
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from bridge.store.server.aof_repair import Repair, mend, remove_old_copies
from bridge.store.server.engines import Engine, find_engine
from bridge.store.server.errors import EmbeddedStoreError
from bridge.store.server.markers import (
    AOF_DIRECTORY,
    check_history,
    check_marker,
    open_private,
    read_marker,
    write_marker,
)
from bridge.store.server.memory import plan_store_memory, read_machine_memory
from bridge.store.server.sockets import ask, choose_socket, wait_closed

START_TIMEOUT_S = 15.0
LOADING_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 20.0
LOG_LIMIT_BYTES = 1 << 20
OPTIONS = {
    "appendfsync": "everysec",
    "hz": "100",  # the server answers WAITAOF at this frequency
    "maxmemory-policy": "noeviction",
    "hash-max-listpack-value": "512",
    "timeout": "0",
    # A cut file is cut by us instead, so that a copy of it is kept and the operator is told.
    "aof-load-truncated": "no",
}


class StoreEndedError(EmbeddedStoreError):
    """The server ended while it was starting; the message has its last lines."""


class EmbeddedStore:
    """One server on one data directory."""

    def __init__(
        self,
        data_dir: Path,
        *,
        choose_engine: Callable[[], Engine] = find_engine,
        memory_bytes: int | None = None,
        runtime_dir: Path | None = None,
        start_timeout_s: float = START_TIMEOUT_S,
    ) -> None:
        """Take the bridge's data directory, in which the store has a directory.

        `memory_bytes` is the limit at which the server refuses new work (None: a share of the machine's memory),
        `runtime_dir` is for the socket if its path would be too long, `start_timeout_s` how long to wait for a server
        that neither answers nor loads its data.
        """
        self._root = data_dir.resolve() / "store"
        self._choose_engine = choose_engine
        self._runtime_dir = runtime_dir
        self._start_timeout_s = start_timeout_s
        self._dir = self._root
        self.memory_bytes = memory_bytes or plan_store_memory(read_machine_memory())
        self._options = OPTIONS | {"maxmemory": str(self.memory_bytes)}
        self._socket = self._root / "s.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self.engine: Engine | None = None
        self.adopted = False
        self.repairs: list[Repair] = []  # what the starts of this object have cut off

    @property
    def url(self) -> str:
        """The running server's address, in the format of `REELBRIDGE_REDIS_URL`."""
        return f"unix://{quote(str(self._socket))}"

    @property
    def socket(self) -> Path:
        """Where the running server listens."""
        return self._socket

    async def start(self) -> None:
        """Adopt the directory's server if one runs, else start one; return once it answers.

        An append-only file whose tail a power cut has damaged is cut at its last whole command, see `repairs`.
        """
        engine = self.engine = await asyncio.to_thread(self._choose_engine)
        self._dir = self._root / engine.name
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._dir.mkdir(mode=0o700, exist_ok=True)
        check_history(self._dir, engine)
        lock = await self._lock_or_adopt()
        if lock is None:
            return
        try:
            check_marker(self._dir, engine)
            await self._launch_mended(engine, lock)
            await asyncio.to_thread(remove_old_copies, self._dir, now_s=time.time())
        finally:
            os.close(lock)
        write_marker(self._dir, "engine.json", {"engine": engine.name, "version": engine.version})

    async def _launch_mended(self, engine: Engine, lock: int) -> None:
        """Launch the server; when it refuses its files, cut a damaged tail off and launch it again."""
        self._launch(engine, lock)
        try:
            await self._wait_ready()
        except StoreEndedError as refused:
            # Only now: reading the files takes us half a minute a GB, and most are whole.
            try:
                repair = await asyncio.to_thread(mend, self._dir / AOF_DIRECTORY)
            except EmbeddedStoreError as error:
                raise EmbeddedStoreError(f"{error}\n{refused}") from None
            if repair is None:
                raise EmbeddedStoreError(
                    f"{refused}\n(The incremental append-only files are whole. Where the lines above name another file,"
                    f" restore {self._dir / AOF_DIRECTORY} from a backup.)"
                ) from None
            self.repairs.append(repair)
            self._launch(engine, lock)
            await self._wait_ready()

    async def wait_gone(self) -> None:
        """Return when the server has died."""
        await wait_closed(self._socket)
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._process.wait, 1.0)

    async def stop(self) -> None:
        """Shut the server down; kill it if that takes too long."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + STOP_TIMEOUT_S
        while (  # noqa: ASYNC110 -- only the server knows when it may end
            await ask(self._socket, "SHUTDOWN") is not None and loop.time() < deadline
        ):
            # Refused temporarily, for example while the first append-only file is being written.
            await asyncio.sleep(0.1)
        if self._process is None:
            await self._wait_unlocked(deadline)
        else:
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._process.wait, max(1.0, deadline - loop.time()))
            if self._process.poll() is None:
                self._process.kill()
            await asyncio.to_thread(self._process.wait)
            self._process = None

    async def _wait_unlocked(self, deadline: float) -> None:
        """Wait until an adopted server has ended and so released its lock."""
        with suppress(FileNotFoundError), (self._dir / "lock").open("rb") as lock:
            while asyncio.get_running_loop().time() < deadline:
                with suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return
                await asyncio.sleep(0.02)

    def log_tail(self, lines: int = 10) -> str:
        """Return the last lines of the server's log."""
        try:
            text = (self._dir / "server.log").read_bytes()[-16_384:].decode("utf-8", "replace")
        except OSError:
            return "(no output)"
        return "\n".join(text.splitlines()[-lines:])

    async def _lock_or_adopt(self) -> int | None:
        """Return the directory's lock, or None if a running server holds it, which is then used."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._start_timeout_s
        lock = os.open(self._dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock
            if await self._adopt():
                os.close(lock)
                return None
            if loop.time() > deadline:
                os.close(lock)
                raise EmbeddedStoreError(
                    f"another server holds {self._dir} and does not answer: end it (`fuser {self._dir / 'lock'}`"
                    " names it), then start again"
                )
            await asyncio.sleep(0.05)  # it may be starting, loading, or about to end

    async def _adopt(self) -> bool:
        record = read_marker(self._dir, "server.json")
        if record is None:
            return False
        self._socket = Path(str(record.get("socket")))
        if await ask(self._socket, "PING") != "+PONG":
            return False
        await ask(
            self._socket, "CONFIG SET " + " ".join(f"{name} {value}" for name, value in self._options.items())
        )
        self.adopted = self._process is None or self._process.poll() is not None
        return True

    def _launch(self, engine: Engine, lock: int) -> None:
        self._socket = choose_socket(self._dir, runtime_dir=self._runtime_dir)
        self._socket.unlink(missing_ok=True)
        write_marker(self._dir, "server.json", {"socket": str(self._socket)})
        log = self._dir / "server.log"
        mode = "ab" if log.exists() and log.stat().st_size < LOG_LIMIT_BYTES else "wb"
        with open(log, mode, opener=open_private) as output:
            self._process = subprocess.Popen(  # noqa: S603 -- our own arguments, no shell
                self._command(engine),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._dir,
                pass_fds=(lock,),
                umask=0o077,
                start_new_session=True,  # Ctrl-C on the terminal must reach only `up`, which ends the store last
            )
        self.adopted = False

    def _command(self, engine: Engine) -> list[str]:
        fixed = [
            "--port",
            "0",
            "--daemonize",
            "no",
            "--unixsocket",
            str(self._socket),
            "--unixsocketperm",
            "700",
        ]
        durable = ["--dir", str(self._dir), "--appendonly", "yes", "--save", ""]
        tuned = [part for name, value in self._options.items() for part in (f"--{name}", value)]
        return [str(engine.binary), *fixed, *durable, *tuned]

    async def _wait_ready(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        limit = self._start_timeout_s
        while (answer := await ask(self._socket, "PING")) != "+PONG":
            if self._process is not None and self._process.poll() is not None:
                raise StoreEndedError(f"the store ended while starting; its last lines:\n{self.log_tail()}")
            if answer is not None and answer.startswith("-LOADING"):
                limit = LOADING_TIMEOUT_S
            if loop.time() - began > limit:
                raise EmbeddedStoreError(
                    f"the store did not answer in {limit:.0f} s; its last lines:\n{self.log_tail()}"
                )
            await asyncio.sleep(0.01)
