"""What is shown of a callback's URL, which is stored sealed."""

from msgspec.structs import replace

from bridge.domain.subscriptions.callback import Callback, CallbackState
from bridge.services.subscriptions.sealing import seal_text, show_url
from bridge.store.vault import Vault

VAULT, OTHER = Vault([b"k" * 32]), Vault([b"o" * 32])
URL = "https://user:pw@hooks.example/a/b?token=t0ps3cret&x#frag"


def callback(url: str, *, origin: str = "https://hooks.example:443") -> Callback:
    return Callback(
        id="cb_a1",
        state=CallbackState.WATCHING,
        created_ms=1,
        url=seal_text(VAULT, "cb_a1", url),
        origin=origin,
        masked="",
        fingerprint=b"f" * 16,
    )


def test_the_path_is_shown_and_values_are_not() -> None:
    """What is shown is made of the sealed URL."""
    assert show_url(VAULT, callback(URL)) == "https://***@hooks.example/a/b?token=***&***#***"
    assert show_url(VAULT, callback("inbox:mine?", origin="inbox:")) == "inbox:mine?"


def test_a_url_that_does_not_open_shows_where_it_leads() -> None:
    """Its master key is missing: lists go on, with the origin, which is stored in clear."""
    assert show_url(OTHER, callback(URL)) == "https://hooks.example:443/…"


def test_what_an_earlier_version_stored_is_shown_as_it_is() -> None:
    """Records of 0.1 hold the text that they show, whether or not their URL opens."""
    old = replace(callback(URL), masked="https://hooks.example/a/b?token=***")
    assert show_url(OTHER, old) == "https://hooks.example/a/b?token=***"
