"""The command line: `reelbridge COMMAND`."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from bridge.cli.local.errors import CommandError
from bridge.cli.local.parent_death import tie_to_supervisor
from bridge.cli.setting_help import describe_settings
from bridge.config.settings import SettingsError, load_settings
from bridge.domain.events.payloads import PAYLOADS
from bridge.domain.printable import printable
from bridge.providers.registry import CATALOGUE, PROVIDERS
from bridge.simulator.demo import demo_environment

SCOPES = ("register", "read", "manage", "proxy", "admin")
HELP_ON_SIGNING = (
    "The signing secret is taken from REELBRIDGE_SIGNING_SECRET. If that is unset, the secret\n"
    "of project default is read from the reelbridge that runs on this machine."
)
TITLES = " and ".join(provider.title for provider in PROVIDERS.values())
PRIVATE = 0o077  # nothing that a command or its children write is for other users of the machine
Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its status: 2 for bad arguments or settings, 1 for any other failure."""
    os.umask(PRIVATE)
    tie_to_supervisor()
    chosen = _parser().parse_args(arguments)
    command: Command = chosen.command
    try:
        status = command(chosen)
    except SettingsError as error:
        reason = _indent(printable(str(error), lines=True))
        print(f"reelbridge: these settings cannot be used:\n{reason}", file=sys.stderr)  # noqa: T201 -- the command line's output
        status = 2
    except CommandError as error:
        print(f"reelbridge: {printable(str(error), lines=True)}", file=sys.stderr)  # noqa: T201 -- likewise
        status = 1
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="reelbridge",
        description=f"Webhooks for {TITLES}.",
        epilog="`reelbridge COMMAND --help` shows the options of a command and the settings that it reads.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add(commands, "up", "run the whole service: store, API and worker, supervised", _up, with_settings=True)
    _add(commands, "api", "run one API process", _api, with_settings=True)
    _add(commands, "worker", "run one worker process", _worker, with_settings=True)
    _add_simulate(_add(commands, "simulate", f"run the built-in simulator of {TITLES}", _simulate))
    _add(
        commands,
        "doctor",
        "check the settings, the store, the upstream keys and the running service",
        _doctor,
        with_settings=True,
    )
    _add_verify(
        _add(commands, "verify", "check the signature of a received callback and explain the result", _verify)
    )
    _add_trigger(_add(commands, "trigger", "post a signed sample event to a URL", _trigger))
    _add_certify(
        _add(
            commands,
            "certify",
            "send a receiver what it may meet, and say what it does not handle",
            _certify,
        )
    )
    _add_keys(
        _add(commands, "keys", "list, create and revoke the API keys of the running service", _list_keys)
    )
    return parser


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    summary: str,
    command: Command,
    *,
    with_settings: bool = False,
) -> argparse.ArgumentParser:
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


def _add_simulate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8090, help="port, 0 for any free one (default 8090)")
    parser.add_argument(
        "--speed",
        type=float,
        default=1.0,
        help="how many times as fast as documented the jobs run (default 1)",
    )
    variables = demo_environment("http://127.0.0.1:8090")
    parser.epilog = (
        "A bridge uses it with these variables; any key of such a form is accepted:\n\n"
        + "".join(f"  {name}={value}\n" for name, value in variables.items())
        + "\nA job of any kind whose id begins with `demo` begins at its first read and ends 8 seconds later.\n"
        "Any other id that was not started here answers 404, as a mistyped one would."
    )


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-H",
        dest="headers",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="a header as it was received: webhook-id, webhook-timestamp and webhook-signature are needed",
    )
    parser.add_argument(
        "--body",
        default="-",
        metavar="FILE",
        help="file with the raw body as it was received (default: standard input)",
    )
    parser.add_argument(
        "--tolerance",
        type=int,
        default=300,
        metavar="S",
        help="seconds by which the timestamp may differ from this machine's clock (default 300)",
    )
    parser.epilog = HELP_ON_SIGNING


