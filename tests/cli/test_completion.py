"""Completion in a real bash, and the words that options take."""

import subprocess
from typing import get_args

import pytest

from bridge.api.requests.fields import RecoverBody, Scope
from bridge.api.responses.callback_models import CallbackWord
from bridge.api.responses.models import DeliveryWord
from bridge.cli.arguments import values
from bridge.cli.completion import SHELLS, write_completion
from bridge.cli.main import build_parser


def complete(*words: str) -> set[str]:
    """Complete the last word in bash; return what is offered."""
    quoted = " ".join(f"'{word}'" for word in ("reelbridge", *words))
    script = (
        f"{write_completion(build_parser(), 'bash')}\n"
        f"COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; _reelbridge; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    done = subprocess.run(
        ["bash", "-u", "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert not done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["wa"], {"watch"}),
        (["watch", "sync"], {"sync_job"}),
        (["deliveries", "re"], {"retry", "recover"}),
        (["deliveries", "list", "--state", "p"], {"pending", "parked"}),
        (["events", "--ty"], {"--type"}),
        (["events", "--type", "sync_job.c"], {"sync_job.completed"}),
        (["completion", ""], {"bash", "zsh", "-h", "--help"}),
        (["nonsense", "li"], {"listen"}),
    ],
)
def test_bash_completes(words: list[str], offered: set[str]) -> None:
    """Commands, actions, options and their values, wherever the cursor is."""
    assert complete(*words) == offered


def test_every_shell_gets_every_command() -> None:
    """The scripts are made from the parser, so nothing can be missing but a mistake of the writer."""
    for shell in SHELLS:
        script = write_completion(build_parser(), shell)
        for word in ("watch", "listen", "doctor", "--forward-to", "rotate"):
            assert word in script


def test_words_of_options_are_those_of_the_api() -> None:
    """The command line does not import the API, and so keeps a copy."""
    assert get_args(CallbackWord) == values.CALLBACK_STATES
    assert get_args(DeliveryWord) == values.DELIVERY_STATES
    assert get_args(RecoverBody.model_fields["state"].annotation) == values.RECOVERED_STATES
    assert get_args(Scope) == values.SCOPES
