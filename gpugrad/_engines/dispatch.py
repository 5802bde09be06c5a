"""The one place that chooses an engine for a call, and has it write where results belong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import array_api_compat
import numpy as np

from gpugrad._arrays import (
    HALF_PRECISION,
    Array,
    BackendError,
    NumpyArray,
    assign,
    check_out,
    dtype_name,
    from_host,
    has_plain_type,
    host_values,
    library_of,
    memory,
    overlap_any,
    result_dtype,
    stack_results,
    view_to_write,
    warn_caller,
)
from gpugrad._arrays import threads as _threads
from gpugrad._engines import masked_arrays, numpy_blocks, numpy_subclasses, slices
from gpugrad._engines.selection import INSTALL_COMPILER, QUESTION, cannot_run, name_in_force
from gpugrad._engines.slices import evaluate as evaluate_reference
from gpugrad._stencils import (
    Norm,
    Outputs,
    convert_fields,
    distinct_arrays,
    distinct_fields,
    distinct_masks,
    replace_fields,
)

if TYPE_CHECKING:
    from gpugrad._engines.protocol import Engine, StackingEngine

COMPILED_SIZE = 1 << 12
"""Samples of a field from which on a call asks for a program.

Smaller fields have one where their calls are prepared: see `ready`.
"""

TENSOR_SIZE = 1 << 16
"""Samples of a tensor from which on engines for arrays of NumPy are faster, by its memory."""

TOO_LITTLE = "calls like this have taken less time so far than it takes to compile what they do"


def evaluate(
    outputs: Outputs, out: Any = None, stack: bool = False, backend: str | None = None
) -> tuple[Array, ...] | Array:
    """Evaluate outputs with the engine in force; a tuple, or one array where `stack` is true."""
    f = outputs[0][0].field
    if out is None and not stack:
        # Small fields on the long way feel what it takes to choose.
        is_small = type(f) is np.ndarray and f.size < COMPILED_SIZE
        if is_small and name_in_force(backend) == "auto" and not numpy_blocks.unsupported(outputs):
            return numpy_blocks.evaluate(outputs)
    results = _run(_choose(outputs, backend), f, out, stack)
    if isinstance(f, np.ndarray) and f.dtype.kind in "mM":
        _warn_of_lost_fractions(outputs, results)
    return results


_FRACTION = 1e-6
"""The part of a derivative that may be lost without a warning."""


def _warn_of_lost_fractions(outputs: Outputs, results: Sequence[NumpyArray]) -> None:
    """Warn where derivatives of times, whole numbers of a unit, are not what numbers would give."""
    f = outputs[0][0].field
    counts = np.asarray(f).astype(np.int64)  # of either byte order
    is_known = ~np.isnat(np.asarray(f))
    start = counts[is_known].flat[0] if is_known.any() else 0
    numbers = np.where(is_known, (counts - start).astype(np.float64), np.nan)
    worst = 0.0
    with np.errstate(all="ignore"):
        exact = evaluate_reference(replace_fields(outputs, {id(f): numbers}))
    for number, result in zip(exact, results, strict=True):
        span = np.asarray(result)
        whole = np.where(np.isnat(span), np.nan, span.astype(np.int64).astype(np.float64))
        loss = abs(number - whole)
        loss = loss[(loss > _FRACTION * abs(number)) & ~np.ma.getmaskarray(result)]
        worst = max(worst, loss.max(initial=0.0))
    if worst:
        unit, step = np.datetime_data(f.dtype)
        times = "f" if f.dtype.kind == "m" else "(f - f.flat[0])"
        warn_caller(
            f"`f` counts in steps of {step} {unit}, and derivatives lose their fractions: up to "
            f"{worst:.2g} of a step. Pass numbers, as in `{times} / numpy.timedelta64({step}, "
            f"'{unit}')`, or times in a finer unit, as in `f.astype('{f.dtype.kind}8[ns]')`."
        )


def _run(evaluation: Evaluation, f: Array, out: Any, stack: bool) -> tuple[Array, ...] | Array:
    """Evaluate outputs with the engine that was chosen; arguments as for `evaluate`."""
    outputs = evaluation.outputs
    if out is None and not stack:
        return evaluation.results()
    is_norm = isinstance(outputs[0], Norm)
    targets = None if out is None else check_out(out, f, len(outputs), stack, is_norm)
    if evaluation.allocate_stack:
        if targets is not None:
            _write(evaluation, targets)
            return out if stack else tuple(targets)
        stacked = evaluation.allocate_stack(outputs[0][0].field, len(outputs))
        _write(evaluation, [stacked[i, ...] for i in range(len(outputs))])
        return stacked if evaluation.like is None else from_host(stacked, evaluation.like)
    results = evaluation.results()
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


class Evaluation(NamedTuple):
    """What an engine is to evaluate, and by which of its functions (see `protocol`).

    An engine that works `on_host` takes arrays of NumPy, also to write to. Where the field is of
    another library, `like`, the outputs have NumPy's views of memory that both can see. An engine
    with `allocate_stack` can write into arrays that exist. `describe` says how the engine works,
    where its name does not. `plain` are outputs of NumPy's plain arrays beneath those that are
    evaluated.
    """

    evaluate: Callable[..., tuple[Array, ...]]
    outputs: Outputs
    on_host: bool = False
    like: Array = None
    allocate_stack: Callable[[Array, int], Array] | None = None
    evaluate_seams: Callable[[Outputs], tuple[Array, ...] | None] | None = None
    describe: Callable[[Outputs], str] | None = None
    plain: Outputs | None = None

    def results(self, out: Sequence[Array] | None = None) -> tuple[Array, ...]:
        """Evaluate the outputs, into `out` if it is given; results are of the field's library."""
        if self.like is None:
            return self.evaluate(self.outputs, out)
        with np.errstate(all="ignore"):  # other libraries don't warn of overflow
            results = self.evaluate(self.outputs, out)
        return results if out else tuple(from_host(result, self.like) for result in results)

    def results_at_seams(self) -> tuple[Array, ...] | None:
        """Evaluate outputs whose terms have seams, or return None: the caller has another way."""
        if self.evaluate_seams is None or self.like is not None:
            return None
        return self.evaluate_seams(self.outputs)


