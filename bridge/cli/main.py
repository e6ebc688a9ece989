"""The command line: `reelbridge COMMAND`."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from types import TracebackType

from bridge.cli.arguments.local import TITLES, add_processes, add_tools
from bridge.cli.arguments.parsers import Command, add_command
from bridge.cli.completion import SHELLS, write_completion
from bridge.cli.local.errors import CommandError
from bridge.cli.local.parent_death import tie_to_supervisor
from bridge.config.settings import SettingsError
from bridge.domain.printable import printable

PRIVATE = 0o077  # nothing that a command or its children write is for other users of the machine
WRONG_USE, FAILED, DEFECT = 2, 1, 70  # 70 is EX_SOFTWARE of sysexits.h
INTERRUPTED, PIPE_CLOSED = 128 + signal.SIGINT, 128 + 13  # as shells tell of a signal; 13 is SIGPIPE


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its status, as docs/cli.md lists them."""
    os.umask(PRIVATE)
    tie_to_supervisor()
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):  # a stream in the place of the process's own
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a mark that an encoding lacks ends nothing
    words = sys.argv[1:] if arguments is None else arguments
    chosen = build_parser(words[0] if words else "").parse_args(words)
    sys.exit(_run(chosen.command, chosen))


def _run(command: Command, chosen: argparse.Namespace) -> int:
    """Return a command's status; whatever goes wrong becomes a message and a status, never a traceback."""
    try:
        status = command(chosen)
        sys.stdout.flush()
    except SettingsError as error:
        reason = _indent(printable(str(error), lines=True))
        return _fail(f"these settings cannot be used:\n{reason}", WRONG_USE)
    except CommandError as error:
        return _fail(printable(str(error), lines=True), FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # as `reelbridge events list | head -1` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left is flushed at exit
        return PIPE_CLOSED
    except Exception as error:  # noqa: BLE001 -- its text is not shown: it may hold what nobody is to see
        place = _find_place(error.__traceback__)
        return _fail(
            f"a defect of reelbridge: {type(error).__name__} at {place}; please report this line", DEFECT
        )
    return status


def _fail(message: str, status: int) -> int:
    print(f"reelbridge: {message}", file=sys.stderr)  # noqa: T201 -- the command line's output
    return status


def _find_place(trace: TracebackType | None) -> str:
    """Return file and line of the innermost of our own functions."""
    place = "its start"
    ours = Path(__file__).parents[2]
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if file.is_relative_to(ours) and "site-packages" not in file.relative_to(ours).parts:
            place = f"{file.relative_to(ours)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def build_parser(command: str = "") -> argparse.ArgumentParser:
    """Return the parser of all commands, or for one that runs a process, only of those: they start quickly so."""
    parser = argparse.ArgumentParser(
        prog="reelbridge",
        description=f"Webhooks for {TITLES}.",
        epilog="`reelbridge COMMAND --help` shows the options of a command and the settings that it reads.",
        allow_abbrev=False,
    )
    parser.set_defaults(json=False, bridge=None)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    add_processes(commands)
    if command in commands.choices:
        return parser
    from bridge.cli.arguments.remote import add_remote_commands  # noqa: PLC0415 -- a command loads what it needs

    parser.add_argument("--version", action="version", version=f"reelbridge {version('reelbridge')}")
    add_remote_commands(commands)
    add_tools(commands)
    completion = add_command(
        commands, "completion", "print a script that completes commands and options in a shell", _complete
    )
    completion.add_argument("shell", choices=SHELLS, metavar="SHELL", help=" or ".join(SHELLS))
    completion.epilog = (
        'bash, in ~/.bashrc:  eval "$(reelbridge completion bash)"\n'
        'zsh, in ~/.zshrc behind compinit:  eval "$(reelbridge completion zsh)"'
    )
    return parser


def _complete(chosen: argparse.Namespace) -> int:
    print(write_completion(build_parser(), chosen.shell))  # noqa: T201 -- this command's output
    return 0


if __name__ == "__main__":
    main()
