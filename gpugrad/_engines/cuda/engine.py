"""Fields on a GPU: one launch of the kernel in `stencil.cu` for all outputs of a call.

What is to be done becomes a program (`program`), an instantiation of the kernel and its
arguments. Programs are remembered: a call with other arrays of the kind only fills in addresses.
Nothing here waits for the device, and nothing is copied but weights that differ from row to row,
once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import cupy
import numpy as np

from gpugrad._arrays import Array, NumpyArray, library_of
from gpugrad._engines.cuda import program as gpu_program
from gpugrad._engines.cuda.program import make_program
from gpugrad._engines.numpy_steps import find_precision, find_result
from gpugrad._engines.store import Store
from gpugrad._stencils import AxisPlan, Outputs, describe_outputs, distinct_fields, distinct_masks

SAMPLES = ("f2", "f4", "f8", "c8", "c16", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
"""The dtypes that the kernel takes."""

OPTIONS = ("--std=c++17", "--fmad=false")
"""A product that is fused into a sum has other bits than NumPy's."""

LEAST_CAPABILITY, LEAST_DRIVER = 70, 12010
"""What takes the arguments of the kernel: GPUs from Volta on, drivers for CUDA 12.1 or later."""

Kernel = Callable[[tuple[int, ...], tuple[int, ...], tuple[Any, ...]], None]


class Cuda:
    """What the engine asks of CUDA. Tests put another in its place."""

    def on(self, device: int) -> AbstractContextManager[Any]:
        """Return a context in which a device is the current one."""
        if cupy.cuda.runtime.getDevice() == device:
            return nullcontext()
        context: AbstractContextManager[Any] = cupy.cuda.Device(device)
        return context

    def follow(self, stream: int) -> AbstractContextManager[Any]:
        """Return a context in which another library's stream is the current one."""
        if hasattr(cupy.cuda.Stream, "from_external"):  # from CuPy 14 on
            context: AbstractContextManager[Any] = cupy.cuda.Stream.from_external(_Foreign(stream))
        else:
            context = cupy.cuda.ExternalStream(stream)
        return context

    def find_problem(self, device: int) -> str:
        """Say why a device cannot run the kernel; nothing where it can."""
        runtime = cupy.cuda.runtime
        if runtime.is_hip:
            return "it takes GPUs by NVIDIA, and this CuPy is built for those by AMD (ROCm)"
        driver = runtime.driverGetVersion()
        if not driver:
            return ""  # what else is tried will say so
        if driver < LEAST_DRIVER:
            return (
                f"it takes drivers for {_name_cuda(LEAST_DRIVER)} or later, and this machine's is "
                f"for {_name_cuda(driver)}"
            )
        capability = cupy.cuda.Device(device).compute_capability  # "90" for 9.0, "120" for 12.0
        if int(capability) < LEAST_CAPABILITY:
            return (
                "it takes GPUs of compute capability 7.0 or higher, and device "
                f"{device} has {capability[:-1]}.{capability[-1]}"
            )
        return ""

    def load(self, kernel: str) -> Kernel:
        """Return an instantiation of the kernel for the current device."""
        function = cupy.RawKernel(write_source(kernel), KERNEL, options=OPTIONS)
        function.compile()  # now, and not when it is first launched, perhaps into a graph
        loaded: Kernel = function
        return loaded

    def is_capturing(self) -> bool:
        """Tell whether the current stream puts what it is given into a graph."""
        stream = cupy.cuda.get_current_stream()
        # The default stream cannot, and must not be asked while another one does.
        return stream.ptr not in (0, 1) and bool(stream.is_capturing())

    def upload(self, values: NumpyArray) -> Array:
        """Copy values to the current device, complete for whatever stream uses them."""
        # On a stream of its own: waiting for it is not waiting for anybody's work. Not from the
        # pool, which might hand out the memory again while a kernel on another stream reads it.
        stream = cupy.cuda.Stream(non_blocking=True)
        with stream, cupy.cuda.using_allocator(None):
            array = cupy.asarray(values)
            stream.synchronize()
        return array


