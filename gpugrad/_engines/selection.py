"""The switch with which users choose an engine: keyword, `use_backend`, environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import NamedTuple, ParamSpec, TypeVar, get_args

from gpugrad._arrays import Backend, BackendError
from gpugrad._arrays import threads as _threads
from gpugrad._keywords import accepts_keywords

P = ParamSpec("P")
R = TypeVar("R")

BACKENDS: tuple[str, ...] = get_args(Backend)
"""Their names; those of engines from the slowest to the fastest."""

QUESTION = "?"
"""What is in force while a call is explained: the name of no engine, so that none is taken."""

_RENAMED = {"numba": "compiled"}

INSTALL_COMPILER = 'Run `pip install "gpugrad[cpu]"`.'
WITHOUT_LLVMLITE = "it needs llvmlite, which is not installed"

_chosen: ContextVar[str | None] = ContextVar("gpugrad_backend", default=None)


_from_environment = os.environ.get("GPUGRAD_BACKEND") or None


class _InForce(NamedTuple):
    """What holds in a context: a name, and a number of threads; None is no choice."""

    backend: str | None
    threads: int | None


class _Mark(NamedTuple):
    """What a `use_backend` has changed: it and the choice that held before."""

    owner: use_backend
    before: _InForce


# The latest `use_backend`, until a `with` enters it; and those that are entered, outermost first.
_latest: ContextVar[_Mark | None] = ContextVar("gpugrad_latest_choice", default=None)
_entered: ContextVar[tuple[_Mark, ...]] = ContextVar("gpugrad_entered_choices", default=())


class use_backend:
    """Choose a backend, or a number of threads, for the calls that follow.

    The choice takes effect at once. In a ``with`` statement it holds until the end of the block,
    and then the previous choice is restored.

    Parameters
    ----------
    backend : {"auto", "slices", "numpy", "compiled", "cupy"}, optional
        Where the arithmetic runs. The results have the type of the input whichever backend runs.
        "cupy" accepts CuPy arrays and PyTorch tensors that are on a GPU: no backend moves an array
        to a GPU. None leaves the choice as it is. The keyword ``backend=`` of a call takes
        precedence over this choice, which takes precedence over the environment variable
        ``GPUGRAD_BACKEND`` (read at import).
    threads : int, optional
        The number of threads that may work on one large field on the CPU. By default it is
        ``GPUGRAD_NUM_THREADS``, or else the number of cores that this process may use according to
        its affinity and to the limit of its container.

    Raises
    ------
    ValueError
        If there is no backend of this name, or the number of threads is less than one.
    BackendError
        If the backend can't run on this machine: "cupy" without a GPU that CuPy can use (a small
        kernel is run, once in each process), or "compiled" without llvmlite. The previous choice
        then remains.

    See Also
    --------
    explain : Tells which backend a call would use, and why.
    info : What is installed, and which devices can be used.

    Notes
    -----
    The choice holds in the current thread or asynchronous task, and in tasks that are started from
    it. New threads start without it. To choose for a whole process, set ``GPUGRAD_BACKEND``. If a
    generator yields inside the ``with`` block, the choice also holds in its caller until the
    generator continues, as for any context variable.

    A Dask array keeps the choice that held when the array was built. Its tasks run in parallel and
    use one thread each, unless `threads` is given.

    As a decorator of a function (``@use_backend("slices")``), the choice holds during each call of
    the function.

    Examples
    --------
    For the calls in a block:

    >>> import gpugrad
    >>> with gpugrad.use_backend("slices"):
    ...     gpugrad.gradient([1.0, 4.0, 9.0])
    array([3., 4., 5.])

    For the rest of a script::

        gpugrad.use_backend("compiled", threads=2)
    """

    __module__ = "gpugrad"

    @accepts_keywords
    def __init__(self, backend: Backend | None = None, *, threads: int | None = None) -> None:
        if backend is not None:
            _check_here(check_name(backend, "backend"))
        self._backend = backend
        self._threads = None if threads is None else _threads.parse(threads, "threads")
        _latest.set(_Mark(self, self._apply()))

    def _apply(self) -> _InForce:
        """Put the choice in force, and return what held before."""
        before = _InForce(_chosen.get(), _threads.chosen())
        if self._backend is not None:
            _chosen.set(self._backend)
        _threads.choose(self._threads)
        return before

    def __enter__(self) -> use_backend:
        """Note what comes back at the end of the block."""
        latest = _latest.get()
        # What a `with` has just made holds already; what was made before is put in force again.
        is_new = latest is not None and latest.owner is self
        mark = latest if latest is not None and is_new else _Mark(self, self._apply())
        _latest.set(None)
        _entered.set((*_entered.get(), mark))
        return self

    def __exit__(self, *_: object) -> None:
        """Bring back the choice before the block."""
        marks = [*_entered.get()]
        own = [i for i, mark in enumerate(marks) if mark.owner is self]
        if not own:
            return  # entered in another thread or task, whose choice never held here
        before = marks.pop(own[-1]).before
        if own[-1] < len(marks):
            # A block that began later goes on: its choice stays, and the end of it brings back
            # what held before both.
            marks[own[-1]] = marks[own[-1]]._replace(before=before)
        else:
            _restore(before)
        _latest.set(None)
        _entered.set(tuple(marks))

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Return a function during whose calls the choice holds, and not before."""
        latest = _latest.get()
        if latest is not None and latest.owner is self:
            _restore(latest.before)
            _latest.set(None)

        @wraps(function)
        def call(*arguments: P.args, **options: P.kwargs) -> R:
            with use_backend(self._backend, threads=self._threads):
                return function(*arguments, **options)

        return call

    def __repr__(self) -> str:
        arguments = [] if self._backend is None else [repr(self._backend)]
        arguments += [] if self._threads is None else [f"threads={self._threads}"]
        return f"use_backend({', '.join(arguments)})"