def _add_trigger(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("type", metavar="TYPE", help=f"an event type, such as {next(iter(CATALOGUE.types))}")
    parser.add_argument("--to", required=True, metavar="URL", help="where to post it")
    parser.add_argument("--payload", choices=PAYLOADS, default="full", help="form of the body (default full)")
    parser.epilog = HELP_ON_SIGNING


def _add_certify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", metavar="URL", help="the receiver; every event that it gets has `test` set")
    parser.add_argument(
        "--secret",
        metavar="whsec_…",
        help="the receiver's signing secret; others on this machine can read it among the processes",
    )
    parser.add_argument(
        "--payload", choices=PAYLOADS, default="full", help="form of the bodies (default full)"
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    parser.epilog = (
        f"{HELP_ON_SIGNING}\nThe status is 0 if the receiver handles every case. A receiver that answers with"
        '\n{"handled": true} or {"handled": false} is also judged by whether it acted upon an event.'
    )


def _add_keys(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_list_keys)
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    _add_action(actions, "list", "show all keys (what `keys` alone does)", _list_keys)
    create = _add_action(actions, "create", "create a key and print it once", _create_key)
    create.add_argument("--name", required=True, help="what the key is for")
    create.add_argument(
        "--scope",
        dest="scopes",
        action="append",
        choices=SCOPES,
        metavar="SCOPE",
        help="what the key may do: register, read, manage, proxy or admin; give it several times for several "
        "(default: register and read)",
    )
    revoke = _add_action(actions, "revoke", "revoke a key; it stops working at once", _revoke_key)
    revoke.add_argument("id", metavar="ID", help="the key's id, as `keys list` shows it")


def _add_action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str, command: Command
) -> argparse.ArgumentParser:
    added = actions.add_parser(
        name, help=summary, description=summary[0].upper() + summary[1:] + ".", allow_abbrev=False
    )
    added.set_defaults(command=command)
    return added


def _up(_chosen: argparse.Namespace) -> int:
    from bridge.cli.supervisor.up import run_up  # noqa: PLC0415 -- a command loads what it needs

    return run_up(load_settings())


def _api(_chosen: argparse.Namespace) -> int:
    from bridge.cli.commands.processes import run_api  # noqa: PLC0415 -- likewise

    return run_api(load_settings())


def _worker(_chosen: argparse.Namespace) -> int:
    from bridge.cli.commands.processes import run_worker  # noqa: PLC0415 -- likewise

    return run_worker(load_settings())


def _simulate(chosen: argparse.Namespace) -> int:
    from bridge.cli.commands.processes import run_simulator  # noqa: PLC0415 -- likewise

    return run_simulator(chosen.host, chosen.port, chosen.speed)


def _doctor(_chosen: argparse.Namespace) -> int:
    from bridge.cli.commands.doctor import run_doctor  # noqa: PLC0415 -- likewise

    return run_doctor(load_settings())


def _verify(chosen: argparse.Namespace) -> int:
    from bridge.cli.commands.remote import find_signing_secret  # noqa: PLC0415 -- likewise
    from bridge.cli.commands.verify import run_verify  # noqa: PLC0415 -- likewise

    return run_verify(
        secret=find_signing_secret(),
        headers=chosen.headers,
        body_file=chosen.body,
        tolerance_s=chosen.tolerance,
    )


def _trigger(chosen: argparse.Namespace) -> int:
    from bridge.cli.commands.remote import find_signing_secret  # noqa: PLC0415 -- likewise
    from bridge.cli.commands.trigger import check_type, run_trigger  # noqa: PLC0415 -- likewise

    settings = load_settings()
    check_type(chosen.type)
    return run_trigger(
        settings, type_=chosen.type, url=chosen.to, secret=find_signing_secret(), payload=chosen.payload
    )


def _certify(chosen: argparse.Namespace) -> int:
    from bridge.cli.commands.certify import run_certify  # noqa: PLC0415 -- likewise
    from bridge.cli.commands.remote import find_signing_secret  # noqa: PLC0415 -- likewise

    return run_certify(
        load_settings(),
        url=chosen.url,
        secret=chosen.secret or find_signing_secret(),
        payload=chosen.payload,
        as_json=chosen.json,
    )


def _list_keys(_chosen: argparse.Namespace) -> int:
    from bridge.cli.commands.remote import list_keys  # noqa: PLC0415 -- likewise

    return list_keys()


def _create_key(chosen: argparse.Namespace) -> int:
    from bridge.cli.commands.remote import create_key  # noqa: PLC0415 -- likewise

    return create_key(chosen.name, chosen.scopes or ["register", "read"])


def _revoke_key(chosen: argparse.Namespace) -> int:
    from bridge.cli.commands.remote import revoke_key  # noqa: PLC0415 -- likewise

    return revoke_key(chosen.id)


if __name__ == "__main__":
    main()
