"""Encrypt the secrets that are stored in Redis: credentials, signing secrets, callback URLs, extra headers."""

import hashlib
import os
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

KEY_BYTES = 32
KEY_ID_BYTES = 4
NONCE_BYTES = 12
TAG_BYTES = 16
FINGERPRINT_BYTES = 16
_CIPHERTEXT_AT = KEY_ID_BYTES + NONCE_BYTES


class VaultError(Exception):
    """A sealed value cannot be opened."""


class UnknownKeyError(VaultError):
    """A sealed value names a master key that is not configured."""

    def __init__(self, key_id: bytes) -> None:
        """Name the missing key by its id, which is no secret."""
        self.key_id = key_id.hex()
        super().__init__(
            f"sealed with master key {key_id.hex()}, which is not among REELBRIDGE_MASTER_KEYS: add that key again"
            " (it need not be the first)"
        )


class TamperedError(VaultError):
    """A sealed value was damaged, or belongs to another record."""


class Vault:
    """Encrypts with AES-256-GCM under the first of several keys; decrypts with the one that encrypted a value.

    A sealed value is key id (4 bytes), nonce (12), ciphertext, tag (16). The record's id is authenticated, so that a
    sealed value cannot be opened as part of another record.
    """

    def __init__(
        self, keys: Sequence[bytes], *, pepper: bytes = b"", dice: Callable[[int], bytes] = os.urandom
    ) -> None:
        """Take keys of 32 bytes; `pepper` is the key of the fingerprints and must never change."""
        if not keys:
            raise ValueError("a vault needs at least one master key")
        if any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"a master key has {KEY_BYTES} bytes")
        self._first = _key_id(keys[0])
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}
        self._fingerprints = HMAC(
            pepper, SHA256()
        )  # copied for each one: setting the key takes as long as the rest
        self._dice = dice

    def seal(self, plaintext: bytes, *, record: str) -> bytes:
        """Return the encrypted value for one record, 32 bytes longer than the plaintext."""
        nonce = self._dice(NONCE_BYTES)
        return self._first + nonce + self._ciphers[self._first].encrypt(nonce, plaintext, record.encode())

    def open(self, sealed: bytes, *, record: str) -> bytes:
        """Return the plaintext of what `seal` returned for the same record; raise `VaultError`."""
        if len(sealed) < KEY_ID_BYTES + NONCE_BYTES + TAG_BYTES:
            raise TamperedError("a sealed value is too short")
        key_id = sealed[:KEY_ID_BYTES]
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise UnknownKeyError(key_id)
        nonce, ciphertext = sealed[KEY_ID_BYTES:_CIPHERTEXT_AT], sealed[_CIPHERTEXT_AT:]
        try:
            return cipher.decrypt(nonce, ciphertext, record.encode())
        except InvalidTag:
            raise TamperedError("a sealed value was damaged or belongs to another record") from None

    def needs_reseal(self, sealed: bytes) -> bool:
        """Return whether a value was encrypted under another key than the first one."""
        return sealed[:KEY_ID_BYTES] != self._first

    def reseal(self, sealed: bytes, *, record: str) -> bytes:
        """Return the value sealed by the first key: unchanged when it was so already; raise as `open` does."""
        return (
            self.seal(self.open(sealed, record=record), record=record)
            if self.needs_reseal(sealed)
            else sealed
        )

    @property
    def key_ids(self) -> list[str]:
        """The ids of the keys, the sealing one first; an id is no secret."""
        return [key_id.hex() for key_id in self._ciphers]

    def fingerprint(self, text: str) -> bytes:
        """Return a keyed hash of 16 bytes, by which a URL or credential is found without being stored in clear."""
        mac = self._fingerprints.copy()
        mac.update(text.encode())
        return mac.finalize()[:FINGERPRINT_BYTES]


def sealing_key(sealed: bytes) -> str:
    """Return the id of the master key that sealed a value."""
    return sealed[:KEY_ID_BYTES].hex()


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"reelbridge master key\0" + key).digest()[:KEY_ID_BYTES]
