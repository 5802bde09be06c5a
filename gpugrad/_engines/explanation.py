"""Why a call takes the engine that it takes, from the table by which engines are chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import array_api_compat
import numpy as np

from gpugrad._arrays import (
    Array,
    BackendError,
    NumpyArray,
    is_unmasked_subclass,
    library_of,
    memory,
    namespace_of,
)
from gpugrad._arrays import threads as _threads
from gpugrad._engines import numpy_blocks
from gpugrad._engines.dispatch import TABLE, TOO_LITTLE, Asked, Evaluation, decline
from gpugrad._engines.numpy_steps import find_result
from gpugrad._engines.selection import (
    BACKENDS,
    INSTALL_COMPILER,
    WITHOUT_LLVMLITE,
    asking,
    name_in_force,
    source_of_name,
)
from gpugrad._stencils import Outputs, distinct_fields, distinct_masks, replace_fields

_INTO_OUT = ", into `out`"


@dataclass(frozen=True)
class Explanation:
    """The backend that a call would use, and the reasons: the result of `explain`.

    It prints as a table. Tests and benchmarks can use it to assert that a call runs on the expected
    backend.

    Parameters
    ----------
    backend : str or None
        The name of the backend that evaluates the call; for a Dask array, of the backend that
        evaluates its blocks. None if the call would raise a `BackendError`, or has nothing to
        evaluate.
    details : str
        One line on how the backend evaluates the call.
    rejected : dict of str to str
        Faster backends that are not used, in the order in which they are considered, each with the
        reason.
    cure : str or None
        What to do in order to use a faster backend, if that is possible.

    See Also
    --------
    explain : Returns an explanation.
    use_backend : Chooses a backend.

    Examples
    --------
    >>> import numpy as np
    >>> import gpugrad
    >>> why = gpugrad.explain(np.zeros((300, 300), "O"))
    >>> why.backend, why.rejected["numpy"]
    ('slices', 'it takes integers, real and complex floats, and `f` is object')
    """

    __module__ = "gpugrad"

    backend: str | None
    details: str
    rejected: dict[str, str] = field(default_factory=dict)
    cure: str | None = None

    def __str__(self) -> str:
        """Return the table."""
        name = "nothing" if self.backend is None else f'"{self.backend}"'
        rows = [("evaluated by", f"{name}: {self.details}")]
        rows += [("not by", f'"{name}": {reason}') for name, reason in self.rejected.items()]
        rows += [("cure", self.cure)] if self.cure else []
        return "\n".join(f"{label:<12}  {text}" for label, text in rows)

    __repr__ = __str__


class _Walk(NamedTuple):
    """What came of asking the table: the engine that takes outputs, and why others don't."""

    backend: str
    evaluation: Evaluation
    reasons: dict[str, str]


def explain_call(call: Callable[[], object], backend: str | None, has_out: bool) -> Explanation:
    """Explain a call of an operator that leaves the choice of a backend to what is in force.

    `backend` is the name that it would have been given. The call is made up to where it would
    choose an engine.
    """
    name, source = name_in_force(backend), source_of_name(backend)
    try:
        with asking():
            call()
    except Asked as question:
        outputs = question.outputs
    else:
        return Explanation(None, "there is nothing to evaluate")
    try:
        explanation = _explain(outputs, name, has_out)
    except BackendError as error:
        details = "the call raises BackendError" + (f"; named by {source}" if source else "")
        return Explanation(None, details, {name: error.reason}, error.cure)
    if not source or name == "auto":
        return explanation
    best = _explain(outputs, "auto", has_out).backend or name
    cure = f'Leave the choice to "auto", which takes "{best}".' if _is_faster(best, name) else None
    details = f"{explanation.details}; named by {source}"
    return Explanation(explanation.backend, details, {}, cure)


def _is_faster(backend: str, other: str) -> bool:
    return BACKENDS.index(backend) > BACKENDS.index(other)


def _explain(outputs: Outputs, name: str, has_out: bool) -> Explanation:
    """Explain the choice for outputs; raise BackendError where the call would."""
    if array_api_compat.is_dask_array(outputs[0][0].field):
        return _explain_blocks(outputs, name)
    walk = _walk(outputs, name)
    details = _describe(walk)
    if walk.backend in ("numpy", "compiled"):
        details += _INTO_OUT if has_out else _describe_memory(outputs)
    rejected = {b: r for b, r in walk.reasons.items() if _is_faster(b, walk.backend)}
    return Explanation(walk.backend, details, rejected, _find_cure(outputs, walk, rejected))


def _explain_blocks(outputs: Outputs, name: str) -> Explanation:
    """Explain the choice for blocks of lazy arrays."""
    _walk(outputs, name)  # it may refuse what was named
    if not all(term.plan.on_host for terms in outputs for term in terms):
        details = "lazily, operation by operation on whole arrays, as a spacing is lazy"
        return Explanation("slices", details, {}, "Pass the spacing as a NumPy array.")
    block = _pick_block(outputs)
    token = _threads.choose(_threads.chosen() or 1)
    try:
        explanation = _explain(block, name, False)
    finally:
        _threads.restore(token)
    shape = " x ".join(map(str, block[0][0].field.shape))
    details = f"lazily, each block of up to {shape} samples in a task, {explanation.details}"
    return replace(explanation, details=details)


