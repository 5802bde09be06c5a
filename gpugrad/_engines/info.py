"""What is installed here, and what runs where."""

from __future__ import annotations

import platform
from contextlib import suppress
from dataclasses import dataclass, field

from gpugrad._arrays import GPU_LIBRARIES, Gpu, find_gpu, find_gpu_of, is_installed
from gpugrad._arrays import threads as _threads
from gpugrad._engines.selection import name_in_force
from gpugrad._version import find_version

_LIBRARIES = (
    "numpy", "array_api_compat", "cupy", "torch", "jax", "mlx", "dpnp", "cupynumeric", "dask",
    "llvmlite",
)  # fmt: skip
_MODULES = {"mlx": "mlx.core"}
"""Where the folder of a library is no module."""


@dataclass(frozen=True)
class Info:
    """The installed libraries and usable devices: the result of `info`.

    It prints as a table. Scripts can read from it whether a library or a GPU is available, and why
    not.

    Parameters
    ----------
    versions : dict of str to str or None
        The version of each library; None if the library is not installed.
    gpu : object
        Whether a GPU is ``usable`` with CuPy, which gpugrad's own kernel needs, with its
        ``devices``; or the ``problem`` and the ``cure``.
    threads : int
        The number of threads that may work on a large field.
    backend : str
        The backend that is chosen at present.
    picks : dict of str to str
        For each kind of array, the backend that "auto" uses.
    gpus : dict of str to object
        The same as `gpu`, for each library that can use a GPU: "cupy", "torch", "jax", "mlx",
        "dpnp" and "cupynumeric".

    See Also
    --------
    info : Returns this information.
    explain : Tells which backend a single call uses, and why.

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
    gpus: dict[str, Gpu] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the table."""
        rows = [("gpugrad", self.versions["gpugrad"]), ("Python", platform.python_version())]
        rows += [(name, self.versions[name] or "not installed") for name in _LIBRARIES]
        rows += [("CPU threads", str(self.threads)), ("backend in force", self.backend)]
        rows += _describe_gpu("GPU", self.gpu)
        for name, gpu in self.gpus.items():
            if name != "cupy":
                rows += _describe_gpu(f"GPU by {GPU_LIBRARIES[name].title}", gpu)
        rows += [(f'"auto" for {kind}', engine) for kind, engine in self.picks.items()]
        rows += [("for one call", "gpugrad.explain(f, ...) says what it takes, and why")]
        width = max(len(label) for label, _ in rows)
        return "\n".join(f"{label:<{width}}  {value}" for label, value in rows)

    __repr__ = __str__


def _describe_gpu(label: str, gpu: Gpu) -> list[tuple[str, str]]:
    """Return the rows of a table about a GPU."""
    if gpu.usable:
        return [(label, ", ".join(gpu.devices))]
    return [(label, "not used"), ("  because", gpu.problem), ("  to mend it", gpu.cure)]


def info(probe: bool = False) -> Info:
    """Return what is installed, which devices are usable, and which backend "auto" uses.

    Print it first on a new machine, and include it in every report of a problem. If a GPU is not
    usable, it tells the reason.

    Parameters
    ----------
    probe : bool, optional
        Whether to let every library that may have a GPU compute something on it, unless the files
        of the library already tell that this is impossible. By default False. PyTorch, JAX, MLX and
        dpnp are imported and started in this process for the purpose. This takes seconds, and
        memory of the GPU, of which JAX takes most. The command ``gpugrad info`` always probes, in a
        process of its own.

    Returns
    -------
    Info
        The information, which prints as a table. Its attributes are ``versions`` (None where a
        library is not installed), ``gpu`` (``usable``, ``devices``, ``problem``, ``cure``),
        ``threads``, ``backend``, ``picks``, and ``gpus``, which has the same information as ``gpu``
        for each library.

    Raises
    ------
    ValueError
        If the environment variable ``GPUGRAD_BACKEND`` is not the name of a backend.

    See Also
    --------
    explain : Tells which backend a single call uses, and why.
    use_backend : Chooses a backend, or a number of threads.

    Notes
    -----
    If CuPy is installed, the first call compiles and runs a trivial kernel. Without `probe`, other
    libraries are not imported: their files tell whether PyTorch, JAX and MLX are built for a GPU,
    and whether there is a driver. What only a computation could show is reported as "not tried".
    cuPyNumeric is never started.

    Examples
    --------
    The chosen backend, and the one that "auto" uses for unusual arrays:

    >>> import gpugrad
    >>> info = gpugrad.info()
    >>> info.backend, info.picks["subclasses, dates, objects"]
    ('auto', 'slices, on NumPy')
    """
    gpu = find_gpu()
    picks = {
        "namespace()": "cupy" if gpu.usable else "numpy",
        "NumPy arrays": "numpy, in blocks on the CPU's cores",
        "subclasses, dates, objects": "slices, on NumPy",
        "CuPy arrays": "cupy, in one kernel on the array's GPU; slices for what it cannot take",
        "PyTorch arrays": "numpy in host memory; slices on other devices",
        "JAX arrays": "slices, in one program of XLA on the array's device",
        "Dask arrays": "for each block what suits it, lazily",
    }
    if gpu.usable:
        picks["PyTorch arrays"] += "; cupy for CUDA tensors"
    if is_installed("llvmlite"):  # it takes a while to start: small work goes elsewhere
        compiled = "compiled, by LLVM, for much work on large arrays"
        picks["NumPy arrays"] += f"; {compiled}"
        picks["PyTorch arrays"] += f"; {compiled} in host memory"
    versions: dict[str, str | None] = {"gpugrad": find_version()}
    versions |= {name: _installed_version(name) for name in _LIBRARIES}
    gpus = {name: find_gpu_of(name, probe) for name in ("cupy", *GPU_LIBRARIES)}
    return Info(versions, gpu, _threads.count(), name_in_force(), picks, gpus)


def _installed_version(name: str) -> str | None:
    from importlib import metadata

    if not is_installed(_MODULES.get(name, name)):
        return None
    with suppress(metadata.PackageNotFoundError):
        return metadata.version(name)
    # All that is installed is read to find who brings it: CuPy comes under several names.
    owners = metadata.packages_distributions().get(name)
    return metadata.version(owners[0]) if owners else "of unknown version"  # a source tree
