"""The command `gpugrad`: files, pictures, a demonstration, and what this machine has."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import gpugrad
from gpugrad._cli import bench, grad, plot
from gpugrad._files import FileError

_COMMANDS = {"grad": grad, "plot": plot, "bench": bench}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the name of the program; those of this process by default.

    Returns
    -------
    int
        0 where all went well, 1 after an error, which is printed to the standard error stream.
    """
    try:
        status = _run_command(*_build_parser(), argv)
        sys.stdout.flush()  # here, where a closed pipe can be answered
        return status
    except BrokenPipeError:  # whoever reads our output has had enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run_command(parser: argparse.ArgumentParser, commands: Any, argv: Sequence[str] | None) -> int:
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        named = commands.choices.get(arguments.command, parser)
        named.error(f"unrecognized arguments: {' '.join(unknown)}")
    if arguments.command is None:
        parser.print_help()
        return 0
    if arguments.command in _COMMANDS:
        reason = _COMMANDS[arguments.command].run(arguments)
        return 0 if reason is None else _report_failure(reason)
    try:
        info = gpugrad.info()  # a mistake in GPUGRAD_BACKEND shows here
    except ValueError as error:
        return _report_failure(error)
    if arguments.command == "info":
        print(info)
        return 0
    from gpugrad._cli import demo

    try:
        is_equal = demo.run(arguments.output)
    except (FileError, gpugrad.BackendError) as error:
        return _report_failure(error)
    return 0 if is_equal else _report_failure("a derivative differs from that of numpy.gradient")


def _report_failure(reason: object) -> int:
    print(f"gpugrad: error: {reason}", file=sys.stderr)
    return 1


class _Command(argparse.ArgumentParser):
    """A parser whose errors are one line, as all others of the command.

    Numbers with an exponent are no options, nor are those of boundaries, as in ``-0.5:symmetric``.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        number = r"-(\d+\.?\d*|\.\d+)(e[-+]?\d+)?(:.*)?$"
        self._negative_number_matcher = re.compile(number, re.IGNORECASE)

    def error(self, message: str) -> NoReturn:
        if "required: " in message:  # an option of several values may have taken them
            message += ". Put them first, before options that take several values, as --var does"
        self.exit(2, f"{self.prog}: error: {message}. {self.prog} --help lists the options.\n")


def _build_parser() -> tuple[argparse.ArgumentParser, Any]:
    parser = _Command(
        prog="gpugrad",
        description="numpy.gradient for every array library, and for fields in files. Each command "
        "explains itself: gpugrad grad --help.",
    )
    parser.add_argument("--version", action="version", version=f"gpugrad {gpugrad.__version__}")
    commands = parser.add_subparsers(
        dest="command", metavar="command", title="commands", parser_class=_Command
    )
    demo = commands.add_parser(
        "demo",
        help="slope and aspect of a real elevation model, checked and timed against numpy",
        description="Compute slope and aspect of an elevation model that ships with matplotlib, "
        "draw them with the relief, and compare gpugrad.gradient with numpy.gradient: "
        "bits and time. The exit status is 1 if any bit differs. The arithmetic runs where "
        "GPUGRAD_BACKEND says, by default on the GPU where one is usable, else on the CPU.",
    )
    demo.add_argument(
        "--output",
        default="gpugrad-demo.png",
        metavar="FILE",
        help="the picture to write (default: %(default)s)",
    )
    for module in _COMMANDS.values():
        module.add_parser(commands)
    commands.add_parser(
        "info",
        help="what is installed, which devices are usable, what runs where",
        description="Say what is installed, which devices are usable, what runs where, "
        "and why the GPU is not used.",
    )
    return parser, commands
