"""What the command computes of the fields in a file: outputs, their names and their units."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gpugrad._arrays import result_dtype
from gpugrad._files.decoding import unit_of_dates
from gpugrad._files.errors import FileError
from gpugrad._files.geography import Geography
from gpugrad._files.places import Places, at_samples, find_places
from gpugrad._files.raw import open_npy
from gpugrad._files.request import FileRequest
from gpugrad._files.seams import (
    DoubledAxis,
    describe_seam,
    find_global_seam,
    find_periodic_seam,
    repeats_first,
)
from gpugrad._files.source import Source, Values, format_of
from gpugrad._files.sphere_work import (
    SphereProgram,
    check_sum,
    find_place,
    is_spherical,
    make_sphere_program,
    tell_of_degrees,
    tell_of_sphere,
)
from gpugrad._files.wording import in_words_of_command, say
from gpugrad._grids import Options, choose_beside_masked, plan_axes
from gpugrad._labels import Labels, adds_components, kept_attributes, unit_of_time
from gpugrad._operators import Stages, check_mixed, plan_stages
from gpugrad._stencils import OPERATORS, AxisPlan, Norm, Term


@dataclass(frozen=True)
class Work:
    """What is computed, in terms of the numbers of fields; names for the results.

    `fields` are what is read: without the samples that are there twice along a `doubled` axis. On
    a sphere `program` is a `SphereProgram`, else the stages of an operator along axes.
    """

    fields: list[Source]
    program: Stages | SphereProgram
    names: tuple[str, ...]
    attributes: tuple[Mapping[str, Any], ...]
    places: Places
    notes: tuple[str, ...] = ()
    doubled: tuple[DoubledAxis, ...] = ()

    @property
    def sphere(self) -> SphereProgram | None:
        """What is computed on a sphere, if it is one."""
        return self.program if isinstance(self.program, SphereProgram) else None

    @property
    def stages(self) -> tuple[Any, ...]:
        """The stages of an operator along axes; on a sphere there are none."""
        return () if isinstance(self.program, SphereProgram) else self.program.stages

    def find_dtype(self, f: Source) -> np.dtype[Any]:
        """Return the dtype of the results for a field."""
        if isinstance(self.program, SphereProgram):
            is_norm = self.program.rows.name == "gradient_norm"
        else:
            is_norm = isinstance(self.program.stages[0][0], Norm)
        dtype: np.dtype[Any] = np.dtype(result_dtype(np, np.empty(0, f.dtype), is_norm))
        return dtype

    @property
    def output_count(self) -> int:
        """How many arrays of a field's shape are computed: results, and what they are made of."""
        return sum(map(len, self.stages)) or len(self.names)

    @property
    def terms(self) -> list[Term]:
        return [term for stage in self.stages for terms in stage for term in terms]

    @property
    def plans(self) -> list[AxisPlan]:
        return [term.plan for term in self.terms]


def as_components(sources: Sequence[Source], request: FileRequest) -> list[Source]:
    """Return the fields an operator takes: for vector fields one nameless array is cut in pieces.

    Raises
    ------
    FileError
        If they differ in shape or dtype.
    """
    if OPERATORS[request.operator].takes == "field":
        return [*sources]
    if len(sources) == 1 and len(sources[0].shape) > 1:
        return [sources[0].pick(i) for i in range(sources[0].shape[0])]
    if request.stagger is not None and adds_components(request.operator):
        sources = [at_samples(source) for source in sources]  # each on its own faces
    first = sources[0]
    for component in sources[1:]:
        kinds = [(f.shape, f.dtype, f.dims) for f in (first, component)]
        if kinds[0] != kinds[1]:
            raise FileError(
                f"the components must have one shape, dtype and axes; got {first.name} with "
                f"{first.shape} {first.dtype} along {', '.join(first.dims)} and "
                f"{component.name} with {component.shape} {component.dtype} along "
                f"{', '.join(component.dims)}."
            )
    return [*sources]