class _Foreign:
    """A stream of another library, as the protocol for handing them over wants it."""

    def __init__(self, stream: int) -> None:
        self.stream = stream

    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, self.stream


def _name_cuda(version: int) -> str:
    return f"CUDA {version // 1000}.{version % 1000 // 10}"


cuda = Cuda()


class _Launch(NamedTuple):
    """A program for a device, with all that must live as long as it may run."""

    kernel: Kernel
    blocks: int
    words: NumpyArray
    places: slice
    argument: np.dtype[Any]
    factors: list[Array]

    def run(self, addresses: list[int]) -> None:
        """Put the kernel on the current stream, for arrays at these addresses."""
        # A copy: another thread may launch the same program for other arrays at this moment.
        words = self.words.copy()
        words[self.places] = addresses
        if self.factors and cuda.is_capturing():
            captured.update((id(factor), factor) for factor in self.factors)
        self.kernel((self.blocks,), (gpu_program.THREADS,), (words.view(self.argument),))


# A launch holds the weights of its plans, or their addresses on the device, so it serves no other
# plans. Launches of other shapes share what `uploaded` has, by value.
launches: Store[_Launch] = Store(most=64)
uploaded: Store[Array] = Store(most=4096, most_bytes=1 << 26)
_kernels: dict[tuple[str, int], Kernel] = {}
_problems: dict[int, str] = {}

captured: dict[int, Array] = {}
"""Weights in graphs. A graph has their addresses, and nobody says when it is gone: they stay."""


def unsupported(outputs: Outputs) -> str | None:
    """Say why these outputs need another engine, or return None."""
    fields = distinct_fields(outputs)
    first = fields[0]
    for f in fields:
        if type(f) is not cupy.ndarray:
            return f"it takes arrays on a GPU, and `f` is {library_of(f)}'s {type(f).__name__}"
        if f.dtype.str[1:] not in SAMPLES:
            return (
                "it takes integers, float16, float32, float64, complex64 and complex128, and "
                f"`f` is {f.dtype}"
            )
        if f.dtype != first.dtype or f.shape != first.shape:
            return "it takes fields of one dtype and shape"
        size = f.itemsize
        if any(stride % size for stride in f.strides):
            return "it takes fields whose strides are multiples of their samples' size"
        if f.data.device_id != first.data.device_id:
            return f"its fields lie on two devices, {first.device} and {f.device}"
    device = first.data.device_id
    problem = _problems.get(device)
    if problem is None:
        problem = _problems[device] = cuda.find_problem(device)
    return problem or _find_problem(outputs)


def _find_problem(outputs: Outputs) -> str | None:
    """Say what the kernel cannot take of the plans of these outputs, or return None."""
    for terms in outputs:
        for term in terms:
            for plan in gpu_program.plans_of(term):
                problem = plan.memo.get("gpu")
                if problem is None:
                    problem = plan.memo["gpu"] = _find_problem_of(plan)
                if problem:
                    return problem
                if plan.dtype != term.plan.dtype or plan.on_host != term.plan.on_host:
                    return "it takes masks where all formulas have the precision of the spacing"
            if term.where is not None and not term.plan.on_host:
                return "it takes masks where the spacing lies on the host"
        if gpu_program.count_words(terms) > gpu_program.MOST_WORDS:
            return "its formulas at the ends have more samples than a kernel takes"
    return None


def _find_problem_of(plan: AxisPlan) -> str:
    """Say what the kernel cannot take of a plan; nothing where it takes all."""
    if plan.dtype is not None and plan.dtype.str[1:] not in ("f2", "f4", "f8"):
        return f"it takes spacings in float16, float32 or float64, and one is {plan.dtype}"
    if plan.varies_across:
        return "it takes spacings that are the same on all lines along an axis"
    constants = [formula.constant for formula in (*plan.lower, *plan.upper)]
    if plan.interior.constant is not None or any(hasattr(c, "ndim") for c in constants):
        return "it takes boundaries whose values are numbers on the host"
    return ""


