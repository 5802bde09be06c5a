"""NumPy's own warnings of what went wrong in machine code, which tells only where.

The results stand. The NumPy engine computes a piece of them once more that went wrong, so that
what is said, and what `numpy.errstate` asks for, are NumPy's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpugrad._arrays import NumpyArray, warn_caller
from gpugrad._engines.compiled.tiles import find_block, order_axes
from gpugrad._engines.numpy_blocks import compute_pieces
from gpugrad._stencils import Outputs

WORDS = {
    "invalid value": "invalid",
    "divide by zero": "divide",
    "overflow": "over",
    "underflow": "under",
}
"""How NumPy's messages begin, and the key of `numpy.errstate` that each belongs to."""


def is_wanted(trouble: int) -> bool:
    """Tell whether the caller wants to hear of any of this, by NumPy's error state."""
    return bool(_list_kinds(trouble) & _find_wanted().keys())


def warn_of_trouble(
    outputs: Outputs, out: Sequence[NumpyArray], troubles: NumpyArray, bounds: Sequence[int]
) -> None:
    """Warn, or raise, as the caller's error state asks: once of each kind of trouble.

    `out` has the results. `troubles` says for each item of a program what went wrong there,
    `bounds` which items make a block. A warning has the line of the caller, as no line of NumPy's
    is behind it.
    """
    f, wanted = outputs[0][0].field, _find_wanted()
    order = order_axes(f)
    for number, trouble in enumerate(np.bitwise_or.reduceat(troubles, bounds[:-1]).tolist()):
        kinds = _list_kinds(trouble) & wanted.keys()
        if not kinds:
            continue
        block = find_block(f.shape, order, f.itemsize, number)
        for place, compute in compute_pieces(outputs, block):
            if not kinds:
                break
            if not _may_have(kinds, [target[place] for target in out]):
                continue
            # A flag may be a false alarm: the processor computes more than is used in the end.
            while kinds:
                try:
                    with np.errstate(**_only(kinds, "raise")):
                        compute()
                    break
                except FloatingPointError as error:
                    kind = next(WORDS[words] for words in WORDS if str(error).startswith(words))
                    mode = wanted.pop(kind)
                    kinds.discard(kind)
                    if mode == "raise":
                        raise
                    message = str(error)
                if mode == "warn":
                    warn_caller(message, RuntimeWarning)
                else:
                    with np.errstate(**_only({kind}, mode)):
                        compute()


def _may_have(kinds: set[str], results: Sequence[NumpyArray]) -> bool:
    """Tell whether trouble of some kinds may be behind results: they show all but underflow.

    What is invalid stays NaN to the end of a sum. What is too large is infinite there, or NaN.
    """
    if "under" in kinds:
        return True
    if kinds == {"invalid"}:
        return any(np.isnan(result).any() for result in results)
    return not all(np.isfinite(result).all() for result in results)


def _find_wanted() -> dict[str, str]:
    """Return the kinds of trouble that the caller wants to hear of, and in which way of each."""
    return {kind: mode for kind, mode in np.geterr().items() if mode != "ignore"}  # type: ignore[misc]


def _only(kinds: set[str], mode: str) -> Any:
    """Return an error state for some kinds of trouble, without the others."""
    return {kind: mode if kind in kinds else "ignore" for kind in WORDS.values()}


def _list_kinds(trouble: int) -> set[str]:
    from gpugrad._engines.compiled.llvm import Trouble

    return {kind for kind, bit in Trouble.here()._asdict().items() if trouble & bit}