def plan_work(fields: Sequence[Source], request: FileRequest) -> Work:
    """Plan what is asked for.

    Raises
    ------
    FileError
        If an axis is unknown, or the components are too many or too few, or the operators refuse
        what is asked for.
    """
    f = fields[0]
    place = find_place(f, request)
    axes = [_find_axis(f, name, place) for name in request.axes] or [*range(len(f.shape))]
    _check_options(f, axes, request)
    _check_operator(fields, request)
    if place is not None and is_spherical(f, axes, place, request):
        return _plan_on_sphere(fields, axes, place, request)
    return _plan_along_axes(fields, axes, place, request)


def _plan_on_sphere(
    fields: Sequence[Source], axes: Sequence[int], place: Geography, request: FileRequest
) -> Work:
    f = fields[0]
    named = axes if request.axes else None
    seam = find_global_seam(f, place)
    read = [seam.trim(field) for field in fields] if seam else [*fields]
    program = make_sphere_program(read, named, place, request, seam)
    names = [*place.directions] if program.order != (1, 0) else [*place.directions[::-1]]
    labels = Labels(
        [field.name for field in fields], [field.attributes.get("units") for field in fields],
        names, ["m"] * 2,
    ).of(request.operator)  # fmt: skip
    notes = [*tell_of_sphere(f, named, program, request), *f.notes]
    if seam:
        notes.append(describe_seam(f, seam, place.values[1]))
    kept = _keep_attributes(fields, request.operator, len(labels))
    own = {"earth_radius": program.place.radius}
    return Work(
        read,
        program,
        tuple(label.name for label in labels),
        tuple(attributes | label.attributes | own
              for attributes, label in zip(kept, labels, strict=True)),
        find_places(fields, axes, request.operator, {"stagger": None}),
        tuple(notes),
        (seam,) if seam else (),
    )  # fmt: skip


def _plan_along_axes(
    fields: Sequence[Source], axes: Sequence[int], place: Geography | None, request: FileRequest
) -> Work:
    f = fields[0]
    check_sum(fields, axes, place, request)
    spacing_source = (
        "--spacing" if request.spacing else "--coords" if request.coords else "coordinates"
    )
    with (
        in_words_of_command(f.label, f.dims, spacing_source),
        warnings.catch_warnings(record=True) as caught,
    ):
        # What operators warn of is told as a note, in the words of the command.
        warnings.simplefilter("always", UserWarning)
        request = replace(request, boundary=_by_axis(request.boundary, axes),
                          stagger=_by_axis(request.stagger, axes))  # fmt: skip
        options = {"stagger": request.stagger, "boundary": request.boundary,
                  "period": request.period, "time_unit": request.time_unit}  # fmt: skip
        places = find_places(fields, axes, request.operator, options)
        spacing = _find_spacings(places.owners, axes, request)
        doubled, seam_notes = _find_doubled(f, axes, spacing, place, request)
        read = [*fields]
        for seam in doubled:
            read = [seam.trim(field) for field in read]
            k = axes.index(seam.axis)
            spacing = tuple([h[:-1] if i == k and np.ndim(h) else h for i, h in enumerate(spacing)])
        f = read[0]
        time_unit = request.time_unit
        if time_unit is None and any(np.asarray(h).dtype.kind in "mM" for h in spacing):
            time_unit = "s"
        labels = _make_labels(fields, axes, time_unit, request).of(request.operator)
        program = _make_program(
            request, _make_planner(f, axes, spacing, time_unit, request), fields
        )
    attributes = _keep_attributes(fields, request.operator, len(labels))
    return Work(
        read,
        program,
        tuple(label.name for label in labels),
        tuple(own_attributes | label.attributes
              for own_attributes, label in zip(attributes, labels, strict=True)),
        places,
        (*(say(str(warning.message), f.label, f.dims, spacing_source) for warning in caught),
         *([] if request.spacing or request.coords else _tell_of_samples(f, axes)),
         *tell_of_degrees(f, axes, place, request), *f.notes, *seam_notes),
        tuple(doubled),
    )  # fmt: skip