class Asked(BaseException):
    """A call has come to where an engine would be chosen, and is to be explained: see `explain`.

    It is no error, and no handler of errors on its way should take it for one.
    """

    def __init__(self, outputs: Outputs) -> None:
        super().__init__(outputs)
        self.outputs = outputs


def _choose(outputs: Outputs, backend: str | None) -> Evaluation:
    """Return the evaluation by the first engine of the table that takes these outputs."""
    f, name = outputs[0][0].field, name_in_force(backend)
    if name == QUESTION:
        raise Asked(outputs)
    for _, applies, find in TABLE:
        evaluation = find(outputs, name) if applies(f, name) else ""
        if not isinstance(evaluation, str):
            return evaluation
    raise AssertionError("the last row takes everything")


def _find_in_tasks(outputs: Outputs, name: str, is_asked: bool = False) -> Evaluation:
    """Find the engine for lazy arrays, whose blocks are evaluated by the one that is named."""
    from gpugrad._engines.dask import graph

    block = outputs[0][0].field._meta
    if name == "cupy" and isinstance(block, np.ndarray):
        way = _find_way_to_gpu(block) and "`f.map_blocks(cupy.asarray)`"
        raise _refuse_gpu("it takes arrays on a GPU, and the blocks of `f` are NumPy's", way)
    if name in ("numpy", "compiled"):
        _load_named(name, is_asked)
        blocks = {
            id(x): np.broadcast_to(np.empty_like(x._meta, shape=()), x.shape, subok=True)
            for x in (*distinct_fields(outputs), *distinct_masks(outputs))
            if isinstance(x._meta, np.ndarray)
        }  # stand-ins without memory; blocks of other libraries say in their tasks what they are
        if all(id(f) in blocks for f in distinct_fields(outputs)):
            _find_named(replace_fields(outputs, blocks), name, is_asked)
    # What is in force here goes along: contexts don't reach the threads that tasks run on.
    in_task = partial(_evaluate_in_task, backend=name, threads=_threads.chosen() or 1)
    at_seams = partial(in_task, ask=Evaluation.results_at_seams)
    evaluate = partial(graph.evaluate, evaluate_block=in_task, evaluate_seams=at_seams)
    return Evaluation(evaluate, outputs)


