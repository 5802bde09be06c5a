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
    The argument of the operator: samples of a scalar field, or the components of a vector field.
""",
    operator=OPERATOR,
    backend="""
backend : {"auto", "slices", "numpy", "compiled", "cupy"}, optional
    The backend that the call requests by name; see `use_backend`, which also sets the default.
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
    """Return which backend a call would use, and why not a faster one.

    Use it for calls that are slower than expected: it tells what prevents a faster backend, such as
    a mask, a dtype or a missing library, and what can be done about it.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    Explanation
        The explanation, which prints as a table. Its attributes are ``backend`` (the name of the
        backend that evaluates the call), ``details`` (one line on how it does so), ``rejected``
        (faster backends, each with the reason why it is not used) and ``cure`` (what to do in order
        to use one of these, or None). If a backend is requested by name and can't run the call, the
        call would raise a `BackendError`, and ``backend`` is None.

    Raises
    ------
    TypeError
        If an argument has a type that the operator does not accept, or is not an option of the
        operator.
    ValueError
        If the operator is unknown, or does not accept the value of an argument.

    See Also
    --------
    info : What is installed, and which devices can be used.
    use_backend : Chooses a backend.

    Notes
    -----
    The arguments are checked as in the call, but no derivative is computed and nothing is written.
    The backend "compiled" is used only after some work has been done without it; an explanation
    does not count as such work and does not start the compiler. So it is unknown before the
    compiler has started whether an installed compiler works.

    Examples
    --------
    The backend "slices" evaluates arrays of Python objects. For a float64 array, the backend
    "numpy" is possible, too:

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
