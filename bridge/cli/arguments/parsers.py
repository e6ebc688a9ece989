"""Build the parsers of commands and of their actions, with the options that many of them share."""

import argparse
from collections.abc import Callable
from typing import TypeAlias

from bridge.cli.setting_help import describe_settings

Command = Callable[[argparse.Namespace], int]
Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 -- it has no public name
HELP_ON_BRIDGE = (
    "It calls the reelbridge of this machine (REELBRIDGE_HOST, REELBRIDGE_PORT) or the one that --bridge names, with the\n"
    "key in REELBRIDGE_API_KEY, else the one that `reelbridge up` keeps in its data directory."
)


def add_command(
    commands: Subparsers, name: str, summary: str, command: Command, *, with_settings: bool = False
) -> argparse.ArgumentParser:
    """Add a command; with `with_settings` its help lists the settings."""
    added = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=describe_settings() if with_settings else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    added.set_defaults(command=command)
    return added


def add_action(
    actions: Subparsers, name: str, summary: str, command: Command, *words: tuple[str, str]
) -> argparse.ArgumentParser:
    """Add an action of a command that calls a bridge; `words` are its arguments, each with what it is."""
    added = actions.add_parser(
        name, help=summary, description=summary[0].upper() + summary[1:] + ".", allow_abbrev=False
    )
    for word, meaning in words:
        added.add_argument(word, metavar=word.upper(), help=meaning)
    add_remote_options(added)
    added.set_defaults(command=command)
    return added


def add_remote_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of whatever calls a bridge; an action leaves those of its command alone where it has none."""
    add_json(parser)
    parser.add_argument(
        "--bridge",
        metavar="URL",
        default=argparse.SUPPRESS,
        help="the bridge to call (default: the one on this machine)",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="print the result as JSON"
    )
