"""The switch with which users choose an engine: keyword, context, environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from gpugrad._arrays import threads as _threads

BACKENDS = ("auto", "slices", "numpy", "compiled", "cupy")


_chosen: ContextVar[str | None] = ContextVar("gpugrad_backend", default=None)


_from_environment = os.environ.get("GPUGRAD_BACKEND") or None


@contextmanager
def use_backend(backend: str | None = None, *, threads: int | None = None) -> Iterator[None]:
    """Choose a backend, or a number of threads, for the calls inside a ``with`` block.

    Parameters
    ----------
    backend : {"auto", "slices", "numpy", "compiled", "cupy"}, optional
        Where the arithmetic runs; results have the input's type all the same. "cupy" takes
        CuPy arrays and PyTorch tensors that lie on a GPU: no backend moves an array there. None
        leaves the choice as it is. A keyword ``backend=`` of a call goes before this, the
        environment variable ``GPUGRAD_BACKEND`` (read at import) after it.
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

    A Dask array keeps the choice that holds where it is built. Its tasks run side by side and
    take one thread each, unless `threads` says otherwise.

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
