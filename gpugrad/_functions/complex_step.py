"""The complex step: exact first derivatives of analytic functions, and the proof that they are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np

from gpugrad._arrays import Array, empty
from gpugrad._functions.analytic_array import NotAnalytic, Tracked, refusal, unwrap
from gpugrad._functions.user_function import describe_error


class _StepSizes(NamedTuple):
    """What steps are for points of a floating-point type, and what they leave to rounding."""

    tiny: float
    """The step, in units of the scale of a coordinate: so small that its square vanishes."""
    farther: float
    """A larger step, to tell poles from steep slopes."""
    common: float
    """Coordinates up to this, and down to its inverse, may share a step."""
    tolerance: float
    """How far off values may be, relative to their size or to 1."""
    complex: np.dtype[Any]


_BLOCK = 1 << 16
"""Points at work at a time: complex values of 1 MB."""
_STEEP = 512.0
"""Slopes times scales beyond this multiple of the value may belong to poles."""


@lru_cache(maxsize=8)
def _precision_of(dtype: np.dtype[Any]) -> _StepSizes:
    steps = (2.0**-40, 2.0**-34, 2.0**20) if dtype.itemsize == 4 else (2.0**-100, 2.0**-84, 2.0**60)
    tolerance = 1e3 * float(np.finfo(dtype).eps)
    return _StepSizes(*steps, tolerance, np.result_type(dtype, np.complex64))


def _move_along_imaginary(x: Array, step: Any) -> Tracked:
    """Return points, moved along the imaginary axis."""
    moved = np.empty(x.shape, _precision_of(x.dtype).complex)
    moved.real, moved.imag = x, step
    return Tracked(moved)


def _step_at(x: Array, tiny: float) -> Any:
    """Return how far to move along the imaginary axis: a number for all points, or one for each.

    Powers of two, by which nothing is rounded. Points share one where their sizes do not differ
    too much for it; else it is in proportion to them, and never so small that digits are lost.
    """
    sizes = np.abs(x)
    common = _precision_of(x.dtype).common
    if not 1 / common <= sizes.min():
        sizes[sizes == 0] = 1
    if 1 / common <= sizes.min() and sizes.max() <= common:
        return x.dtype.type(tiny)
    steps = np.ldexp(x.dtype.type(tiny), np.frexp(sizes)[1])
    return np.maximum(steps, np.finfo(x.dtype).smallest_normal, out=steps)


class ComplexStep:
    """First derivatives of a `Function` by complex steps along the axes.

    Called with coordinates, it returns for each component the derivatives by each variable, one
    after the other: a function again, which can be differentiated numerically once more.
    `are_complete` tells whether the first ones are all numbers.
    """

    def __init__(self, function: Any) -> None:
        self.function = function
        self.are_complete = False

    def __call__(self, coords: list[Array]) -> list[Array]:
        """Return the derivatives; NaN where the function has no value, or no real one."""
        return self._differentiate_blocks(coords).arrays()

    def first(self, coords: list[Array]) -> list[Array]:
        """Return the derivatives, having seen that complex values continue the real ones.

        Raises
        ------
        NotAnalytic
            If the function uses what is not analytic, or has other values at complex numbers than
            at real ones.
        """
        derivatives = self._differentiate_blocks(coords)
        if derivatives.differ:
            raise refusal("complex values that are others than its real ones")
        slopes = derivatives.arrays()
        self.are_complete = derivatives.are_complete
        return slopes

    def _differentiate_blocks(self, coords: Sequence[Array]) -> _Slopes:
        """Return the derivatives: blocks of points stay in the cache from arguments to results."""
        derivatives = _Slopes(self, np.broadcast_arrays(*coords))
        size = derivatives.coords[0].size
        for start in range(0, size, _BLOCK):
            self._add_block(derivatives, slice(start, min(start + _BLOCK, size)))
            derivatives.remove_poles(_BLOCK)
        derivatives.remove_poles(1)
        return derivatives

    def _add_block(self, derivatives: _Slopes, block: slice) -> None:
        """Differentiate at a block of points."""
        coords = [x[block] for x in derivatives.coords]
        real = self._evaluate_real(coords)
        precision = _precision_of(coords[0].dtype)
        tolerance = precision.tolerance
        steepest = [_STEEP * np.abs(f0) for f0 in real]
        fits: list[Array | None] = [None] * len(real)
        scratch = np.empty(coords[0].shape, np.result_type(*real))
        for i, x in enumerate(coords):
            step = _step_at(x, precision.tiny)
            moved = [*coords[:i], _move_along_imaginary(x, step), *coords[i + 1 :]]
            results = self.components(moved, len(real))
            for m, (result, f0) in enumerate(zip(results, real, strict=True)):
                errors = np.subtract(result.real, f0, out=scratch)
                if not max(errors.max(), -errors.min()) <= tolerance:  # bounds for all cost more
                    fit = np.isfinite(f0) & (np.abs(errors) <= tolerance * (1 + np.abs(f0)))
                    fits[m] = fit if fits[m] is None else fit & fits[m]
                # The step is a power of two, so that its inverse is exact and multiplying is safe.
                place = derivatives.block_of(m, i, block, f0.dtype)
                slope = np.multiply(result.imag, 1 / step, out=place)
                size = np.abs(slope, out=scratch)
                if step.ndim:
                    size *= step / precision.tiny
                steep = ~(size <= steepest[m])  # NaN is steep, too
                if fits[m] is not None:
                    steep &= fits[m]
                derivatives.suspect(m, i, block.start + np.flatnonzero(steep))
        for m, (f0, fit) in enumerate(zip(real, fits, strict=True)):
            if fit is not None:
                derivatives.reject(m, block, ~fit, np.isfinite(f0))

    def _evaluate_real(self, coords: list[Array]) -> list[Array]:
        """Return the components at real points."""
        values: list[Array] = self.function(coords)
        if self.function.is_looped:
            raise refusal("single numbers only, or writes to its arguments")
        if any(f0.dtype.kind == "c" for f0 in values):
            raise refusal("complex numbers")
        return values

    def components(self, moved: list[Any], count: int) -> list[Array]:
        """Return the first components at complex points."""
        function = self.function
        try:
            result = function.func(np.stack(moved)) if function.vector else function.func(*moved)
            if not function.many:
                components = [result]
            elif isinstance(result, (tuple, list)):
                components = list(result)
            else:
                components = [result[i] for i in range(count)]
        except NotAnalytic:
            raise
        except (TypeError, ValueError) as error:
            raise NotAnalytic(
                f'the method "complex" must be able to call `func` with complex arrays; got '
                f'{describe_error(error)}. Use the method "extrapolation", or "auto".'
            ) from error
        return [np.asarray(unwrap(component)) for component in components[:count]]


class _Slopes:
    """Derivatives, block by block, and points where they may be wrong.

    Attributes
    ----------
    differ : bool
        Whether complex values differ somewhere from finite real ones.
    are_complete : bool
        Whether all derivatives are numbers.
    """

    def __init__(self, step: ComplexStep, coords: Sequence[Array]) -> None:
        self.shape = coords[0].shape
        self.coords = [np.reshape(x, (-1,)) for x in coords]
        self.differ = False
        self.are_complete = True
        self._step = step
        self._arrays: dict[tuple[int, int], Array] = {}
        self._suspects: list[tuple[int, int, Array]] = []

    def arrays(self) -> list[Array]:
        """Return the derivatives of each component by each variable, in the shape of the points."""
        return [self._arrays[key].reshape(self.shape) for key in sorted(self._arrays)]

    def block_of(self, component: int, variable: int, block: slice, dtype: np.dtype[Any]) -> Array:
        """Return the memory for the derivatives at a block of points."""
        key = (component, variable)
        if key not in self._arrays:
            self._arrays[key] = empty((self.coords[0].size,), dtype)
        return self._arrays[key][block]

    def reject(self, component: int, block: slice, bad: Array, is_finite: Array) -> None:
        """Have no derivatives at `bad` points: complex values do not continue real ones there."""
        self.differ = self.differ or bool((bad & is_finite).any())
        self.are_complete = False
        for i in range(len(self.coords)):
            self._arrays[component, i][block][bad] = np.nan

    def suspect(self, component: int, variable: int, points: Array) -> None:
        """Remember points where a derivative is steep: they may be poles."""
        if points.size:
            self._suspects.append((component, variable, points))

    def remove_poles(self, least: int) -> None:
        """Have no derivatives at poles, if there are `least` suspects or more.

        A root at 0 counts as a pole: there the slope is a quotient that depends on the step. One
        call looks at all suspects: at each point, one variable alone has an imaginary part.
        """
        stops = [*accumulate(points.size for _, _, points in self._suspects)]
        if not stops or stops[-1] < least:
            return
        chosen = np.concatenate([points for _, _, points in self._suspects])
        coords = [x[chosen] for x in self.coords]
        steps = [np.zeros_like(x) for x in coords]
        farther = _precision_of(coords[0].dtype).farther
        segments = [slice(start, stop) for start, stop in pairwise([0, *stops])]
        for (_, i, _), segment in zip(self._suspects, segments, strict=True):
            steps[i][segment] = _step_at(coords[i][segment], farther)
        count = 1 + max(m for m, _, _ in self._suspects)
        results = self._step.components(list(map(_move_along_imaginary, coords, steps)), count)
        for (m, i, points), segment in zip(self._suspects, segments, strict=True):
            slope = self._arrays[m, i]
            rise = np.broadcast_to(results[m].imag, chosen.shape)[segment]
            # At a pole the quotient falls as the step grows; where there is a slope, it stays.
            calm = np.abs(slope[points]) <= 1.001 * np.abs(rise / steps[i][segment])
            if not calm.all():
                self.are_complete = False
                slope[points[~calm]] = np.nan
        self._suspects = []