def evaluate(outputs: Outputs, out: Sequence[Array] | None = None) -> tuple[Array, ...]:
    """Evaluate each output; arrays in `out` overlap with no field and not with each other."""
    f = outputs[0][0].field
    device = f.data.device_id
    with cuda.on(device):
        # The kernel writes results as they are. CuPy casts them where `out` has another dtype.
        dtypes = [find_result(terms) for terms in outputs]
        targets = out
        if targets is None or [target.dtype for target in targets] != dtypes:
            with _saying_what_is_needed(f, dtypes):
                targets = [cupy.empty_like(f, dtype) for dtype in dtypes]  # each laid out as `f`
        if f.size:
            for numbers in gpu_program.split(outputs):
                _launch(outputs[numbers], targets[numbers], device)
        if out is not None and targets is not out:
            for target, result in zip(out, targets, strict=True):
                target[...] = result
    return tuple(targets if out is None else out)


def _launch(outputs: Outputs, targets: Sequence[Array], device: int) -> None:
    """Run the program for outputs, from memory where their like has been seen before."""
    aligned = [*distinct_fields(outputs), *targets]
    arrays = [*aligned, *distinct_masks(outputs)]
    addresses = [array.data.ptr for array in arrays]
    residues = tuple([a % gpu_program.VECTOR_BYTES for a in addresses[: len(aligned)]])
    identities = tuple([
        tuple([term.plan.memo.setdefault("identity", object()) for term in terms])
        for terms in outputs
    ])  # fmt: skip
    key = device, residues, describe_outputs(outputs, arrays), identities
    launch = launches.find(key)
    if launch is None:
        launch = _prepare(outputs, targets, residues, device)
        launches.keep(key, launch)
    launch.run(addresses)


def _prepare(
    outputs: Outputs, targets: Sequence[Array], residues: Sequence[int], device: int
) -> _Launch:
    """Make the program for outputs, compile its kernel and upload its weights, where needed."""
    program = make_program(outputs, targets, residues)
    kernel = _kernels.get((program.kernel, device))
    if kernel is None:
        kernel = _kernels[program.kernel, device] = cuda.load(program.kernel)
    factors = []
    for place, values in program.factors:
        factor = _upload(values, device) if isinstance(values, np.ndarray) else values
        program.words[place] = factor.data.ptr
        factors.append(factor)
    argument = np.dtype(f"V{program.words.nbytes}")  # how CuPy takes a structure
    return _Launch(kernel, program.blocks, program.words, program.places, argument, factors)


def _upload(values: NumpyArray, device: int) -> Array:
    """Return values on a device: the same array for the same values."""
    key = (device, values.dtype.num, values.tobytes())
    array = uploaded.find(key)
    if array is None:
        array = cuda.upload(np.ascontiguousarray(values))
        uploaded.keep(key, array, array.nbytes)
    return array


def allocate_stack(f: Array, count: int) -> Array:
    """Return memory for as many results of a field, one after the other in a single array."""
    dtype = find_precision(f.dtype, None).result
    with cuda.on(f.data.device_id), _saying_what_is_needed(f, [dtype] * count):
        return cupy.empty((count, *f.shape), dtype)


@contextmanager
def _saying_what_is_needed(f: Array, dtypes: Sequence[np.dtype[Any]]) -> Iterator[None]:
    try:
        yield
    except cupy.cuda.memory.OutOfMemoryError as error:
        each, count = f.size * dtypes[0].itemsize, len(dtypes)
        raise MemoryError(
            f"the results need {count * each:,} bytes on {f.device}, {each:,} for each of {count}, "
            "and there is not enough free memory. Delete arrays, differentiate along fewer axes "
            f"at a time, or pass `out=` arrays that may be overwritten. CuPy says: {error}"
        ) from error


@cache
def read_source() -> str:
    """Return the CUDA source of the kernel."""
    return Path(__file__).with_name("stencil.cu").read_text(encoding="utf-8")


KERNEL = "gpugrad"
"""The name of the kernel in the source that `write_source` returns."""


def write_source(*kernels: str) -> str:
    """Return the source with instantiations as kernels by name: `gpugrad`, `gpugrad1` and so on."""
    entries = [f"KERNEL({KERNEL}{i or ''}, {kernel})" for i, kernel in enumerate(kernels)]
    return "\n".join([read_source(), *entries, ""])
