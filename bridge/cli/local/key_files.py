"""Keys that `up` makes on its first start and keeps in the data directory, readable by this user only."""

import base64
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from bridge.cli.local.errors import CommandError
from bridge.config.settings import Settings

API_KEY_FILE = "api-key"
MASTER_KEYS_FILE = "master-keys"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The keys that a start of `up` uses, and where the API key came from."""

    api_key: str
    master_keys: str
    api_key_file: Path | None  # None: set by REELBRIDGE_API_KEY
    api_key_is_new: bool


def find_keys(settings: Settings) -> Keys:
    """Return the keys from the settings, else those kept in the data directory, else new ones, which are kept.

    The caller holds the lock of the data directory. Raise `CommandError` for a key file that cannot be used, and for a
    missing master key when there is a store that was encrypted with it.
    """
    master_keys = _find_master_keys(settings)
    if settings.api_key is not None:
        return Keys(
            api_key=settings.api_key.get_secret_value(),
            master_keys=master_keys,
            api_key_file=None,
            api_key_is_new=False,
        )
    file = settings.data_dir / API_KEY_FILE
    kept = _read_kept(file)
    api_key = kept or _keep(file, "brk_" + secrets.token_hex(20))
    return Keys(api_key=api_key, master_keys=master_keys, api_key_file=file, api_key_is_new=kept is None)


def _find_master_keys(settings: Settings) -> str:
    if settings.master_keys is not None:
        return settings.master_keys.get_secret_value()
    file = settings.data_dir / MASTER_KEYS_FILE
    kept = _read_kept(file)
    if kept is None and any((settings.data_dir / "store").glob("*/engine.json")):
        raise CommandError(
            f"{file} is gone, and what the store keeps secret cannot be read without it: restore it from a backup,"
            " set REELBRIDGE_MASTER_KEYS, or set REELBRIDGE_DATA_DIR to a new directory to begin empty"
        )
    return kept or _keep(file, base64.b64encode(secrets.token_bytes(32)).decode())


def find_api_key(settings: Settings) -> str:
    """Return the API key with which commands call a running bridge; raise `CommandError` when there is none."""
    if settings.api_key is not None:
        return settings.api_key.get_secret_value()
    kept = _read_kept(settings.data_dir / API_KEY_FILE)
    if kept is None:
        raise CommandError(
            f"no API key: set REELBRIDGE_API_KEY (or start `reelbridge up` once, which keeps one in {settings.data_dir})"
        )
    return kept


def _read_kept(file: Path) -> str | None:
    try:
        text = file.read_text().strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        raise CommandError(
            f"{file} cannot be read: mend its permissions, or restore it from a backup"
        ) from None
    if not text:
        raise CommandError(f"{file} is empty: restore it from a backup, or remove it to have a new key made")
    return text


def _keep(file: Path, text: str) -> str:
    """Write a new key file that is complete or absent, even after a power cut."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text + "\n")
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)
    _sync_directory(file.parent)
    return text


def _sync_directory(directory: Path) -> None:
    """Make the new file name durable: without the master key the store could not be decrypted any more."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