def choose_for_process(backend: str) -> None:
    """Choose a backend as `GPUGRAD_BACKEND` does: for all threads and new processes."""
    global _from_environment
    _check_here(check_name(backend, "backend"))
    os.environ["GPUGRAD_BACKEND"] = _from_environment = backend


def _restore(choice: _InForce) -> None:
    _chosen.set(choice.backend)
    _threads.restore_number(choice.threads)


def _check_here(name: str) -> None:
    """Raise BackendError if a backend cannot run on this machine, as far as is cheap to know."""
    if name not in ("compiled", "cupy"):
        return
    from gpugrad._arrays import devices

    if name == "compiled":
        problem = "" if devices.is_installed("llvmlite") else WITHOUT_LLVMLITE
        cure = INSTALL_COMPILER
    else:
        gpu = devices.find_gpu()
        problem, cure = gpu.problem, f"To mend it: {gpu.cure}."
    if problem:
        raise cannot_run(name, problem, cure)


def cannot_run(name: str, reason: str, cure: str, what: str = "") -> BackendError:
    """Return the error of a backend asked for by name; `what` it cannot run may be " this"."""
    message = f'backend "{name}" cannot run{what}: {reason}. {cure}'
    return BackendError(message, reason, cure)


@contextmanager
def asking() -> Iterator[None]:
    """Let calls ask for an engine, and get none: see `QUESTION`."""
    token = _chosen.set(QUESTION)
    try:
        yield
    finally:
        _chosen.reset(token)


def name_in_force(backend: str | None = None) -> str:
    """Return the backend that applies: keyword, then context, then environment."""
    if backend is not None:
        return check_name(backend, "backend")
    chosen = _chosen.get()
    if chosen is not None:
        return chosen
    return "auto" if _from_environment is None else check_name(_from_environment, "GPUGRAD_BACKEND")


def is_auto_in_force() -> bool:
    """Tell whether "auto" applies to calls without a keyword: the question of most calls."""
    chosen = _chosen.get()
    return (_from_environment if chosen is None else chosen) in (None, "auto")


def source_of_name(backend: str | None = None) -> str:
    """Return where the name comes from that applies; nothing where nobody has named any."""
    if backend is not None:
        return "the keyword `backend`"
    if _chosen.get() is not None:
        return "`use_backend`"
    return "" if _from_environment is None else "the environment variable `GPUGRAD_BACKEND`"


def check_name(name: str, where: str) -> str:
    """Return the name of a backend, or raise ValueError naming where it came from."""
    if name not in BACKENDS:
        renamed = _RENAMED.get(name) if isinstance(name, str) else None
        now = f' (it is called "{renamed}" now)' if renamed else ""
        raise ValueError(f"`{where}` must be one of {', '.join(BACKENDS)}; got {name!r}{now}.")
    return name
