"""`gpugrad run`: a script or a module, run as Python runs it, with `numpy.gradient` by gpugrad."""

from __future__ import annotations

import argparse
import builtins
import os
import pkgutil
import runpy
import sys
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any

import gpugrad
from gpugrad._engines import choose_for_process

_OWN = frozenset((__name__, "runpy", "importlib._bootstrap", "importlib.util"))
"""Modules between the command and what it runs: tracebacks begin after them."""


def add_parser(commands: Any) -> None:
    """Add `run` to the commands of a parser."""
    parser = commands.add_parser(
        "run",
        help="run a script in which numpy.gradient is computed by gpugrad",
        usage="gpugrad run [--fallback] [--backend NAME] (SCRIPT | -m MODULE) [ARGUMENT ...]",
        description="Run a script, or a module as `python -m` does, in which numpy.gradient, "
        "cupy.gradient, jax.numpy.gradient and dask.array.gradient are computed by gpugrad: see "
        "gpugrad.patch_numpy. Processes that the script forks are included, others are not.",
    )
    parser.add_argument(
        "--fallback",
        action="store_true",
        help="leave calls that gpugrad refuses, or answers otherwise, to the library itself",
    )
    parser.add_argument(
        "--backend", metavar="NAME", help="where the arithmetic runs, as GPUGRAD_BACKEND says it"
    )
    parser.add_argument(
        "-m", dest="is_module", action="store_true", help="what follows is the name of a module"
    )
    parser.add_argument("script", help="a script, a folder or zip file with __main__.py, a module")
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, help="all that follows belongs to the script"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run what is named; an error that ends it gives the exit status 1, as under Python."""
    name = arguments.script
    if not arguments.is_module and not os.path.exists(name):
        print(f"gpugrad run: error: there is no file {name!r}.", file=sys.stderr)
        sys.exit(2)
    if arguments.backend is not None:
        choose_for_process(arguments.backend)
    gpugrad.patch_numpy(fallback=arguments.fallback)
    sys.argv = [name, *arguments.arguments]
    try:
        _run_as_main(name, arguments.is_module)
    except Exception as error:  # noqa: BLE001  (the script's own)
        _show(error)
        sys.exit(1)


def _run_as_main(name: str, is_module: bool) -> None:
    """Run code as `__main__`, and leave it there: threads go on, functions are called at the exit.

    `sys.path` begins with what Python puts there: the folder of the script, or that of the user.
    """
    if is_module:
        _begin_path(os.getcwd())
        _keep_main(runpy.run_module(name, run_name="__main__", alter_sys=True))
    elif pkgutil.get_importer(name) is not None or name.endswith(".pyc"):
        _begin_path(None)  # a folder or a zip file puts itself there
        _keep_main(runpy.run_path(name, run_name="__main__"))
    else:
        path = os.path.abspath(name)
        _begin_path(os.path.dirname(os.path.realpath(path)))
        loader = SourceFileLoader("__main__", path)
        main = _keep_main(
            {"__builtins__": builtins, "__file__": path, "__loader__": loader, "__cached__": None}
        )
        # `runpy` would show the whole path in `sys.argv`.
        exec(compile(loader.get_data(path), path, "exec", dont_inherit=True), vars(main))


def _begin_path(folder: str | None) -> None:
    if not sys.flags.safe_path:
        sys.path[:1] = [] if folder is None else [folder]


def _keep_main(variables: dict[str, Any]) -> ModuleType:
    main = ModuleType("__main__")
    vars(main).update(variables)
    sys.modules["__main__"] = main
    return main


def _show(error: Exception) -> None:
    """Print a traceback that begins in what was run."""
    entry = error.__traceback__
    while entry is not None and entry.tb_frame.f_globals.get("__name__") in _OWN:
        entry = entry.tb_next
    if entry is None and isinstance(error, ImportError):
        print(f"{sys.executable}: {error}", file=sys.stderr)  # there is no module of the name
    else:
        sys.excepthook(type(error), error.with_traceback(entry), entry)