def _find_doubled(
    f: Source,
    axes: Sequence[int],
    spacing: Sequence[Any],
    place: Geography | None,
    request: FileRequest,
) -> tuple[list[DoubledAxis], list[str]]:
    """Return the periodic axes whose samples at the seam are stored twice, and notes."""
    sides = _by_axis(request.boundary, axes)
    spacing = [*spacing] * len(axes) if len(spacing) == 1 else spacing
    doubled, notes = [], []
    for axis, h in zip(axes, spacing, strict=True):
        side = sides.get(axis) if isinstance(sides, dict) else sides
        if side not in ("periodic", "wrap"):
            continue
        is_round = place is not None and not place.is_curved and axis == place.axes[1]
        period = request.period or (360.0 if is_round else None)
        seam = find_periodic_seam(f, axis, h, period)
        if seam and request.stagger:
            raise FileError(
                f"--stagger does not go with samples of {f.label} that are stored twice along "
                f"{f.dims[axis]}. Leave the last ones out of the file."
            )
        if seam:
            doubled.append(seam)
            notes.append(describe_seam(f, seam, f.coordinates.get(f.dims[axis])))
        elif period is None and repeats_first(f, axis):
            notes.append(
                f"the last samples of {f.label} along {f.dims[axis]} repeat the first. If they "
                "are one place, stored twice, its period is counted one step too long here, and "
                "slopes there are wrong: pass --period, the length from the first to the last."
            )
    return doubled, notes


def _by_axis(option: Any, axes: Sequence[int]) -> Any:
    """Return an option of the command, one for all axes or one for each, as functions take it."""
    return dict(zip(axes, option, strict=True)) if isinstance(option, list) else option


def _tell_of_samples(f: Source, axes: Sequence[int]) -> list[str]:
    """Return a note where samples are counted, as the file does not say where they lie."""
    counted = [f.dims[axis] for axis in axes if f.dims[axis] not in f.coordinates]
    if not counted or format_of(f.path) in ("npy", "npz"):
        return []
    beside = [
        name
        for name, coordinate in f.beside.items()
        if coordinate.dims and {*coordinate.dims} & {*counted}
    ]
    several = f" ({', '.join(beside)} lie along {'them' if counted[1:] else 'it'})" * bool(beside)
    cure = "--spacing says how far these are apart"
    if any(len(f.beside[name].dims) == 1 for name in beside):
        cure += ", --coords names coordinates"
    noun = "has no coordinates of its" if len(counted) == 1 else "have no coordinates of their"
    return [(f"{', '.join(counted)} of {f.label} {noun} own{several}: derivatives are per sample. "
            f"{cure}.")]  # fmt: skip


def _make_planner(
    f: Source, axes: Sequence[int], spacing: Any, time_unit: str | None, request: FileRequest
) -> Callable[[int], list[AxisPlan]]:
    """Return what plans the derivatives of an order along the axes."""
    # Plans depend on the shape and the dtype of a field, so a field without memory will do.
    stand_in = np.broadcast_to(np.zeros((), f.dtype), f.shape)

    def plan(order: int) -> list[AxisPlan]:
        options = Options(
            order, request.accuracy, request.edge_accuracy, request.boundary, request.period,
            request.stagger, request.edge_order,
        )  # fmt: skip
        if request.skipna and may_be_masked(f.dtype):
            options = choose_beside_masked(options)
        return plan_axes(stand_in, spacing, tuple(axes), time_unit, options)

    return plan


