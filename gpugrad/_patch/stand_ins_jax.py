"""What stands in for the gradient of JAX: a compiled function, as JAX's own is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache, partial, wraps
from typing import Any

from gpugrad._patch import stand_ins


def stand_in_for_jax(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return what is called for `jax.numpy.gradient`."""
    # What JAX has compiled for one answer to refusals is not for the other one.
    return _compile(original, stand_ins.falls_back)


@cache
def _compile(original: Callable[..., Any], falls_back: bool) -> Callable[..., Any]:
    jax = sys.modules["jax"]

    @wraps(original)
    def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: Any = None) -> Any:
        theirs = partial(original, axis=axis, edge_order=edge_order)
        # Their own errors are raised here, and dtypes are promoted as they do it.
        results = jax.tree.leaves(jax.eval_shape(theirs, f, *varargs))
        if not results:
            return theirs(f, *varargs)
        dtype = results[0].dtype
        f = jax.numpy.asarray(f).astype(dtype)
        spacings = [_as_dtype(jax.numpy, h, dtype) for h in varargs]
        result = stand_ins.compute(
            original, f, spacings, axis, None, "jax.numpy.gradient", falls_back
        )
        return [*result] if type(result) is tuple else result

    compiled: Callable[..., Any] = jax.jit(gradient, static_argnames=("axis", "edge_order"))
    return compiled


def _as_dtype(xp: Any, h: Any, dtype: Any) -> Any:
    """Return a spacing in the dtype of the results; a real one stays real."""
    h = xp.asarray(h)
    is_real = not xp.issubdtype(h.dtype, xp.complexfloating)
    return h.astype(xp.finfo(dtype).dtype if is_real else dtype)
