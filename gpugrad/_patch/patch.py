"""The switch `patch_numpy`: while it holds, calls of `numpy.gradient` go through gpugrad."""

from __future__ import annotations

from threading import RLock

from gpugrad._keywords import accepts_keywords
from gpugrad._patch import stand_ins
from gpugrad._patch.late_imports import is_loaded, wait_for_import, watch_imports
from gpugrad._patch.targets import TARGETS


class patch_numpy:
    """Let gpugrad compute the calls of `numpy.gradient` in existing code.

    The patch takes effect at once, for the whole process: for your own calls and for those in
    libraries. In a ``with`` statement it holds until the end of the block; otherwise it holds until
    `undo` is called.

    Parameters
    ----------
    fallback : bool, default False
        What happens to calls that gpugrad refuses. False: gpugrad's error is raised. True: the
        original function of the library computes these calls, and also all fields for which the
        result of gpugrad would differ: half precision, dates, Python objects and memory-mapped
        files. Then every digit of the results is NumPy's, and there is no error or warning that
        NumPy would not give.

    Raises
    ------
    TypeError
        If `fallback` is not a bool.

    See Also
    --------
    gradient : Computes the calls, and has more options than `numpy.gradient`.
    use_backend : Chooses where the arithmetic runs.

    Notes
    -----
    `numpy.gradient`, `cupy.gradient` and `dask.array.gradient` remain the same objects with a
    different implementation. So functions that were imported by name earlier are patched, too, and
    each library still receives the calls with its own arrays. `jax.numpy.gradient` is compiled by
    JAX; here another function is put into `jax.numpy`, and a function that was imported by name
    earlier remains JAX's own.

    No library is imported for the patch. A library that is imported later is patched when it is
    imported.

    Arguments and results are those of the patched function: NumPy first converts a list, a tensor
    or a DataArray to an array, Dask and CuPy return lists, and JAX promotes dtypes. Array
    subclasses that define the functions of NumPy themselves, such as those with units, keep NumPy's
    arithmetic.

    Patches may be nested; the latest one determines `fallback`. The patch holds in all threads. A
    forked process inherits it, any other new process starts without it.

    Graphs of Dask and compiled functions of JAX keep the gradient with which they were made.

    Examples
    --------
    For the calls in a block:

    >>> import numpy as np
    >>> import gpugrad
    >>> with gpugrad.patch_numpy():
    ...     np.gradient([1.0, 4.0, 9.0], edge_order=2)
    array([2., 4., 6.])

    Until the patch is undone, or to the end of a script:

    >>> patch = gpugrad.patch_numpy(fallback=True)
    >>> with np.errstate(divide="ignore"):
    ...     np.gradient(np.array([1.0, 4.0, 9.0]), 0.0)
    array([inf, inf, inf])
    >>> patch.undo()
    """

    __module__ = "gpugrad"

    @accepts_keywords
    def __init__(self, *, fallback: bool = False) -> None:
        if not isinstance(fallback, bool):
            raise TypeError(
                f"`fallback` must be True or False; got {fallback!r}. With True, NumPy's own "
                "gradient takes the calls that gpugrad refuses."
            )
        self._fallback = fallback
        self._awaits_with = True
        _hold(self)

    def undo(self) -> None:
        """Restore the implementation that was in use before this patch.

        A second call has no effect. Patches that were made later remain in effect.

        See Also
        --------
        use_backend : Chooses a backend in the same way.

        Examples
        --------
        >>> import gpugrad
        >>> patch = gpugrad.patch_numpy()
        >>> patch.undo()
        """
        self._awaits_with = False
        with _lock:
            _held[:] = [patch for patch in _held if patch is not self]
            _apply()

    def __enter__(self) -> patch_numpy:
        """Hold to the end of the block."""
        if not self._awaits_with:
            _hold(self)
        self._awaits_with = False
        return self

    def __exit__(self, *_: object) -> None:
        """Bring back what held before the block."""
        _release(self)

    def __repr__(self) -> str:
        return "patch_numpy(fallback=True)" if self._fallback else "patch_numpy()"


_held: list[patch_numpy] = []
"""What holds, the latest last; one that is entered twice stands here twice."""

_lock = RLock()


def _hold(patch: patch_numpy) -> None:
    for target in TARGETS:
        wait_for_import(target.library)  # before the lock, which a finished import takes
    with _lock:
        _held.append(patch)
        _apply()


def _release(patch: patch_numpy) -> None:
    with _lock:
        own = [i for i, held in enumerate(_held) if held is patch]
        if own:
            del _held[own[-1]]
        _apply()


def _apply() -> None:
    """Put the latest patch in force; without any, all is as it was."""
    stand_ins.falls_back = bool(_held) and _held[-1]._fallback
    watch_imports([target.library for target in TARGETS] if _held else [], _apply_late)
    for target in TARGETS:
        if not _held:
            target.restore()
        elif is_loaded(target.library):
            target.patch()


def _apply_late(library: str) -> None:
    """Patch a library that has just been imported, unless all is undone by now."""
    with _lock:
        for target in TARGETS:
            if _held and target.library == library:
                target.patch()
