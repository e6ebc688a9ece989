"""The arguments of the commands that call a bridge."""

from bridge.cli.arguments.endpoints import add_endpoints
from bridge.cli.arguments.lists import call_bridge
from bridge.cli.arguments.nouns import add_deliveries, add_events, add_jobs, add_keys
from bridge.cli.arguments.parsers import HELP_ON_BRIDGE, Subparsers, add_command, add_remote_options
from bridge.cli.arguments.values import WATCHABLE
from bridge.cli.remote.listen import listen
from bridge.cli.remote.watch import watch

EXIT_STATUSES = (
    "exit status: 0 succeeded, 3 failed, 4 partial, 5 skipped, 6 deleted, 7 unknown (timed out, not found);\n"
    "1 it could not be watched, 2 wrong use, 130 interrupted. What was begun goes on at the bridge."
)


def add_remote_commands(commands: Subparsers) -> None:
    """Add the commands that call a bridge."""
    _add_watch(commands)
    _add_listen(commands)
    add_jobs(commands)
    add_events(commands)
    add_deliveries(commands)
    add_endpoints(commands)
    add_keys(commands)


def _add_watch(commands: Subparsers) -> None:
    parser = add_command(
        commands,
        "watch",
        "watch a job to its end; the exit status tells the outcome",
        call_bridge(
            lambda api, chosen: watch(
                api, chosen.kind, chosen.id, account=chosen.account, as_json=chosen.json
            )
        ),
    )
    parser.add_argument("kind", metavar="KIND", choices=WATCHABLE, help=", ".join(WATCHABLE))
    parser.add_argument("id", metavar="ID", help="the job's id, as its provider gave it")
    parser.add_argument("--account", metavar="ACC", help="whose job it is, where the project has several")
    add_remote_options(parser)
    parser.epilog = f"{HELP_ON_BRIDGE}\n\n{EXIT_STATUSES}"


def _add_listen(commands: Subparsers) -> None:
    parser = add_command(
        commands,
        "listen",
        "forward the project's events to a URL of this machine, signed, without a tunnel",
        call_bridge(
            lambda api, chosen: listen(api, chosen.forward_to, after=chosen.after, as_json=chosen.json)
        ),
    )
    parser.add_argument("--forward-to", required=True, metavar="URL", help="where to post each event")
    parser.add_argument(
        "--after",
        default="",
        metavar="PLACE",
        help="begin behind an event's id or a position, 0 for all that is there (default: from now on)",
    )
    add_remote_options(parser)
    parser.epilog = (
        f"{HELP_ON_BRIDGE}\nThe signing secret is REELBRIDGE_SIGNING_SECRET, else the project's own, for which the key"
        " needs the scope admin."
    )