def _keep_attributes(fields: Sequence[Source], operator: str, results: int) -> list[dict[str, Any]]:
    """Return for each result what it keeps of its field's attributes, or what all fields share."""
    by_field = [kept_attributes(f.attributes) for f in fields]
    if adds_components(operator):
        shared = {
            k: v
            for k, v in by_field[0].items()
            if all(_is_same(v, attributes.get(k)) for attributes in by_field)
        }
        return [shared] * results
    return [attributes for attributes in by_field for _ in range(results // len(by_field))]


def _is_same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(np.array_equal(a, b))


def _check_options(f: Source, axes: Sequence[int], request: FileRequest) -> None:
    """Raise FileError where options do not go together, or not with the axes."""
    if len({*axes}) < len(axes):
        raise FileError(f"--axis must name each axis once; got {' '.join(request.axes)}.")
    for name in ("boundary", "stagger"):
        choice = getattr(request, name)
        if isinstance(choice, list) and len(choice) != len(axes):
            raise FileError(
                f"--{name} must be one for all axes, or one for each of {len(axes)} axes "
                f"({', '.join(f.dims[axis] for axis in axes)}); got {len(choice)}."
            )
    first = request.order == 1 and OPERATORS[request.operator].power == 1
    if request.edge_order is not None and (request.accuracy != 2 or not first):
        raise FileError(
            "--edge-order goes with first derivatives of --accuracy 2; got it with "
            f"--operator {request.operator} --order {request.order} --accuracy "
            f"{request.accuracy}. Pass --edge-accuracy."
        )
    if request.edge_order is not None and request.edge_accuracy is not None:
        raise FileError("--edge-order and --edge-accuracy can't go together. Leave one out.")


def _check_operator(fields: Sequence[Source], request: FileRequest) -> None:
    """Raise FileError where an operator does not go with options or with fields."""
    operator, row = request.operator, OPERATORS[request.operator]
    if request.order != 1 and row.orders:
        raise FileError(f"--order goes with --operator derivative; got it with {operator}.")
    if request.stagger is not None and "stagger" not in row.options:
        raise FileError(f"--stagger does not go with --operator {operator}. Leave one out.")
    if operator == "gradient_norm" and fields[0].dtype.kind in "mM":
        raise FileError("gradients of dates have no length. Choose another --operator.")
    if row.takes == "field" and row.gives != "each" and len(fields) > 1:
        names = ", ".join(f.name for f in fields)
        raise FileError(f"a {row.title} takes one variable; got {names}. Name one: --var.")


def _make_labels(
    fields: Sequence[Source], axes: Sequence[int], time_unit: str | None, request: FileRequest
) -> Labels:
    f = fields[0]
    dims = [f.dims[axis] for axis in axes]
    dim_units = []
    for dim in dims:
        dates = dim in f.coordinates and f.coordinates[dim].dtype.kind in "mM"
        units = f.coordinate_attributes.get(dim, {}).get("units")
        if " since " in str(units):  # dates that could not be decoded
            units = unit_of_dates(str(units))
        dim_units.append(unit_of_time(time_unit or "s") if dates else units)
    if request.spacing or request.coords:  # which may be in other units
        dim_units = [None] * len(dims)
    return Labels(
        [field.name for field in fields],
        [field.attributes.get("units") for field in fields],
        dims,
        dim_units,
        request.order if request.operator == "derivative" else 1,
    )


def may_be_masked(dtype: np.dtype[Any]) -> bool:
    """Tell whether numbers may be NaN."""
    return dtype.kind in "fcmM"


def _make_program(
    request: FileRequest, plan: Callable[[int], list[AxisPlan]], fields: Sequence[Source]
) -> Stages:
    operator, row = request.operator, OPERATORS[request.operator]
    plans = [plan(order) for order in row.orders or (request.order,)]
    axes = len(plans[0])
    least, most = row.axes
    if row.orders and most is not None and not least <= axes <= most:
        raise FileError(f"a {operator} needs two or three axes; got {axes}. Name them: --axis.")
    if row.takes == "vector" and len(fields) != axes:
        names = ", ".join(f.name for f in fields)
        raise FileError(
            f"a {operator} needs one component for each axis; got {len(fields)} components "
            f"({names}) for {axes} axes. Name the axes along which they point, in their "
            "order: --axis."
        )
    check_mixed(row, plans[0])
    return plan_stages(row, plans, len(fields))


def _find_axis(f: Source, name: str, place: Geography | None) -> int:
    if name in f.dims:
        return f.dims.index(name)
    if place is not None and name in place.names:
        return place.axes[place.names.index(name)]
    if name in f.beside and len(f.beside[name].dims) == 1:
        return f.dims.index(f.beside[name].dims[0])
    try:
        axis = int(name)
    except ValueError:
        axis = len(f.shape)
    if not -len(f.shape) <= axis < len(f.shape):
        raise FileError(
            f"--axis must name axes of {f.label}: {', '.join(f.dims)}, or numbers below "
            f"{len(f.shape)}; got {name}."
        )
    return axis % len(f.shape)


def _find_spacings(
    owners: Sequence[Source], axes: Sequence[int], request: FileRequest
) -> tuple[Any, ...]:
    """Return spacings for the axes: as given, else the coordinates in the file, else 1.

    `owners` are the fields whose coordinates count, one for each axis.
    """
    f = owners[0]
    if request.spacing and request.coords:
        raise FileError("--spacing and --coords can't go together. Leave one out.")
    if request.spacing:
        if len(request.spacing) not in (1, len(axes)):
            raise FileError(
                f"--spacing must have one number, or one for each of {len(axes)} axes; got "
                f"{len(request.spacing)}."
            )
        return request.spacing
    if request.coords:
        if len(request.coords) != len(axes):
            raise FileError(
                f"--coords must name one for each of {len(axes)} axes; got {len(request.coords)}."
            )
        pairs = zip(axes, request.coords, strict=True)
        return tuple(_load_coordinates(f, axis, name) for axis, name in pairs)
    for f, axis in zip(owners, axes, strict=True):
        if f.dims[axis] in f.unknown_spacing:
            raise FileError(
                f"the spacing of axis {f.dims[axis]} of {f.label} is unknown, as "
                f"{f.unknown_spacing[f.dims[axis]]}. Pass --spacing, or leave it out with --axis."
            )
    # The size of a pixel is exact, differences of the coordinates of pixels are rounded.
    return tuple(
        owner.steps.get(owner.dims[axis], owner.coordinates.get(owner.dims[axis], 1.0))
        for owner, axis in zip(owners, axes, strict=True)
    )


def _load_coordinates(f: Source, axis: int, name: str) -> Values:
    """Return coordinates from a `.npy` file, or by their name in the file of the field."""
    lines = {
        key: coordinate
        for key, coordinate in f.beside.items()
        if coordinate.dims == (f.dims[axis],)
    }
    if name in f.coordinates:
        values = f.coordinates[name]
    elif name in lines:
        values = lines[name].values
    elif name.endswith(".npy"):
        try:
            with open(name, "rb", buffering=0) as file:
                array, _ = open_npy(f.path.__class__(name), file)
                if math.prod(array.shape) > max(f.shape):
                    raise FileError(
                        f"coordinates must be 1-D, of length {f.shape[axis]} for axis "
                        f"{f.dims[axis]}; {name} has shape {array.shape}."
                    )
                values = np.empty(array.shape, array.dtype)
                array.read(tuple(slice(0, n) for n in array.shape), values)
        except OSError as error:
            raise FileError(f"{name} can't be read: {error.strerror}.") from error
    else:
        listed = ", ".join([*f.coordinates, *lines]) or "none"
        raise FileError(
            f"--coords must be .npy files, or coordinates in {f.path}: {listed}; got {name}."
        )
    if values.shape != (f.shape[axis],):
        raise FileError(
            f"coordinates {name} must have length {f.shape[axis]} to match axis {f.dims[axis]} of "
            f"{f.label}; got shape {values.shape}."
        )
    return values
