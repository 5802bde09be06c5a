"""Types of what users say of a call: the words that options take, for type checkers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, SupportsFloat, TypedDict, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gpugrad._arrays import Backend

_T = TypeVar("_T")

Axis = int | str
"""An axis by its number, or a dimension of xarray by its name."""

Axes = Axis | Sequence[Axis] | None
"""The axes to differentiate along; None are all of them."""

Spacing = Any
"""A number, coordinates as a sequence or an array of any library, or dates of any library."""

EdgeOrder = Literal[1, 2]
"""How accurate one-sided ends are, as `numpy.gradient` has it."""

ByAxis = Mapping[Any, _T]
"""What differs by axis: a dict with axes for keys, of any type, as types of keys do not vary."""


class NormalSlope(TypedDict):
    """A slope at an end, ``{"normal": 0.5}``. Mypy would take a mapping for a dict by axis."""

    normal: SupportsFloat


Side = (
    Literal[
        "one-sided", "periodic", "wrap", "reflect", "symmetric", "odd-reflect", "odd-symmetric",
        "edge",
    ]
    | SupportsFloat
    | NormalSlope
)  # fmt: skip
"""What lies beyond one end of an axis: a word, a number, or ``{"normal": slope}``."""

Boundary = Side | Sequence[Side] | ByAxis[Side | Sequence[Side]]
"""What lies beyond both ends: one side for both, a pair, or a dict by axis."""

Period = SupportsFloat | ByAxis[SupportsFloat]
"""The period of all periodic axes, or a dict by axis."""

FaceSide = Literal["left", "right"] | None
"""The face that a result lies on, None for the sample."""

Stagger = FaceSide | ByAxis[FaceSide]
"""Where results are: the same along all axes, or a dict by axis."""

if TYPE_CHECKING:  # for the stub of the package alone: an import should cost next to nothing
    ArrayT = TypeVar("ArrayT")
    """The type of a field, and of its derivatives."""

    Numbers = Sequence[Any] | NDArray[np.integer[Any]]
    """Fields whose derivatives are arrays of floats, whatever they are themselves."""

    NumbersOrComplex = Numbers | NDArray[np.complexfloating[Any, Any]]
    """Fields whose gradients have a length that is of another type than they are."""

    TwoAxes = tuple[int, int] | tuple[str, str]
    ThreeAxes = tuple[int, int, int] | tuple[str, str, str]

    class OperatorOptions(TypedDict, total=False):
        """Keywords that all operators take."""

        spacing: Spacing | Sequence[Spacing] | Mapping[Any, Spacing]
        accuracy: int
        boundary: Boundary
        edge_accuracy: int | None
        period: Period | None
        time_unit: str | None
        where: Any
        skipna: bool
        backend: Backend | None

    class FirstOptions(OperatorOptions, total=False):
        """Keywords of operators that are made of first derivatives."""

        edge_order: EdgeOrder | None

    class FaceOptions(FirstOptions, total=False):
        """Keywords of operators whose results may lie between the samples."""

        stagger: Stagger