def _evaluate_in_task(
    outputs: Outputs,
    backend: str,
    threads: int,
    ask: Callable[[Evaluation], Any] = Evaluation.results,
) -> Any:
    """Evaluate a block of a lazy array, beside which others are evaluated at the same time."""
    token = _threads.choose(threads)
    try:
        return ask(_choose(outputs, backend))
    finally:
        _threads.restore(token)


def _find_blocks(outputs: Outputs, _: str, is_asked: bool = False) -> Evaluation | str:
    if type(outputs[0][0].field) is not np.ndarray:
        return _find_on_host(numpy_blocks, outputs)
    reason = numpy_blocks.unsupported(outputs)
    return reason or Evaluation(numpy_blocks.evaluate, outputs, True, None, _allocate_on_host)


def _allocate_on_host(f: NumpyArray, count: int) -> NumpyArray:
    return memory.empty((count, *f.shape), result_dtype(np, f))


def _find_compiled(outputs: Outputs, _: str, is_asked: bool = False) -> Evaluation | str:
    """Find the `compiled` engine, which leaves calls to the `numpy` engine until it pays."""
    from gpugrad._engines.compiled import engine, kernels, offers

    evaluation = _find_on_host(engine, outputs, engine.evaluate_if_paid)
    problem = kernels.foresee()
    if isinstance(evaluation, str):
        return evaluation
    if problem:
        return problem
    plain = evaluation.plain or evaluation.outputs
    is_small = plain[0][0].field.size < COMPILED_SIZE
    if is_asked:
        # Calls on smaller fields wait for a program, and never make one: see `ready`.
        is_there = offers.is_made if is_small else offers.is_ready
        return evaluation if is_there(plain) else TOO_LITTLE
    if is_small:
        return TOO_LITTLE
    seams = None if evaluation.like is not None else engine.evaluate_seams_if_paid
    return evaluation._replace(evaluate_seams=seams)


def _take_all(engine: Engine, outputs: Outputs, _: str, is_asked: bool = False) -> Evaluation:
    """Take an engine that evaluates whatever its row of the table sends."""
    return Evaluation(engine.evaluate, outputs)


def _find_half_precision(outputs: Outputs, name: str, is_asked: bool = False) -> Evaluation | str:
    """Find the engine for large tensors in half precision, in single precision by another."""
    from gpugrad._engines import half_precision
    from gpugrad._engines.compiled import kernels

    is_compiled = name == "auto" and not kernels.foresee()
    evaluate = half_precision.evaluate_if_paid if is_compiled else half_precision.evaluate
    return half_precision.unsupported(outputs) or Evaluation(evaluate, outputs)


def _find_for_tensors(outputs: Outputs, _: str, is_asked: bool = False) -> Evaluation | str:
    """Find the NumPy engine for tensors in host memory."""
    if dtype_name(outputs[0][0].field.dtype) in HALF_PRECISION:
        return "it is slow with PyTorch's tensors in half precision, which the library is not"
    return _find_on_host(numpy_blocks, outputs)


def _find_jax(outputs: Outputs, name: str, is_asked: bool = False) -> Evaluation | str:
    """Find the engine for arrays of JAX with values, or that are cut into blocks."""
    from gpugrad._engines.jax import engine, shards, traced

    reason = engine.unsupported(outputs)
    if reason is None and (name == "auto" or engine.is_cut(outputs)):
        return Evaluation(engine.evaluate, outputs, describe=engine.describe)
    if shards.is_traced_for_many(outputs[0][0].field):
        return Evaluation(traced.evaluate, outputs)
    return reason or 'it is for "auto", and this is the reference'


