"""The one place that chooses an engine, and the switch with which users choose."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import array_api_compat
import numpy as np

from gpugrad import _threads
from gpugrad._arrays import Array, assign, from_host, host_values, library_of, result_dtype
from gpugrad._engines import numpy_cpu
from gpugrad._output import check_out, overlap_any, stack_results
from gpugrad._plan import Term

BACKENDS = ("auto", "slices", "numpy")

Outputs = Sequence[Sequence[Term]]
Evaluate = Callable[[Outputs], tuple[Array, ...]]

_chosen: ContextVar[str | None] = ContextVar("gpugrad_backend", default=None)
_from_environment = os.environ.get("GPUGRAD_BACKEND") or None


class BackendError(RuntimeError):
    """A backend asked for by name cannot run: the reason, and the cure."""

    __module__ = "gpugrad"


@contextmanager
def use_backend(backend: str | None = None, *, threads: int | None = None) -> Iterator[None]:
    """Choose a backend, or a number of threads, for the calls inside a ``with`` block.

    Parameters
    ----------
    backend : {"auto", "slices", "numpy"}, optional
        Where the arithmetic runs; results have the input's type all the same. None leaves the
        choice as it is. A keyword ``backend=`` of a call goes before this, the environment
        variable ``GPUGRAD_BACKEND`` (read at import) after it.
    threads : int, optional
        How many threads may work on one large field on the CPU, instead of
        ``GPUGRAD_NUM_THREADS``, or of the number of cores this process may use.

    Raises
    ------
    ValueError
        If the backend has no such name, or the number of threads is less than one.

    Notes
    -----
    The choice holds in the current thread and asynchronous task, not in others. A generator that
    yields inside the block lends it to its caller in between, as with any context variable.

    Examples
    --------
    >>> import gpugrad
    >>> with gpugrad.use_backend("slices"):
    ...     gpugrad.gradient([1.0, 4.0, 9.0])
    array([3., 4., 5.])
    """
    # None inherits what an enclosing block has chosen.
    name = _chosen.get() if backend is None else _known(backend, "backend")
    threads_token = _threads.choose(threads)
    backend_token = _chosen.set(name)
    try:
        yield
    finally:
        _chosen.reset(backend_token)
        _threads.restore(threads_token)


def evaluate(
    outputs: Outputs, out: Any = None, stack: bool = False, backend: str | None = None
) -> tuple[Array, ...] | Array:
    """Evaluate outputs with the engine in force; a tuple, or one array where `stack` is true."""
    engine = _choose(outputs, backend)
    if out is None and not stack:
        return engine(outputs)
    f = outputs[0][0].field
    targets = None if out is None else check_out(out, f, len(outputs), stack)
    if engine is numpy_cpu.evaluate:
        if targets is None:
            out = np.empty((len(outputs), *f.shape), result_dtype(np, f))
            targets = list(out)
        _evaluate_in_place(outputs, targets)
        return out if stack else tuple(targets)
    results = engine(outputs)
    if targets is None:
        return stack_results(results)
    if any(getattr(result, "requires_grad", False) for result in results):
        raise TypeError(
            "`out` does not go with a spacing that takes part in automatic differentiation. "
            "Leave `out` out, or pass `spacing.detach()`."
        )
    if stack and isinstance(out, np.ndarray) and type(out) is not np.ndarray:
        out[...] = stack_results(results)  # a slice of a masked array may keep a mask to itself
    else:
        assign(targets, results)
    return out if stack else tuple(targets)


def _choose(outputs: Outputs, backend: str | None) -> Evaluate:
    """Return the engine for these outputs: as named, else the fastest that can."""
    f = outputs[0][0].field
    name = name_in_force(backend)
    if name == "auto" and type(f) is np.ndarray and numpy_cpu.unsupported(outputs) is None:
        return numpy_cpu.evaluate
    if name == "numpy":
        return _named_numpy(outputs)
    if isinstance(f, np.ndarray) and type(f) is not np.ndarray:
        from gpugrad._engines import numpy_subclasses

        return numpy_subclasses.evaluate
    if array_api_compat.is_dask_array(f):
        from gpugrad._engines import dask_blocks

        return dask_blocks.evaluate
    from gpugrad._engines import slices

    return slices.evaluate


def name_in_force(backend: str | None = None) -> str:
    """Return the backend that applies: keyword, then context, then environment."""
    if backend is not None:
        return _known(backend, "backend")
    chosen = _chosen.get()
    if chosen is not None:
        return chosen
    return "auto" if _from_environment is None else _known(_from_environment, "GPUGRAD_BACKEND")


def _known(name: str, where: str) -> str:
    if name not in BACKENDS:
        raise ValueError(f"`{where}` must be one of {', '.join(BACKENDS)}; got {name!r}.")
    return name


def _named_numpy(outputs: Outputs) -> Evaluate:
    f = outputs[0][0].field
    if isinstance(f, np.ndarray):
        reason = numpy_cpu.unsupported(outputs)
    elif host_values(f) is None:
        reason = (
            f"it takes values in host memory, and this {library_of(f)} array is on a device, "
            "lazy, traced or in automatic differentiation; nothing is moved silently"
        )
    else:
        reason = numpy_cpu.unsupported([[_on_host(term) for term in terms] for terms in outputs])
    if reason:
        raise BackendError(
            f'backend "numpy" cannot run this: {reason}. '
            'Use backend="auto", or bring the field home with `gpugrad.asnumpy(f)`.'
        )
    return numpy_cpu.evaluate if isinstance(f, np.ndarray) else _evaluate_on_host


def _evaluate_in_place(outputs: Outputs, targets: Sequence[Array]) -> None:
    """Evaluate plain NumPy fields straight into `targets`, or beside them where that is unsafe."""
    plain = [t.view(np.ndarray) if isinstance(t, np.memmap) else t for t in targets]
    fields = [term.field for terms in outputs for term in terms]
    if any(type(t) is not np.ndarray for t in plain) or overlap_any(plain, fields):
        assign(targets, numpy_cpu.evaluate(outputs))
    else:
        numpy_cpu.evaluate(outputs, plain)


def _evaluate_on_host(outputs: Outputs) -> tuple[Array, ...]:
    """Evaluate another library's host arrays through NumPy views of them."""
    results = numpy_cpu.evaluate([[_on_host(term) for term in terms] for terms in outputs])
    return tuple(
        from_host(result, like=terms[0].field)
        for result, terms in zip(results, outputs, strict=True)
    )


def _on_host(term: Term) -> Term:
    return term._replace(field=host_values(term.field))
