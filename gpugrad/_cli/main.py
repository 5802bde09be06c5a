"""The command `gpugrad`: files, pictures, a demonstration, and what this machine has."""

from __future__ import annotations

import argparse
import ctypes
import io
import os
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import gpugrad
from gpugrad._cli import bench, demo, grad, plot, run
from gpugrad._engines import name_in_force
from gpugrad._files import FileError

_M_ARENA_MAX = -8
"""The number that glibc's `mallopt` has for the most arenas."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the name of the program; by default the arguments of this process.

    Returns
    -------
    int
        0 where all went well, 1 after an error, which is printed to the standard error stream.
    """
    if argv is None and sys.argv[1:2] == ["grad"]:  # the process is the command's own
        _limit_arenas()
    if isinstance(sys.stdout, io.TextIOWrapper):  # names may have letters that a console has not
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        reason = _run_command(*_build_parser(), argv)
        if reason is not None:
            print(f"gpugrad: error: {reason}", file=sys.stderr)
        sys.stdout.flush()  # here, where a closed pipe can be answered
        return int(reason is not None)
    except BrokenPipeError:  # whoever reads our output has had enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _limit_arenas() -> None:
    """Let all threads share two of glibc's pools of memory.

    By default each thread of a library that decodes chunks has a pool of its own, and each pool
    keeps what was freed in it: many chunks, where many threads have taken turns.
    """
    if sys.platform != "linux" or "MALLOC_ARENA_MAX" in os.environ:
        return
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    if set_option is not None:
        set_option(_M_ARENA_MAX, 2)


def _run_command(
    parser: argparse.ArgumentParser, commands: Any, argv: Sequence[str] | None
) -> object:
    """Run the command that is named; return None, or what is wrong."""
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        named = commands.choices.get(arguments.command, parser)
        named.error(f"unrecognized arguments: {' '.join(unknown)}")
    if arguments.command is not None:
        try:
            name_in_force(getattr(arguments, "backend", None))
        except ValueError as error:
            return error  # a mistake in GPUGRAD_BACKEND
    try:
        return arguments.run(arguments)
    except (FileError, gpugrad.BackendError) as error:
        if getattr(arguments, "debug", False):
            raise
        return error


class _Command(argparse.ArgumentParser):
    """A parser whose errors are one line, as all others of the command.

    Numbers with an exponent are no options, nor are the numbers of a boundary, as in
    ``-0.5:reflect``.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        number = r"-(\d+\.?\d*|\.\d+)(e[-+]?\d+)?(:.*)?$"
        self._negative_number_matcher = re.compile(number, re.IGNORECASE)

    def error(self, message: str) -> NoReturn:
        # An option of several values, as `grad` and `plot` have, may have taken them.
        if "required: " in message and any(action.nargs == "+" for action in self._actions):
            message += ". Put them first, before options that take several values, as --var does"
        self.exit(2, f"{self.prog}: error: {message}. {self.prog} --help lists the options.\n")


class _PrintVersion(argparse.Action):
    """What ``--version`` does. The version takes time to find, which no other command spends."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        print(f"gpugrad {gpugrad.__version__}")
        parser.exit()


def _print_info(_: argparse.Namespace) -> None:
    # JAX would take most of the GPU's memory, which another process may be using.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    print(gpugrad.info(probe=True))


def _build_parser() -> tuple[argparse.ArgumentParser, Any]:
    parser = _Command(
        prog="gpugrad",
        description="numpy.gradient for every array library, and for fields in files. Each command "
        "explains itself: gpugrad grad --help.",
    )
    parser.add_argument(
        "--version", nargs=0, action=_PrintVersion, help="print the version and end"
    )
    commands = parser.add_subparsers(
        dest="command", metavar="command", title="commands", parser_class=_Command
    )
    for module in (demo, grad, plot, bench, run):
        module.add_parser(commands)
    info = commands.add_parser(
        "info",
        help="what is installed, which devices are usable, what runs where",
        description="Say what is installed, which devices are usable, what runs where, "
        "and why the GPU is not used. Each library that may have a GPU computes something there.",
    )
    info.set_defaults(run=_print_info)
    parser.set_defaults(run=lambda _: parser.print_help())
    return parser, commands
