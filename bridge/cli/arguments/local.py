"""The arguments of the commands that need no running bridge, and what each of them calls."""

import argparse

from bridge.cli.arguments.parsers import Subparsers, add_command, add_json
from bridge.config.settings import load_settings
from bridge.domain.events.payloads import PAYLOADS
from bridge.providers.registry import CATALOGUE, PROVIDERS
from bridge.simulator.demo import demo_environment

HELP_ON_SIGNING = (
    "The signing secret is taken from REELBRIDGE_SIGNING_SECRET. If that is unset, the secret\n"
    "of project default is read from the reelbridge that runs on this machine."
)
TITLES = " and ".join(provider.title for provider in PROVIDERS.values())


def add_processes(commands: Subparsers) -> None:
    """Add the commands that run until they are stopped."""
    add_command(
        commands, "up", "run the whole service: store, API and worker, supervised", _up, with_settings=True
    )
    add_command(commands, "api", "run one API process", _api, with_settings=True)
    add_command(commands, "worker", "run one worker process", _worker, with_settings=True)
    _add_simulate(add_command(commands, "simulate", f"run the built-in simulator of {TITLES}", _simulate))


def add_tools(commands: Subparsers) -> None:
    """Add the commands that check settings, signatures and receivers."""
    doctor = add_command(
        commands,
        "doctor",
        "check the settings, the store, the clock, the upstreams and the running service",
        _doctor,
        with_settings=True,
    )
    doctor.add_argument(
        "--callback", metavar="URL", help="also check whether this callback URL is allowed and reached"
    )
    add_json(doctor)
    _add_verify(
        add_command(
            commands, "verify", "check the signature of a received callback and explain the result", _verify
        )
    )
    _add_trigger(add_command(commands, "trigger", "post a signed sample event to a URL", _trigger))
    _add_certify(
        add_command(
            commands, "certify", "send a receiver what it may meet, and say what it does not handle", _certify
        )
    )


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
    add_json(parser)
    parser.epilog = HELP_ON_SIGNING


def _add_trigger(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("type", metavar="TYPE", help=f"an event type, such as {next(iter(CATALOGUE.types))}")
    parser.add_argument("--to", required=True, metavar="URL", help="where to post it")
    parser.add_argument("--payload", choices=PAYLOADS, default="full", help="form of the body (default full)")
    parser.add_argument(
        "--override",
        dest="overrides",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="set a field, such as data.status=failed or metadata.order=42; give it several times for several",
    )
    add_json(parser)
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
    add_json(parser)
    parser.epilog = (
        f"{HELP_ON_SIGNING}\nThe status is 0 if the receiver handles every case. A receiver that answers with"
        '\n{"handled": true} or {"handled": false} is also judged by whether it acted upon an event.'
    )


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


def _doctor(chosen: argparse.Namespace) -> int:
    from bridge.cli.commands.doctor import run_doctor  # noqa: PLC0415 -- likewise

    return run_doctor(load_settings(), callback=chosen.callback, as_json=chosen.json)


def _verify(chosen: argparse.Namespace) -> int:
    from bridge.cli.commands.verify import run_verify  # noqa: PLC0415 -- likewise
    from bridge.cli.remote.session import find_signing_secret  # noqa: PLC0415 -- likewise

    return run_verify(
        secret=find_signing_secret(),
        headers=chosen.headers,
        body_file=chosen.body,
        tolerance_s=chosen.tolerance,
        as_json=chosen.json,
    )


def _trigger(chosen: argparse.Namespace) -> int:
    from bridge.cli.commands.trigger import check_type, run_trigger  # noqa: PLC0415 -- likewise
    from bridge.cli.remote.session import find_signing_secret  # noqa: PLC0415 -- likewise

    settings = load_settings()
    check_type(chosen.type)
    return run_trigger(
        settings,
        type_=chosen.type,
        url=chosen.to,
        secret=find_signing_secret(),
        payload=chosen.payload,
        overrides=chosen.overrides,
        as_json=chosen.json,
    )


def _certify(chosen: argparse.Namespace) -> int:
    from bridge.cli.commands.certify import run_certify  # noqa: PLC0415 -- likewise
    from bridge.cli.remote.session import find_signing_secret  # noqa: PLC0415 -- likewise

    return run_certify(
        load_settings(),
        url=chosen.url,
        secret=chosen.secret or find_signing_secret(),
        payload=chosen.payload,
        as_json=chosen.json,
    )