def _is_on_gpu(f: Array) -> bool:
    """Tell whether the GPU engine may know an array: CuPy's, or a CUDA tensor beside CuPy."""
    if array_api_compat.is_cupy_array(f):
        return True
    if not array_api_compat.is_torch_array(f) or f.device.type != "cuda":
        return False
    from gpugrad._arrays import devices

    return devices.find_gpu().usable


def _find_on_gpu(outputs: Outputs, _: str, is_asked: bool = False) -> Evaluation | str:
    """Return what the `cupy` engine is to evaluate, or say why it can't."""
    engine: StackingEngine
    if array_api_compat.is_torch_array(outputs[0][0].field):
        from gpugrad._engines.cuda import torch_tensors as engine
    else:
        from gpugrad._engines.cuda import engine
    reason = engine.unsupported(outputs)
    if reason is not None:
        return reason
    # What takes part in automatic differentiation is not written to, but stacked afterwards.
    allocate_stack = None if _needs_gradients(outputs) else engine.allocate_stack
    return Evaluation(engine.evaluate, outputs, allocate_stack=allocate_stack)


def _find_named_gpu(outputs: Outputs, name: str, is_asked: bool = False) -> Evaluation:
    """Find the `cupy` engine, which was asked for by name, or say why it can't run."""
    from gpugrad._arrays import devices

    f = outputs[0][0].field
    if array_api_compat.is_jax_array(f):
        raise cannot_run(
            "cupy",
            "it takes CuPy arrays and PyTorch tensors on a GPU, and `f` is a JAX array, whose "
            "operations XLA compiles by itself",
            'Use backend="auto", which XLA fuses inside of `jax.jit`, or pass `cupy.asarray(f)`.',
            " this",
        )
    gpu, way = devices.find_gpu(), _find_way_to_gpu(f)
    if not gpu.usable:
        then = f" It takes arrays on a GPU: pass {way}." if way else ""
        raise cannot_run("cupy", gpu.problem, f"To mend it: {gpu.cure}.{then}")
    evaluation = _find_on_gpu(outputs, name)
    if isinstance(evaluation, str):
        raise _refuse_gpu(evaluation, way)
    return evaluation


def _find_way_to_gpu(f: Array) -> str:
    """Return the call that brings an array to a GPU; nothing if it is there, or cannot go."""
    if array_api_compat.is_torch_array(f):
        return "" if f.device.type == "cuda" else "`f.cuda()` or `cupy.asarray(f)`"
    if isinstance(f, np.ndarray) and (type(f) is not np.ndarray or f.dtype.kind not in "iufc"):
        return ""  # CuPy would lose a mask, and has no dates and no objects
    return "" if array_api_compat.is_cupy_array(f) else "`cupy.asarray(f)`"


def _refuse_gpu(reason: str, way: str) -> BackendError:
    use = f"Pass {way}, or use" if way else "Use"
    return cannot_run("cupy", reason, f'{use} backend="auto".', " this")


def _load_named(name: str, is_asked: bool = False) -> Engine:
    """Return an engine that works on the host, or raise BackendError if it cannot run here."""
    if name == "numpy":
        return numpy_blocks
    from gpugrad._engines.compiled import engine, kernels

    problem = kernels.foresee() if is_asked else kernels.start()
    if problem:
        raise cannot_run("compiled", problem, INSTALL_COMPILER)
    return engine


def _find_named(outputs: Outputs, name: str, is_asked: bool = False) -> Evaluation:
    """Find an engine that works on the host and was asked for by name, or say why it can't."""
    evaluation = _find_on_host(_load_named(name, is_asked), outputs)
    if not isinstance(evaluation, str):
        return evaluation
    is_home = isinstance(outputs[0][0].field, np.ndarray)
    cure = "" if is_home else ", or bring the field home with `gpugrad.asnumpy(f)`"
    raise cannot_run(name, evaluation, f'Use backend="auto"{cure}.', " this")


