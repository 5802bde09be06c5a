"""Which engine a call of an operator would take, and why."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gpugrad._arrays import Backend
from gpugrad._operators import gradient, vector_calculus
from gpugrad._operators.descriptions import OPERATOR, describe
from gpugrad._operators.planning import find_operator

if TYPE_CHECKING:
    from gpugrad._engines import Explanation


@describe(
    f="""
f : array, or sequence of arrays
    What the operator is called with: samples of a scalar field, or the components of a vector
    field.
""",
    operator=OPERATOR,
    backend="""
backend : {"auto", "slices", "numpy", "compiled", "cupy"}, optional
    The backend that the call names, see `use_backend`; by default the one in force.
""",
    options="""
**options
    Options of the operator, such as `axis`, `accuracy`, `boundary`, `where` and `out`.
""",
)
def explain(
    f: Any,
    *spacing: Any,
    operator: str = "gradient",
    backend: Backend | None = None,
    **options: Any,
) -> Explanation:
    """Say which backend a call would take, why not a faster one, and what to do about it.

    It is for calls that are slower than expected: it tells what holds a faster backend back, such
    as a mask, a dtype or a missing library.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    Explanation
        Prints as a table; its attributes are ``backend`` (the name of the one that evaluates),
        ``details`` (how it does, in a line), ``rejected`` (faster ones, each with the reason why
        it does not) and ``cure`` (what to do to have one of these, or None). For a named backend
        that cannot run, ``backend`` is None, where the call would raise a `BackendError`.

    Raises
    ------
    TypeError
        If an argument is of a kind that the operator refuses, or is no option of it.
    ValueError
        If the operator is unknown, or refuses a value of an argument.

    See Also
    --------
    info : What is installed, and what runs where.
    use_backend : Chooses a backend.

    Notes
    -----
    Arguments are read and checked as in the call. No derivative is computed and nothing is
    written. "compiled" comes into use after some work; an explanation is none, and does not start
    it. Whether a compiler that is installed works is not known before it has started.

    Examples
    --------
    >>> import numpy as np
    >>> import gpugrad
    >>> f = np.ones((300, 300), object)
    >>> gpugrad.explain(f).backend
    'slices'
    >>> print(gpugrad.explain(f.astype("f8"), backend="numpy").details)
    in one block, on one thread; named by the keyword `backend`
    """
    from gpugrad._engines import explain_call

    find_operator(operator)
    call = getattr(gradient, operator, None) or getattr(vector_calculus, operator)
    has_out = options.get("out") is not None
    return explain_call(partial(call, f, *spacing, **_spare_mask(f, options)), backend, has_out)


def _spare_mask(f: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Return options that mask as much, by a mask without memory in place of one of all samples."""
    first = f[0] if isinstance(f, (tuple, list)) and len(f) else f
    if (
        options.get("skipna") is True
        and options.get("where") is None
        and isinstance(first, np.ndarray)
        and first.dtype.kind in "fc"
    ):
        return {**options, "skipna": False, "where": np.True_}
    return options
