"""Weights of the three-point first derivative on unevenly spaced samples.

The derivative of the parabola through three samples, at its middle and at its ends. Written with
arithmetic operators alone, so the gaps may be numbers or arrays of any library, and in the order
of operations that `numpy.gradient` has: the bits of its results follow from the bits of these.

References
----------
A. Quarteroni, R. Sacco, F. Saleri, *Numerical Mathematics*, Springer 2007, section 10.10.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpugrad import _memory, _threads

Weights = tuple[Any, Any, Any]

BLOCK = 1 << 14
"""Gaps that are worked on at once where there are many: with all temporaries they stay cached."""


def middle_of_three(left: Any, right: Any) -> Weights:
    """Return the weights of f[i-1], f[i], f[i+1] for the derivative at sample i.

    `left` and `right` are the gaps ``x[i] - x[i-1]`` and ``x[i+1] - x[i]``; the error is
    O(left * right).
    """
    return (
        -right / (left * (left + right)),
        (right - left) / (left * right),
        left / (right * (left + right)),
    )


def middle_in_blocks(gaps: np.ndarray[Any, Any]) -> Weights:
    """Return what `middle_of_three` does for many gaps, several times as fast, on threads."""
    left, right = gaps[:-1], gaps[1:]
    weights = tuple(_memory.empty(left.shape, gaps.dtype) for _ in range(3))

    def work(starts: Sequence[int]) -> None:
        for start in starts:
            block = slice(start, start + BLOCK)
            for target, w in zip(weights, middle_of_three(left[block], right[block]), strict=True):
                target[block] = w

    _threads.for_each_share(work, range(0, left.size, BLOCK), _threads.count())
    return weights[0], weights[1], weights[2]


def first_of_three(near: Any, far: Any) -> Weights:
    """Return the weights of f[0], f[1], f[2] for the derivative at sample 0."""
    return (
        -(2.0 * near + far) / (near * (near + far)),
        (near + far) / (near * far),
        -near / (far * (near + far)),
    )


def last_of_three(far: Any, near: Any) -> Weights:
    """Return the weights of f[-3], f[-2], f[-1] for the derivative at the last sample."""
    return (
        near / (far * (far + near)),
        -(near + far) / (far * near),
        (2.0 * near + far) / (near * (far + near)),
    )
