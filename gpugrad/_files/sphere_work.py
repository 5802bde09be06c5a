"""What the command computes on a sphere, and what it says of latitudes and longitudes."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from gpugrad._files.errors import FileError
from gpugrad._files.geography import Geography, find_geography, goes_round, order_winds
from gpugrad._files.request import FileRequest
from gpugrad._files.seams import DoubledAxis
from gpugrad._files.source import Source, Values
from gpugrad._files.wording import say
from gpugrad._labels import find_mixed
from gpugrad._operators import Sphere, SphereRows
from gpugrad._stencils import OPERATORS

SPHERICAL = ("gradient", "gradient_norm", "laplacian", "divergence", "curl")
"""Operators that a sphere has."""

GRID_ARRAYS = 30
"""How many arrays of the shape of a curved grid are made of its coordinates at a time, or kept."""


@dataclass(frozen=True)
class SphereProgram:
    """An operator on a sphere.

    Attributes
    ----------
    rows : SphereRows
        What computes it.
    components : tuple of int
        The numbers of the fields it takes, in its order.
    order : tuple of int
        The numbers of its results, in the order in which they are written.
    place : Geography
        Where the samples lie.
    notes : tuple of str
        What the sphere warns of.
    """

    rows: SphereRows
    components: tuple[int, ...]
    order: tuple[int, ...]
    place: Geography
    notes: tuple[str, ...]

    def evaluate(
        self, fields: Sequence[Values], first: int, start: int, out: Sequence[Values]
    ) -> None:
        """Write the results of a block, as `SphereRows.evaluate` does, of all fields in turn."""
        if self.rows.name != "gradient":
            self.rows.evaluate([fields[i] for i in self.components], first, start, out)
            return
        for i, f in enumerate(fields):
            pair = [out[2 * i + self.order.index(k)] for k in range(2)]
            self.rows.evaluate([f], first, start, pair)

    def widen(self, units: Sequence[int]) -> tuple[int, ...]:
        """Return what blocks must be multiples of: of the grid they have whole rows."""
        row = next(axis for axis in self.place.axes if axis != self.rows.axis)
        return tuple(self.rows.shape[i] if i == row else unit for i, unit in enumerate(units))

    @property
    def grid_bytes(self) -> int:
        """How much memory the grid takes, besides blocks."""
        latitude = self.place.values[0]
        return GRID_ARRAYS * latitude.nbytes if self.place.is_curved else 0


def find_place(f: Source, request: FileRequest) -> Geography | None:
    """Return the latitudes and longitudes of a field; None where the user gives spacings."""
    if request.spacing or request.coords:
        if request.radius is not None:
            raise FileError(
                "--radius goes with latitudes and longitudes in the file. Leave it out."
            )
        return None
    place = find_geography(f)
    if request.radius is None:
        return place
    if place is None or not request.sphere:
        reason = "--no-sphere" if place else "a file without them"
        raise FileError(f"--radius goes with latitudes and longitudes; got it with {reason}.")
    return place._replace(radius=request.radius, body="the radius given")


def is_spherical(f: Source, axes: Sequence[int], place: Geography, request: FileRequest) -> bool:
    """Tell whether an operator along some axes is taken on a sphere.

    Raises
    ------
    FileError
        If it adds derivatives along latitude or longitude to others, or the sphere has no such
        operator; if options are none of the sphere's.
    """
    if not request.sphere or not {*place.axes} <= {*axes}:
        return False
    if request.operator not in SPHERICAL:
        return False
    if request.axes and len(axes) > 2:
        if request.operator == "gradient":
            return False  # each by itself, in its own unit
        names = " ".join(f.dims[axis] for axis in place.axes)
        raise FileError(
            f"--operator {request.operator} of {f.label} must go along {names} alone, on the "
            f"sphere; got {' '.join(request.axes)}. Pass --axis {names}, or --no-sphere to add "
            "derivatives per degree to the others."
        )
    refused = _find_refused(request, axes, place)
    if refused and request.operator == "gradient":
        return False
    if refused:
        names = f"{place.names[0]} and {place.names[1]}"
        raise FileError(
            f"{refused[0]} does not go with the sphere on which {names} of {f.label} lie. Leave it "
            "out (longitudes that go round are found), or pass --no-sphere for derivatives per "
            "degree."
        )
    return True


def _find_refused(request: FileRequest, axes: Sequence[int], place: Geography) -> list[str]:
    """Return the options given that a sphere has not: but longitudes may be called periodic."""
    sides = dict.fromkeys(axes, request.boundary)
    if isinstance(request.boundary, list):
        sides = dict(zip(axes, request.boundary, strict=True))
    allowed = {axis: ["one-sided"] for axis in axes}
    if not place.is_curved and goes_round(place):
        allowed[place.axes[1]] += ["periodic", "wrap"]
    refused = {
        "--boundary": any(side not in allowed[axis] for axis, side in sides.items()),
        "--period": request.period not in (None, 360.0),
        "--stagger": request.stagger is not None,
        "--time-unit": request.time_unit is not None,
    }
    return [option for option, is_refused in refused.items() if is_refused]


def make_sphere_program(
    fields: Sequence[Source],
    axes: Sequence[int] | None,
    place: Geography,
    request: FileRequest,
    seam: DoubledAxis | None,
) -> SphereProgram:
    """Return what computes an operator on a sphere; `axes` are those that the user has named.

    Raises
    ------
    FileError
        If the coordinates are none of a sphere, or winds do not point along it.
    """
    f = fields[0]
    if f.dtype.kind in "mM":
        raise FileError(f"{f.label} holds dates, which the sphere does not take. Pass --no-sphere.")
    components: tuple[int, ...] = (0,)
    if OPERATORS[request.operator].takes == "vector":
        components = order_winds(fields, axes, place)
        units = [field.attributes.get("units") for field in fields]
        if find_mixed(request.operator, units, ["m", "m"]):
            listed = ", ".join(
                f"{field.name} ({unit})" for field, unit in zip(fields, units, strict=True)
            )
            raise FileError(
                f"--operator {request.operator} would add components in different units: {listed}. "
                "Convert one of them first."
            )
    edge = request.edge_accuracy if request.edge_order is None else request.edge_order
    latitude, longitude = place.values
    if seam:
        longitude = longitude[:-1]
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            sphere = Sphere(
                latitude, longitude, radius=place.radius, axis=place.axes,
                accuracy=request.accuracy, edge_accuracy=edge,
            )  # fmt: skip
            rows = SphereRows(
                sphere, request.operator, f.shape, f.dtype, request.skipna, request.backend
            )
    except (TypeError, ValueError) as error:
        advice = "--no-sphere takes them for coordinates like others."
        raise FileError(f"{_say_of_sphere(str(error), f, place)} {advice}") from error
    notes = tuple(_say_of_sphere(str(warning.message), f, place) for warning in caught)
    order: tuple[int, ...] = (0,)
    if request.operator == "gradient":
        order = (0, 1) if axes is None or axes[0] == place.axes[0] else (1, 0)
    return SphereProgram(rows, components, order, place, notes)


def _say_of_sphere(message: str, f: Source, place: Geography) -> str:
    """Return what a sphere says in the words of the command."""
    for kind, name in zip(("latitude", "longitude"), place.names, strict=True):
        message = message.replace(f"`{kind}`", f"{name} of {f.label}")
    message = re.sub(r",? (or )?say `periodic=False`", "", message)
    message = message.replace(", and say with `degrees` what they are in", "")
    message = message.replace("`axis=`", "--axis")
    return say(message, f.label, f.dims, "coordinates")


def tell_of_sphere(
    f: Source, named: Sequence[int] | None, program: SphereProgram, request: FileRequest
) -> list[str]:
    """Return what was decided, in sentences."""
    place = program.place
    notes = [
        f"{place.names[0]} and {place.names[1]} of {f.label} lie on a sphere of radius "
        f"{place.radius:.10g} m ({place.body}): results are per metre"
        + (" squared" if request.operator == "laplacian" else "")
        + (", to the north and to the east as from the rotated pole"
           if place.directions[0] != "north" and request.operator == "gradient" else "")
        + ". --radius takes another one, --no-sphere the degrees themselves."
    ]  # fmt: skip
    notes += program.notes
    left_out = [dim for axis, dim in enumerate(f.dims) if axis not in place.axes]
    if left_out and named is None:
        cure = f" Name one for its own derivative: --axis {left_out[0]}."
        notes.append(
            f"{request.operator} is taken along latitude and longitude alone, for each place along "
            f"{', '.join(left_out)}.{cure if request.operator == 'gradient' else ''}"
        )
    return notes


def check_sum(
    fields: Sequence[Source], axes: Sequence[int], place: Geography | None, request: FileRequest
) -> None:
    """Raise FileError where derivatives would be added that are per different units."""
    f = fields[0]
    adds_axes = OPERATORS[request.operator].adds_axes
    if not adds_axes or len(axes) < 2 or request.spacing or request.coords:
        return
    if place is not None and request.sphere and {*axes} & {*place.axes}:
        along = " and ".join(f.dims[axis] for axis in place.axes)
        cure = f"Name {along} alone" if request.operator in SPHERICAL else "Take another operator"
        raise FileError(
            f"--operator {request.operator} of {f.label} would add derivatives per degree, which "
            f"is longer here than there, to others: along {', '.join(f.dims[a] for a in axes)}. "
            f"{cure}, or pass --no-sphere to have them added all the same."
        )
    # Who names axes and says --no-sphere wants degrees added, to whatever else.
    free = place.axes if place is not None and request.axes else ()
    units = {f.dims[axis]: None if axis in free else _unit_along(axis, f) for axis in axes}
    field_units = [field.attributes.get("units") for field in fields]
    mixed = find_mixed(request.operator, field_units, [*units.values()])
    has_dates = "dates" in units.values() and None in units.values()
    if not mixed and (request.axes or not has_dates):
        return
    listed = ", ".join(f"{dim} ({unit or 'no unit'})" for dim, unit in units.items())
    if OPERATORS[request.operator].takes == "vector":
        components = [
            f"{field.name} ({unit or 'no unit'})"
            for field, unit in zip(fields, field_units, strict=True)
        ]
        listed += f", of {', '.join(components)}"
        cure = "Convert them first, or pass --spacing in the unit that is meant."
    else:
        cure = "Name those along which to take it: --axis; or pass --spacing in one unit."
    raise FileError(
        f"--operator {request.operator} of {f.label} would add derivatives along axes of "
        f"different units: {listed}. {cure}"
    )


def _unit_along(axis: int, f: Source) -> str | None:
    """Return the unit of the coordinates along an axis, None where it is not known."""
    dim = f.dims[axis]
    if dim not in f.coordinates:
        return None
    if f.coordinates[dim].dtype.kind in "mM":
        return "dates"
    units = str(f.coordinate_attributes.get(dim, {}).get("units", "")).strip()
    return "degrees" if units.lower().startswith("degree") else units or None


def tell_of_degrees(
    f: Source, axes: Sequence[int], place: Geography | None, request: FileRequest
) -> list[str]:
    """Return a note where derivatives along latitude or longitude are per degree."""
    if place is None or place.is_curved:
        return []
    along = [f.dims[axis] for axis in axes if axis in place.axes]
    if not along:
        return []
    note = f"derivatives of {f.label} along {' and '.join(along)} are per degree"
    if not request.sphere:
        return [f"{note}."]
    names = " ".join(place.names)
    if len(along) > 1 and request.operator == "gradient":
        refused = _find_refused(request, axes, place)
        if refused:
            return [f"{note}: {refused[0]} has no form on the sphere."]
    return [f"{note}: --operator gradient --axis {names} has them per metre, on the sphere."]
