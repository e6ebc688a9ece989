"""The arguments that all lists of a bridge's objects share, and how a command reaches a bridge."""

import argparse
from collections.abc import Callable, Coroutine
from typing import Any

from bridge.cli.arguments.parsers import (
    HELP_ON_BRIDGE,
    Command,
    Subparsers,
    add_action,
    add_command,
    add_remote_options,
)
from bridge.cli.local.api_client import ApiClient
from bridge.cli.remote.lists import Listing, Query
from bridge.cli.remote.session import run_remote

Work = Callable[[ApiClient, argparse.Namespace], Coroutine[Any, Any, int]]
MOST_ROWS = 100_000


def call_bridge(work: Work) -> Command:
    """Return a command that does some work with a bridge."""
    return lambda chosen: run_remote(lambda api: work(api, chosen), bridge=chosen.bridge)


def add_list(
    commands: Subparsers,
    name: str,
    summary: str,
    *,
    listing: Listing,
    filters: Callable[[argparse.ArgumentParser], None] = lambda _: None,
    query: Callable[[argparse.Namespace], Query] = lambda _: {},
) -> Subparsers:
    """Add a command with the action `list`, which the command alone does too; return where further actions go."""

    async def work(api: ApiClient, chosen: argparse.Namespace) -> int:
        return await listing.show(api, query(chosen), limit=chosen.limit, as_json=chosen.json)

    parser = add_command(commands, name, summary, call_bridge(work))
    parser.set_defaults(limit=20)
    add_remote_options(parser)
    parser.epilog = HELP_ON_BRIDGE
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    for each in (parser, add_action(actions, "list", f"show the newest {name}", call_bridge(work))):
        filters(each)
        each.add_argument(
            "--limit",
            type=_read_limit,
            metavar="N",
            default=argparse.SUPPRESS,
            help="how many (default 20)",
        )
    return actions


def _read_limit(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= MOST_ROWS:
        raise argparse.ArgumentTypeError(f"use a number from 1 to {MOST_ROWS}")
    return int(text)


def add_filter(parser: argparse.ArgumentParser, option: str, meaning: str, *values: str) -> None:
    """Add an option that narrows a list, to one of some values if there are any."""
    parser.add_argument(
        option,
        choices=values or None,
        default=argparse.SUPPRESS,
        metavar=option.removeprefix("--").upper(),
        help=f"{meaning}: {', '.join(values)}" if 0 < len(values) <= 10 else meaning,
    )


def pick(chosen: argparse.Namespace, **names: str) -> Query:
    """Return the query's fields that were given as options; `names` maps each field to its option."""
    return {field: getattr(chosen, option, None) for field, option in names.items()}


def add_period(parser: argparse.ArgumentParser) -> None:
    """Add the options of a recovery."""
    parser.add_argument(
        "--since", required=True, metavar="TIME", help="2026-11-21T10:00:00Z, or an age such as 30m, 24h, 7d"
    )
    parser.add_argument("--until", metavar="TIME", help="likewise (default: now)")