def _find_on_host(
    engine: Engine, outputs: Outputs, evaluate: Callable[..., Any] | None = None
) -> Evaluation | str:
    """Return what an engine that works on the host is to evaluate, or say why it can't.

    `evaluate` is the function of the engine that evaluates, if it is not the one of this name.
    """
    evaluate = evaluate or engine.evaluate
    f = outputs[0][0].field
    strange = next((g for g in distinct_fields(outputs) if not has_plain_type(g)), None)
    if strange is not None:
        return f"it takes plain tensors, and `f` is a {type(strange).__name__}"
    if _is_masked(f):
        beneath = masked_arrays.look_beneath(outputs)
        if isinstance(beneath, str):
            return beneath
        evaluate_masked = partial(masked_arrays.evaluate, beneath=beneath, evaluate_plain=evaluate)
        return engine.unsupported(beneath) or Evaluation(evaluate_masked, outputs, plain=beneath)
    on_host = _view_on_host(outputs)
    if on_host is None and _needs_gradients(outputs):
        return _find_differentiable(engine, outputs, evaluate)
    if on_host is None and any(map(_is_conjugated, distinct_fields(outputs))):
        return (
            "it takes values as they lie in memory, and `f` is a conjugate view, which "
            "`f.resolve_conj().resolve_neg()` copies"
        )
    if on_host is None:
        return (
            f"it takes values in host memory, and this {library_of(f)} array is on a device, "
            "lazy, traced or in automatic differentiation; nothing is moved silently"
        )
    reason = engine.unsupported(on_host)
    if reason is not None:
        return reason
    like, seams = None if on_host is outputs else f, getattr(engine, "evaluate_seams", None)
    return Evaluation(evaluate, on_host, True, like, _allocate_on_host, seams)


def _has_plain_values(f: Array) -> bool:
    return type(f) is np.ndarray or _is_masked(f)


def _is_masked(f: Array) -> bool:
    """Tell whether an array is a masked one; spares plain arrays the import of numpy.ma."""
    return type(f) is not np.ndarray and isinstance(f, np.ndarray) and type(f) is np.ma.MaskedArray


def _needs_gradients(outputs: Outputs) -> bool:
    """Tell whether PyTorch is to lead gradients back to a field."""
    if not array_api_compat.is_torch_array(outputs[0][0].field):
        return False
    from gpugrad._engines.torch import autograd

    return autograd.needs_gradients(outputs)


def _find_differentiable(
    engine: Engine, outputs: Outputs, evaluate: Callable[..., Any]
) -> Evaluation | str:
    """Return what an engine that works on the host is to evaluate, forwards and backwards."""
    from gpugrad._engines.torch import autograd

    reason = autograd.unsupported(outputs)
    if reason is not None:
        return reason
    forwards = _find_on_host(engine, convert_fields(outputs, lambda f: f.detach()), evaluate)
    if isinstance(forwards, str):
        return forwards

    def compute(outputs: Outputs) -> tuple[Array, ...]:
        evaluation = _find_on_host(engine, outputs, evaluate)
        # What the engine takes forwards it may not take backwards: those are other formulas.
        return (_choose(outputs, "auto") if isinstance(evaluation, str) else evaluation).results()

    def describe(_: Outputs) -> str:
        how = engine.describe(forwards.outputs)  # type: ignore[attr-defined]
        return f"{how}, on the memory of an array of PyTorch, and gradients likewise"

    run = partial(autograd.evaluate, compute=compute)
    return Evaluation(run, outputs, describe=describe, plain=forwards.outputs)


def _is_conjugated(f: Array) -> bool:
    """Tell whether a tensor only says that its values are conjugated, or negative."""
    return array_api_compat.is_torch_array(f) and bool(f.is_conj() or f.is_neg())


