"""The command `gpugrad grad`: from a field in a file to its derivatives in another."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from gpugrad._cli.grad_options import add_field, add_run, add_scheme, parse_stagger

if TYPE_CHECKING:
    from gpugrad._files import Progress, Summary

EXAMPLES = """examples:
  gpugrad grad ocean.nc slope.zarr --var temperature --memory 1GB
  gpugrad grad pressure.npy gradient.npy --spacing 100 250 250 --accuracy 4
  gpugrad grad wind.nc vorticity.nc --var u v --operator curl --axis x y
  gpugrad grad elevation.tif steepness.tif --operator gradient_norm --skipna
  gpugrad grad winds.nc vorticity.nc --var u v --operator curl --axis lon lat
"""


def add_parser(commands: Any) -> None:
    """Add `grad` to the commands of a parser."""
    grad = commands.add_parser(
        "grad",
        help="differentiate a field in a file, in bounded memory",
        usage="gpugrad grad IN OUT [options]",
        description="Differentiate a field in a .npy, .npz, Zarr, NetCDF or GeoTIFF file, which "
        "may be larger than memory. Coordinates in the file are the spacings, and results are per "
        "their units; latitudes and longitudes lie on a sphere, and results are per metre. The "
        "result is written beside its place, in a folder OUT.partial, and moved there once it is "
        "whole; after an interruption --resume goes on.",
        epilog=EXAMPLES,
        formatter_class=_AsWritten,
    )
    add_field(grad)
    add_scheme(grad)
    add_run(grad)
    grad.set_defaults(run=run)


class _AsWritten(argparse.HelpFormatter):
    """Help whose examples keep their lines."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text == EXAMPLES else super()._fill_text(text, width, indent)


def run(arguments: argparse.Namespace) -> str | None:
    """Run `gpugrad grad`; return None, or what is wrong."""
    from gpugrad._files import FileError, say

    if not arguments.debug:  # Zarr writes chunks at once: what others fail of is no second message
        logging.getLogger("asyncio").addHandler(logging.NullHandler())
    try:
        with _interrupted_by(signal.SIGTERM):
            _differentiate(arguments)
    except (FileError, ValueError, TypeError, MemoryError, OSError, RuntimeError) as error:
        if arguments.debug:
            raise
        return say(" ".join(str(error).split())) or type(error).__name__
    except KeyboardInterrupt:
        if arguments.debug:
            raise
        out = arguments.output
        if not out.with_name(out.name + ".partial").exists():
            return "interrupted before anything was done."
        again = "--overwrite --resume" if out.exists() else "--resume"
        return f"interrupted. {out}.partial keeps what is done; {again} goes on."
    return None


@contextmanager
def _interrupted_by(number: int) -> Iterator[None]:
    """Take a signal for an interruption from the keyboard, as batch systems send it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(number, interrupt)
    try:
        yield
    finally:
        signal.signal(number, before)


def _differentiate(arguments: argparse.Namespace) -> None:
    from gpugrad._files import FileRequest, differentiate

    chosen = {option.name: getattr(arguments, option.name) for option in fields(FileRequest)}
    chosen |= {name: tuple(chosen[name]) for name in ("axes", "spacing", "coords")}
    chosen["stagger"] = parse_stagger(arguments.stagger)
    if len(arguments.boundary) == 1:
        (chosen["boundary"],) = arguments.boundary
    request = FileRequest(**chosen)
    started = time.perf_counter()
    with _show_progress(arguments.quiet) as progress:
        done = differentiate(
            arguments.input, arguments.output, tuple(arguments.var), request, arguments.memory,
            arguments.overwrite, arguments.resume, progress,
        )  # fmt: skip
    if arguments.quiet:
        return
    print(_describe(done, time.perf_counter() - started))
    for note in (*done.notes, *_tell_of_missing(done, arguments.skipna)):
        print(f"gpugrad: note: {note}", file=sys.stderr)


def _describe(done: Summary, seconds: float) -> str:
    shape = " x ".join(map(str, done.shape))
    size = f"{done.nbytes / 1e6:,.1f} MB" if done.nbytes >= 1e5 else f"{done.nbytes / 1e3:,.1f} kB"
    count = f"{done.blocks:,} block" + "s" * (done.blocks != 1)
    before = f", {done.blocks_before} of them before" if done.blocks_before else ""
    what = f"{len(done.names)} results of" if len(done.names) > 1 else "one result of"
    return (
        f"{done.out}: {', '.join(done.names)}; {what} {shape} {done.dtype}, {size} in "
        f"{count}{before}, {seconds:.1f} s"
    )


def _tell_of_missing(done: Summary, skipna: bool) -> Iterator[str]:
    """Yield a note where missing samples have spread."""
    if skipna or not done.missing:
        return
    results = len(done.names) * done.samples // max(done.fields, 1)
    yield (
        f"{_say_share(done.missing, done.samples, 'samples')} are missing, and so are "
        f"{_say_share(done.missing_results, results, 'results')}, those that read one. With "
        "--skipna formulas beside a missing sample become one-sided, and few results are lost but "
        "its own."
    )


def _say_share(count: int, whole: int, what: str) -> str:
    percent = 100 * count / whole
    share = f"{percent:.1f} %" if percent >= 0.1 else "less than 0.1 %"
    return f"{count:,} of {whole:,} {what} ({share})"


@contextmanager
def _show_progress(quiet: bool) -> Iterator[Progress | None]:
    """Draw a bar on a terminal, if tqdm is there to draw it."""
    try:
        from tqdm import tqdm
    except ImportError:
        quiet = True
    if quiet or not sys.stderr.isatty():
        yield None
        return
    bar: Any = None
    with ExitStack() as drawn:

        def advance(more: int, total: int) -> None:
            nonlocal bar
            if bar is None:  # what earlier runs have done says nothing of the speed
                bar = drawn.enter_context(
                    tqdm(total=total, initial=more, unit="B", unit_scale=True, desc="written")
                )
            else:
                bar.update(more)

        yield advance
