"""The codes that are put into functions of other libraries, each with the parameters of theirs.

They run with the names of the module that they are put into, so they use none: what they call takes
the place of the constant. Both are called `gradient`, as what reads the source of a function
looks for its name there.
"""

from __future__ import annotations

from types import CodeType
from typing import Any

PLACE = "what stands in"


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: Any = 1) -> Any:
    """Hand a call to what stands in for NumPy's or CuPy's."""
    call: Any = "what stands in"
    return call(f, varargs, axis, edge_order)


WITH_EDGE_ORDER: CodeType = gradient.__code__


def gradient(f: Any, *varargs: Any, axis: Any = None, **kwargs: Any) -> Any:  # type: ignore[no-redef]
    """Hand a call to what stands in for Dask's."""
    call: Any = "what stands in"
    return call(f, varargs, axis, kwargs)


WITH_KEYWORDS: CodeType = gradient.__code__
