"""Completion for shells, made from the parser: commands, actions, options, and the values of those that have a list."""

import argparse
import shlex
from collections.abc import Iterator, Mapping
from typing import Final

SHELLS: Final = ("bash", "zsh")
# The commands typed so far select the words that may follow; an option with a list of values selects those.
_BODY = """\
    local typed="" word previous="${{{words}[{previous}]}}" found=""
    for word in "${{{words}[@]:1:{last}}}"; do
        case "$typed $word" in
            {paths}) typed="$typed $word" ;;
        esac
    done
    case "$typed $previous" in
{values}
        *) case "$typed" in
{follow}
        esac ;;
    esac
"""
_BASH = """\
_reelbridge() {{
{body}    COMPREPLY=($(compgen -W "$found" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _reelbridge reelbridge"""
_ZSH = """\
#compdef reelbridge
_reelbridge() {{
{body}    if [[ -n "$found" && "${{words[CURRENT]}}" != */* ]]; then compadd -- ${{=found}}; else _files; fi
}}
compdef _reelbridge reelbridge"""


def write_completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """Return the script for a shell."""
    tree = dict(_walk(parser, ""))
    paths = "|".join(shlex.quote(path) for path in tree if path)
    values = {
        f"{path} {option}": list(action.choices)
        for path, each in tree.items()
        for action in each._actions  # noqa: SLF001 -- argparse has no other way to list them
        if action.choices and not isinstance(action, argparse._SubParsersAction)  # noqa: SLF001 -- likewise
        for option in action.option_strings
    }
    follow = {path: sorted(_list_words(each)) for path, each in tree.items()}
    zsh = shell == "zsh"
    body = _BODY.format(
        words="words" if zsh else "COMP_WORDS",
        previous="CURRENT-1" if zsh else "COMP_CWORD-1",
        last="CURRENT-2" if zsh else "COMP_CWORD-1",
        paths=paths,
        values=_write_cases(values, " " * 8),
        follow=_write_cases(follow, " " * 12),
    )
    return (_ZSH if zsh else _BASH).format(body=body)


def _walk(parser: argparse.ArgumentParser, path: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    yield path, parser
    for action in parser._actions:  # noqa: SLF001 -- likewise
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 -- likewise
            for name, each in action.choices.items():
                yield from _walk(each, f"{path} {name}")


def _list_words(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:  # noqa: SLF001 -- likewise
        yield from action.option_strings or map(str, action.choices or ())


def _write_cases(words: Mapping[str, list[str]], indent: str) -> str:
    return "\n".join(
        f"{indent}{shlex.quote(path)}) found={shlex.quote(' '.join(each))} ;;" for path, each in words.items()
    )
