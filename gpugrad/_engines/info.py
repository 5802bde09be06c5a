"""What is installed here, and what runs where."""

from __future__ import annotations

import platform
from contextlib import suppress
from dataclasses import dataclass, field

from gpugrad._arrays import Gpu, find_gpu, is_installed
from gpugrad._arrays import threads as _threads
from gpugrad._engines.selection import name_in_force
from gpugrad._version import __version__

_LIBRARIES = ("numpy", "array_api_compat", "cupy", "torch", "jax", "dask", "llvmlite")


@dataclass(frozen=True)
class Info:
    """What is installed and what runs where: what `info` returns. Printed, it is a table.

    Scripts read from it whether a library or a GPU is there; users read why not.

    Parameters
    ----------
    versions : dict of str to str or None
        The version of each library, None where it is not installed.
    gpu : object
        Whether a GPU is ``usable``, its ``devices``, or the ``problem`` and the ``cure``.
    threads : int
        How many threads may work on a large field.
    backend : str
        The backend in force.
    picks : dict of str to str
        For each kind of array, what "auto" takes.

    See Also
    --------
    info : Returns it.
    explain : Says which backend a single call takes, and why.

    Examples
    --------
    >>> import gpugrad
    >>> gpugrad.info().versions["gpugrad"] == gpugrad.__version__
    True
    """

    __module__ = "gpugrad"

    versions: dict[str, str | None]
    gpu: Gpu
    threads: int
    backend: str
    picks: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the table."""
        rows = [("gpugrad", self.versions["gpugrad"]), ("Python", platform.python_version())]
        rows += [(name, self.versions[name] or "not installed") for name in _LIBRARIES]
        rows += [("CPU threads", str(self.threads)), ("backend in force", self.backend)]
        rows += [("GPU", ", ".join(self.gpu.devices) if self.gpu.usable else "not used")]
        if not self.gpu.usable:
            rows += [("  because", self.gpu.problem), ("  to mend it", self.gpu.cure)]
        rows += [(f'"auto" for {kind}', engine) for kind, engine in self.picks.items()]
        rows += [("for one call", "gpugrad.explain(f, ...) says what it takes, and why")]
        width = max(len(label) for label, _ in rows)
        return "\n".join(f"{label:<{width}}  {value}" for label, value in rows)

    __repr__ = __str__


def info() -> Info:
    """Say what is installed, which devices are usable, what "auto" picks, and why not the GPU.

    It is the first thing to print on a new machine, and what a report of a problem should have in
    it.

    Returns
    -------
    Info
        Prints as a table; its attributes are ``versions`` (None where a library is not
        installed), ``gpu`` (``usable``, ``devices``, ``problem``, ``cure``), ``threads``,
        ``backend`` and ``picks``.

    See Also
    --------
    explain : Says which backend a single call takes, and why.
    use_backend : Chooses a backend, or a number of threads.

    Notes
    -----
    The first call compiles and runs a trivial kernel if CuPy is there; other libraries are not
    imported.

    Examples
    --------
    >>> import gpugrad
    >>> info = gpugrad.info()
    >>> info.backend, info.picks["masked arrays, dates, objects"]
    ('auto', 'slices, on NumPy')
    """
    gpu = find_gpu()
    picks = {
        "namespace()": "cupy" if gpu.usable else "numpy",
        "NumPy arrays": "numpy, in blocks on the CPU's cores",
        "masked arrays, dates, objects": "slices, on NumPy",
        "CuPy arrays": "cupy, in one kernel on the array's GPU; slices for what it cannot take",
        "PyTorch arrays": "slices, on the tensor's device",
        "JAX arrays": "slices, on the array's device",
        "Dask arrays": "for each block what suits it, lazily",
    }
    if gpu.usable:
        picks["PyTorch arrays"] += "; cupy for CUDA tensors"
    if is_installed("llvmlite"):  # it takes a while to start: small work goes elsewhere
        compiled = "compiled, by LLVM, for much work on large arrays"
        picks["NumPy arrays"] += f"; {compiled}"
        picks["PyTorch arrays"] += f"; {compiled} in host memory"
    versions = {"gpugrad": __version__, **{name: _installed_version(name) for name in _LIBRARIES}}
    return Info(versions, gpu, _threads.count(), name_in_force(), picks)


def _installed_version(name: str) -> str | None:
    from importlib import metadata

    if not is_installed(name):
        return None
    with suppress(metadata.PackageNotFoundError):
        return metadata.version(name)
    # All that is installed is read to find who brings it: CuPy comes under several names.
    owners = metadata.packages_distributions().get(name)
    return metadata.version(owners[0]) if owners else "of unknown version"  # a source tree
