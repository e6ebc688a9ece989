"""Checks before anything starts: the port is free, and no other process uses the data directory."""

import errno
import fcntl
import os
import socket
from pathlib import Path

from bridge.cli.local.errors import CommandError


def check_port(host: str, port: int) -> int:
    """Return the port to listen on, a free one for 0.

    Raise `CommandError` when the port is taken or the host is no address of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror:
        raise CommandError(
            f"REELBRIDGE_HOST: {host} is not known here; use an IP address of this machine"
        ) from None
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            raise CommandError(_explain(error, host, port)) from None
        return int(probe.getsockname()[1])


def _explain(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} on {host} is taken by another program: stop that one,"
            f" or choose another port with REELBRIDGE_PORT={port + 1 if port < 65_535 else 8080}"
        )
    if error.errno == errno.EACCES:
        return (
            f"port {port} needs more rights than this user has: use REELBRIDGE_PORT=8080, or any above 1023"
        )
    return f"REELBRIDGE_HOST: {host} is not an address of this machine; use 127.0.0.1, or 0.0.0.0 for all"


def find_free_port(host: str, *, preferred: int) -> int:
    """Return the preferred port if it is free, else any free one."""
    try:
        return check_port(host, preferred)
    except CommandError:
        return check_port(host, 0)


def lock_directory(data_dir: Path) -> int:
    """Create the data directory and lock it until the returned file descriptor is closed.

    Raise `CommandError` when it cannot be written or another `reelbridge up` holds the lock.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(data_dir / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CommandError(
            f"REELBRIDGE_DATA_DIR: {data_dir} cannot be written ({error.strerror}); choose another directory"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise CommandError(
            f"another `reelbridge up` uses {data_dir}: stop it, or give this one its own REELBRIDGE_DATA_DIR"
        ) from None
    return lock