def _walk(outputs: Outputs, name: str) -> _Walk:
    """Ask the engines of the table, one after the other, as a call does."""
    f = outputs[0][0].field
    reasons: dict[str, str] = {}
    for backend, applies, find in TABLE:
        if applies(f, name):
            answer = find(outputs, name, is_asked=True)
            if not isinstance(answer, str):
                return _Walk(backend or name, answer, reasons)
            reasons[backend] = answer
        elif backend and name == "auto":
            reasons[backend] = decline(backend, outputs)
    raise AssertionError("the last row takes everything")


def _pick_block(outputs: Outputs) -> Outputs:
    """Return outputs of a lazy array for its largest block, which has no memory."""
    shape = tuple(map(max, outputs[0][0].field.chunks))

    def stand_in(x: Array) -> Array:
        if type(x._meta) is np.ndarray:
            return memory.stand_in(x._meta, shape=shape)
        if isinstance(x._meta, np.ndarray):
            return np.broadcast_to(np.empty_like(x._meta, shape=()), shape, subok=True)
        xp = namespace_of(x._meta)
        return xp.broadcast_to(xp.empty((), dtype=x.dtype), shape)

    arrays = (*distinct_fields(outputs), *distinct_masks(outputs))
    return replace_fields(outputs, {id(x): stand_in(x) for x in arrays})


def _describe(walk: _Walk) -> str:
    """Say how an engine evaluates."""
    outputs, like = walk.evaluation.outputs, walk.evaluation.like
    f = outputs[0][0].field
    if walk.evaluation.describe is not None:
        return walk.evaluation.describe(outputs)
    if walk.backend == "cupy":
        return "in one kernel on the array's GPU"
    if walk.backend == "slices":
        return f"operation by operation, by functions of {library_of(f)}"
    if walk.backend == "numpy":
        how = numpy_blocks.describe(outputs)
    else:
        from gpugrad._engines.compiled import engine as compiled_engine

        how = compiled_engine.describe(outputs)
    return how if like is None else f"{how}, on the memory of an array of {library_of(like)}"


def _describe_memory(outputs: Outputs) -> str:
    """Say where new results are written to."""
    f = outputs[0][0].field
    if not isinstance(f, np.ndarray) or f.dtype.kind not in "fciu":
        return ""
    is_recycled = memory.is_recycled(f.size * find_result(outputs[0]).itemsize)
    return ", into memory of earlier results where some is free" if is_recycled else ""


def _find_cure(outputs: Outputs, walk: _Walk, rejected: dict[str, str]) -> str | None:
    """Return what to do to have a faster engine, or None."""
    f = outputs[0][0].field
    for fits, cure, words in _CURES:
        if rejected and fits(f):
            cured = {id(g): cure(g) for g in distinct_fields(outputs)}
            new_walk = _walk(replace_fields(outputs, cured), "auto")
            reasons = {**new_walk.reasons, new_walk.backend: ""}
            solved = ("", TOO_LITTLE, WITHOUT_LLVMLITE)
            # A field for which only the compiler is missing is no faster in another form.
            unsolved = [backend for backend, reason in rejected.items() if reason not in solved]
            if any(reasons.get(backend) in solved for backend in unsolved):
                return words
    problem = rejected.get("compiled", "")
    if problem == TOO_LITTLE:
        return (
            'None is needed: "compiled" comes once calls like this have taken as long in this '
            'process as it takes to compile. `backend="compiled"` has it at once.'
        )
    if "needs llvmlite" in problem:
        return INSTALL_COMPILER
    if "cupy" in rejected and array_api_compat.is_torch_array(f) and f.device.type == "cuda":
        from gpugrad._arrays import devices

        gpu = devices.find_gpu()
        return None if gpu.usable else f"To mend it: {gpu.cure}."
    return None


def _as_plain(f: Array) -> NumpyArray:
    return memory.stand_in(f)


def _convert(dtype: str) -> Callable[[Array], NumpyArray]:
    return lambda f: memory.stand_in(f, dtype)


def _is_torch_differentiated(f: Array) -> bool:
    return array_api_compat.is_torch_array(f) and bool(f.requires_grad)


def _has_kind(*kinds: str) -> Callable[[Array], bool]:
    return lambda f: type(f) is np.ndarray and f.dtype.char in kinds


_CURES: tuple[tuple[Callable[[Array], bool], Callable[[Array], Any], str], ...] = (
    (lambda f: is_unmasked_subclass(f), _as_plain, "Pass `numpy.asarray(f)`."),
    (_has_kind("O"), _convert("f8"), 'Pass `f.astype("f8")`.'),
    (_has_kind("m"), _convert("f8"), 'Pass numbers, such as `f / numpy.timedelta64(1, "s")`.'),
    (
        _has_kind("M"),
        _convert("f8"),
        'Pass numbers, such as `(f - f.flat[0]) / numpy.timedelta64(1, "s")`.',
    ),
    (_has_kind("e"), _convert("f4"), 'Pass `f.astype("f4")`.'),
    (_has_kind("g"), _convert("f8"), 'Pass `f.astype("f8")`, if that is precise enough.'),
    (_has_kind("G"), _convert("c16"), 'Pass `f.astype("c16")`, if that is precise enough.'),
    (
        _is_torch_differentiated,
        lambda f: f.detach(),
        "Pass `f.detach()`, if no gradients are to flow through the result.",
    ),
)
"""For which fields, what they might be in their place, and how to have it, in words.

What is put in place is asked for an engine: a cure that cures nothing is not told.
"""