def _view_on_host(outputs: Outputs) -> Outputs | None:
    """Return outputs with NumPy's views for fields of another library, or None without any."""
    fields = distinct_fields(outputs)
    if all(isinstance(f, np.ndarray) for f in fields):
        return outputs
    views = {id(x): host_values(x) for x in (*fields, *distinct_masks(outputs))}
    if any(view is None for view in views.values()):
        return None
    return replace_fields(outputs, views)


def _write(evaluation: Evaluation, targets: Sequence[Array]) -> None:
    """Evaluate straight into `targets`, or beside them where that is unsafe."""
    views = [*map(view_to_write, targets)] if evaluation.on_host else targets
    read = distinct_arrays(evaluation.outputs)
    if any(view is None for view in views) or overlap_any(views, read):
        assign(targets, evaluation.results())
    else:
        evaluation.results(views)


class EngineRow(NamedTuple):
    """An engine, or several that are chosen alike, and when it is asked.

    `applies` tells for which fields, and names of backends. `find` loads the engine and returns
    what it is to evaluate, or a reason in words, which sends the outputs on to the next row; an
    engine that was named raises BackendError instead. Asked by `explain`, with a true `is_asked`,
    it starts and counts nothing.
    """

    backend: str
    applies: Callable[[Array, str], bool]
    find: Callable[..., Evaluation | str]


TABLE = (
    # Plain arrays come first: most calls are theirs.
    EngineRow("compiled", lambda f, name: _has_plain_values(f) and name == "auto", _find_compiled),
    EngineRow("numpy", lambda f, name: _has_plain_values(f) and name == "auto", _find_blocks),
    # Lazy arrays take any name along, for their blocks.
    EngineRow("", lambda f, _: array_api_compat.is_dask_array(f), _find_in_tasks),
    # What was named is used, or says why it cannot be.
    EngineRow("", lambda _, name: name in ("numpy", "compiled"), _find_named),
    EngineRow("", lambda _, name: name == "cupy", _find_named_gpu),
    # From here on the name is "auto" or "slices".
    EngineRow(
        "slices",
        lambda f, _: isinstance(f, np.ndarray) and type(f) is not np.ndarray,
        partial(_take_all, numpy_subclasses),
    ),
    EngineRow("cupy", lambda f, name: name == "auto" and _is_on_gpu(f), _find_on_gpu),
    EngineRow(
        "compiled",
        lambda f, name: (
            name == "auto" and array_api_compat.is_torch_array(f) and f.numel() >= TENSOR_SIZE
        ),
        _find_compiled,
    ),
    EngineRow("slices", lambda f, _: array_api_compat.is_torch_array(f), _find_half_precision),
    EngineRow(
        "numpy",
        lambda f, name: name == "auto" and array_api_compat.is_torch_array(f),
        _find_for_tensors,
    ),
    EngineRow("slices", lambda f, _: array_api_compat.is_jax_array(f), _find_jax),
    EngineRow("slices", lambda *_: True, partial(_take_all, slices)),
)
"""The engines, in the order in which they are tried; "" stands for the one that is named."""


def decline(backend: str, outputs: Outputs) -> str:
    """Say why "auto" does not ask an engine for outputs, where no row of the table applies."""
    if backend == "cupy":
        from gpugrad._arrays import devices

        f = outputs[0][0].field
        if array_api_compat.is_torch_array(f) and f.device.type == "cuda":
            return devices.find_gpu().problem
        return f"it takes CuPy arrays and PyTorch tensors on a GPU, and `f` is {library_of(f)}'s"
    if backend == "numpy":
        evaluation = _find_on_host(numpy_blocks, outputs)
        most = "NumPy arrays and PyTorch tensors"
    else:
        from gpugrad._engines.compiled import engine as compiled_engine

        evaluation = _find_on_host(compiled_engine, outputs)
        most = f"NumPy arrays, and PyTorch tensors of {TENSOR_SIZE:,} samples or more"
    return evaluation if isinstance(evaluation, str) else f'"auto" takes it for {most}'
