"""A field with its slopes as it is drawn: plain numbers and texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from gpugrad._arrays import NumpyArray
from gpugrad._plots.axes import PlotAxis, add_units, name_degree

PIXELS = 1200
"""How many samples are drawn along a side at most; of more, every second, third, ... is taken."""


def thin_axes(shape: Sequence[int]) -> tuple[slice, ...]:
    """Return which samples of a field are drawn; of a curve all, as peaks would be lost."""
    if len(shape) == 1:
        return (slice(None),)
    return tuple(slice(None, None, max(1, -(-n // PIXELS))) for n in shape)


def as_drawn(values: NumpyArray) -> NumpyArray:
    """Return numbers in double precision, NaN where they are masked."""
    if isinstance(values, np.ma.MaskedArray):
        return np.asarray(np.ma.filled(values.astype(np.float64), np.nan))
    return np.asarray(values).astype(np.float64)


@dataclass(frozen=True)
class PlotField:
    """A curve, or a field of two axes, with its slopes.

    Attributes
    ----------
    values : array of shape (n_0,) or (n_0, n_1)
        All samples, as they were given: in any dtype, masked or not.
    axes : tuple of PlotAxis
        The vertical axis first. Where they are curved, both have values of the shape of the field.
    slopes : tuple of array
        The derivative along each axis, at those samples that `thin_axes` takes.
    slope_units : tuple
        The units of each, None where they are unknown.
    name, title : str
        The name of the field, as in ``dT/dx``, and what is written beside its values.
    units : str or None
        Those of the field.
    is_map : bool
        Whether axes are latitude and longitude on a sphere, and slopes per length.
    periods : dict
        For axes that go round, the period in their coordinates; None where it is the extent and one
        more step. Longitudes that go once round are found without it.
    dims : tuple of tuple
        What users may call each axis: its numbers, and the name of a dimension.
    """

    values: NumpyArray
    axes: tuple[PlotAxis, ...]
    slopes: tuple[NumpyArray, ...]
    slope_units: tuple[str | None, ...] = (None, None)
    name: str = "f"
    title: str = ""
    units: str | None = None
    is_map: bool = False
    periods: Mapping[int, float | None] = field(default_factory=dict)
    dims: tuple[tuple[object, ...], ...] = ((0, -2), (1, -1))

    @property
    def is_curve(self) -> bool:
        return self.values.ndim == 1

    @property
    def is_curved(self) -> bool:
        """Whether coordinates have two axes each."""
        return self.axes[0].values.ndim > 1

    @property
    def label(self) -> str:
        return add_units(self.title or self.name, self.units)

    @cached_property
    def finite(self) -> NumpyArray:
        """All samples, those masked that are infinite."""
        if self.values.dtype.kind != "f" or not np.isinf(self.values).any():
            return self.values
        return np.ma.masked_invalid(self.values)

    @cached_property
    def shown(self) -> NumpyArray:
        """The samples that are drawn."""
        return as_drawn(self.values[thin_axes(self.values.shape)])

    @cached_property
    def places(self) -> tuple[NumpyArray, ...]:
        """Where these lie, along each axis; of a curved grid all coordinates."""
        thin = thin_axes(self.values.shape)
        if self.is_curved:
            return tuple(axis.values[thin] for axis in self.axes)
        return tuple(axis.values[rows] for axis, rows in zip(self.axes, thin, strict=True))

    def label_slope(self, k: int) -> str:
        """Return what the derivative along an axis is called."""
        axis = self.axes[k]
        if self.is_map:
            name = f"slope of {self.name} to the {('north', 'east')[k]}"
        elif axis.name.isidentifier():
            name = f"d{self.name}/d{axis.name}"
        else:
            name = f"slope along {axis.name}"
        if self.slope_units[k] is None and axis.kind == "dates" and axis.units:
            name += f" per {axis.units}"
        return add_units(name, self.slope_units[k])

    @property
    def magnitude_label(self) -> str:
        """What the length of the gradient is called, with its units, or that these are mixed."""
        first, second = map(name_degree, self.slope_units)
        is_mixed = first != second or (
            first is None and self.axes[0].kind != self.axes[1].kind and not self.is_map
        )
        return add_units("magnitude of the gradient", "of mixed units" if is_mixed else first)

    @cached_property
    def aspect(self) -> float | str:
        """The ratio of lengths on the axes: true where both have one unit, or are degrees."""
        y, x = self.axes
        if not (x.span and y.span) or not 0.2 < x.span / y.span < 5:
            return "auto"  # a true picture would be a thin stripe
        units = name_degree(y.units), name_degree(x.units)
        if self.is_map or units == ("degree", "degree"):
            middle = (y.values.min() + y.values.max()) / 2
            return float(1 / max(np.cos(np.radians(middle)), 0.2))
        return "equal" if units[0] == units[1] and y.kind == x.kind == "numbers" else "auto"

    @property
    def tallness(self) -> float:
        """How many times as high as wide the picture is."""
        if self.aspect == "auto":
            return 0.9
        stretch = 1.0 if self.aspect == "equal" else float(self.aspect)
        return self.axes[0].span / self.axes[1].span * stretch

    @cached_property
    def uphill(self) -> tuple[NumpyArray, NumpyArray]:
        """The slopes to the right and upwards, as the picture has them, for arrows.

        Where axes have units of their own, there is no true angle: slopes are then per width and
        per height, so that arrows cross the level lines of the picture at right angles.
        """
        up, right = self.slopes
        if self.aspect != "auto" or self.is_curved or self.is_map:
            return right, up
        return right * self.axes[1].span, up * self.axes[0].span

    @cached_property
    def flow(self) -> tuple[NumpyArray, NumpyArray]:
        """The slopes to the right and upwards, in the coordinates of the axes, for stream lines."""
        right, up = self.uphill
        if self.is_map:
            cosines = np.cos(np.radians(self.places[0]))[:, None]
            return right / np.maximum(cosines, 1e-3), up
        if self.aspect != "auto":
            return right, up
        return right * self.axes[1].span, up * self.axes[0].span
