"""What is sealed opens under the right key and record only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.store.vault import TamperedError, UnknownKeyError, Vault

OLD, NEW = b"o" * 32, b"n" * 32


@given(plaintext=st.binary(max_size=4096), record=st.text(max_size=40))
def test_what_is_sealed_opens_again(plaintext: bytes, record: str) -> None:
    """Any bytes come back, 32 bytes of overhead on the way."""
    vault = Vault([NEW])
    sealed = vault.seal(plaintext, record=record)
    assert vault.open(sealed, record=record) == plaintext
    assert len(sealed) == len(plaintext) + 32


@given(position=st.integers(min_value=4, max_value=40), bit=st.integers(min_value=0, max_value=7))
def test_any_flipped_bit_is_noticed(position: int, bit: int) -> None:
    """A damaged nonce, ciphertext or tag does not open."""
    vault = Vault([NEW])
    sealed = bytearray(vault.seal(b"secret value", record="acc_1"))
    sealed[position] ^= 1 << bit
    with pytest.raises(TamperedError):
        vault.open(bytes(sealed), record="acc_1")


def test_a_value_moved_to_another_record_does_not_open() -> None:
    """The record's id is authenticated: a row cannot be swapped for another."""
    vault = Vault([NEW])
    sealed = vault.seal(b"https://a.example/?token=1", record="cb_1")
    with pytest.raises(TamperedError):
        vault.open(sealed, record="cb_2")


def test_rotation_opens_the_old_and_asks_to_reseal_it() -> None:
    """After a new key is put first, old values still open and say that they want the new key."""
    sealed = Vault([OLD]).seal(b"x", record="r")
    rotated = Vault([NEW, OLD])
    assert rotated.open(sealed, record="r") == b"x"
    assert rotated.needs_reseal(sealed)
    assert not rotated.needs_reseal(rotated.seal(b"x", record="r"))


def test_a_forgotten_key_is_named_without_showing_it() -> None:
    """The error of a missing master key says which setting to mend and holds neither key."""
    sealed = Vault([OLD]).seal(b"x", record="r")
    with pytest.raises(UnknownKeyError, match="REELBRIDGE_MASTER_KEYS") as caught:
        Vault([NEW]).open(sealed, record="r")
    assert OLD.decode() not in str(caught.value)
    assert sealed[:4].hex() in str(caught.value)


def test_a_cut_value_is_a_tampered_one() -> None:
    """Too few bytes to be a sealed value are refused before any key is tried."""
    with pytest.raises(TamperedError):
        Vault([NEW]).open(b"\x00" * 31, record="r")


def test_each_sealing_takes_a_fresh_nonce_from_the_dice() -> None:
    """Two sealings of one text differ; with loaded dice they do not."""
    vault = Vault([NEW])
    assert vault.seal(b"x", record="r") != vault.seal(b"x", record="r")
    loaded = Vault([NEW], dice=lambda size: b"7" * size)
    assert loaded.seal(b"x", record="r") == loaded.seal(b"x", record="r")


def test_fingerprints_depend_on_text_and_pepper_only() -> None:
    """A look-up value is stable over key rotation and useless without the pepper."""
    first = Vault([OLD], pepper=b"p").fingerprint("https://a.example")
    assert len(first) == 16
    assert Vault([NEW], pepper=b"p").fingerprint("https://a.example") == first
    assert Vault([OLD], pepper=b"q").fingerprint("https://a.example") != first
    assert Vault([OLD], pepper=b"p").fingerprint("https://b.example") != first


def test_a_vault_without_a_usable_key_is_refused() -> None:
    """No keys or a short key is a programming error that shows at once."""
    with pytest.raises(ValueError, match="at least one"):
        Vault([])
    with pytest.raises(ValueError, match="32 bytes"):
        Vault([b"short"])
