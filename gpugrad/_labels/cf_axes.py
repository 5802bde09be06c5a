"""Which dimension is x, y or z: by name, or by what the CF conventions say of its coordinate.

And which coordinates are latitude and longitude.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from gpugrad._arrays import warn_caller
from gpugrad._labels.cf_units import differ
from gpugrad._labels.staggered import list_terms
from gpugrad._labels.xarray_coordinates import in_words
from gpugrad._stencils import OPERATORS

_POINTS = {"u": "X", "v": "Y", "w": "Z"}
_NAMES = {
    "X": ("x", "lon", "longitude", "xc", "easting"),
    "Y": ("y", "lat", "latitude", "yc", "northing"),
    "Z": ("z", "lev", "level", "depth", "height", "altitude"),
}
_STANDARD_NAMES = {
    "X": ("longitude", "projection_x_coordinate"),
    "Y": ("latitude", "projection_y_coordinate"),
    "Z": ("height", "altitude", "depth"),
}
_UNITS = {"X": "degrees_east", "Y": "degrees_north"}


def axis_of_component(key: str, f: Any) -> Any:
    """Return the dimension of a DataArray that a component u, v or w points along.

    A key that is a dimension stands for itself.

    Raises
    ------
    ValueError
        If there is not one such dimension.
    """
    if key in f.dims:
        return key
    letter = _POINTS[key]
    dims = [dim for dim in f.dims if _is_axis(letter, dim, f)]
    if len(dims) != 1:
        raise ValueError(
            f"component {key} must point along one dimension, which its coordinate's name or CF "
            f"attributes tell; found {dims or 'none'} among {list(f.dims)}. Name the axes: "
            'axis=("x", "y").'
        )
    return dims[0]


def order_components(named: dict[str, Any], f: Any) -> dict[str, Any]:
    """Return components by name in the order x, y, z, however the keywords were ordered.

    Dimensions that are not known to be one of these stay in the order of the keywords.
    """
    letters = {
        key: _POINTS.get(key, "") if key not in f.dims else _letter_of(key, f) for key in named
    }
    if len({*letters.values()} - {""}) < len(named):
        return named
    return {key: named[key] for key in sorted(named, key=letters.__getitem__)}


def _letter_of(dim: Any, f: Any) -> str:
    return next((letter for letter in _NAMES if _is_axis(letter, dim, f)), "")


def _is_axis(letter: str, dim: Any, f: Any) -> bool:
    attributes = f.coords[dim].attrs if dim in f.coords else {}
    if "axis" in attributes:
        return bool(attributes["axis"] == letter)
    return (
        attributes.get("standard_name") in _STANDARD_NAMES[letter]
        or attributes.get("units", "") == _UNITS.get(letter)
        or str(dim).lower() in _NAMES[letter]
    )


_GEOGRAPHIC = {
    "latitude": (("lat", "latitude", "nav_lat", "xlat"), "degrees?_?(north|n)"),
    "longitude": (("lon", "longitude", "nav_lon", "xlong", "lng"), "degrees?_?(east|e)"),
}
"""Names of coordinates, and what the CF conventions allow as their units."""


def geographic_kind(name: Any, attributes: Mapping[Any, Any]) -> str | None:
    """Return whether a coordinate is "latitude" or "longitude", by what CF says; else None.

    Its standard name goes before its units, these before its own name, which counts only where the
    units are an angle or unknown. Those of a rotated pole are "grid_latitude", "grid_longitude".
    """
    standard = str(attributes.get("standard_name", ""))
    units = str(attributes.get("units", "")).strip().lower()
    is_angle = not units or re.fullmatch(_ANGLE, units)
    for kind, (names, directed) in _GEOGRAPHIC.items():
        if standard in (kind, f"grid_{kind}"):
            return standard if is_angle else None
        if re.fullmatch(directed, units):
            return kind
        if not standard and is_angle and str(name).lower() in names:
            return kind
    return None


_ANGLE = r"degrees?(_?(north|east|n|e|true))?|deg|radians?|rad"


_ON_SPHERE = {
    "gradient_norm": "gradient_norm(f)", "laplacian": "laplacian(f)",
    "divergence": "divergence(u=u, v=v)", "curl": "curl(u=u, v=v)",
}  # fmt: skip
"""The calls on a sphere that stand for sums of derivatives along latitude and longitude."""


def warn_of_sums(operator: str, fields: Sequence[Any], dims: Sequence[Any]) -> None:
    """Warn where derivatives that are per different lengths are added up as if per one."""
    row = OPERATORS.get(operator)
    if row is None or not row.adds_axes or len(dims) < 2:
        return
    f = fields[0]
    dim_units = [_unit_along(dim, f) for dim in dims]
    field_units = [field.attrs.get("units") for field in fields]
    mixed = find_mixed(operator, field_units, dim_units)
    if mixed:
        first, second = (
            f"{field_units[i] or 'the field'} per {dim_units[j]} along {dims[j]!r}"
            for i, j in mixed
        )
        warn_caller(
            f"`{operator}` adds derivatives of different units: {first}, and {second}. Convert "
            "fields or coordinates to units that go together, or pass a spacing where you mean "
            "what you do."
        )
        return
    _warn_of_degrees(operator, f, dims)
    _warn_of_samples(operator, f, dims)


def find_mixed(
    operator: str, field_units: Sequence[Any], dim_units: Sequence[Any]
) -> list[tuple[int, int]]:
    """Return two derivatives of different units that an operator adds, or an empty list.

    Each is given as the number of its field and that of its axis. Units that are None are unknown,
    and go with any.
    """
    for terms in list_terms(operator, len(field_units), len(dim_units)):
        known = [(i, j) for i, j in terms if dim_units[j] is not None]
        for i, j in known[1:]:
            first, along = known[0]
            if differ((field_units[first], dim_units[along]), (field_units[i], dim_units[j])):
                return [(first, along), (i, j)]
    return []


def _unit_along(dim: Any, f: Any) -> str | None:
    """Return the unit of the coordinate of a dimension; None where it is not known."""
    if dim not in f.coords:
        return None
    coordinate = f.coords[dim]
    is_time = coordinate.dtype.kind in "mMO"
    return "unit of time" if is_time else coordinate.attrs.get("units")


def _warn_of_samples(operator: str, f: Any, dims: Sequence[Any]) -> None:
    """Warn where derivatives per sample are added up, though samples have places on a sphere."""
    counted = {dim for dim in dims if dim not in f.coords}
    if len(counted) < 2:
        return
    names = [
        name
        for name, x in f.coords.items()
        if x.ndim and {*x.dims} <= counted and _says_geographic(x.attrs)
        and geographic_kind(name, x.attrs) in ("latitude", "longitude")
    ]  # fmt: skip
    if len(names) == 2:
        warn_caller(
            f"`{operator}` adds derivatives per sample along {in_words(dims)}, while "
            f"{in_words(names)} say where the samples lie. {_name_cure(operator, len(dims) == 2)}; "
            "pass a spacing where you mean what you do."
        )


def _name_cure(operator: str, is_plain: bool, sphere: str = "gpugrad.Sphere()") -> str:
    """Return which call is per metre; there is one for an operator along two axes, `is_plain`."""
    call = _ON_SPHERE.get(operator)
    if call and is_plain:
        return f"`{sphere}.{call}` is per metre, on the sphere"
    return f"`{sphere}` has derivatives per metre along latitude and longitude"


def _warn_of_degrees(operator: str, f: Any, dims: Sequence[Any]) -> None:
    """Warn where derivatives per degree of latitude or of longitude are added up as if flat."""
    along = [
        dim
        for dim in dims
        if dim in f.coords
        and _says_geographic(f.coords[dim].attrs)
        and geographic_kind(dim, f.coords[dim].attrs)
    ]
    if not along:
        return
    kinds = {str(geographic_kind(dim, f.coords[dim].attrs)): dim for dim in along}
    sphere = "gpugrad.Sphere()"
    if {*kinds} == {"grid_latitude", "grid_longitude"}:  # which a sphere does not find by itself
        sphere = f"gpugrad.Sphere({kinds['grid_latitude']!r}, {kinds['grid_longitude']!r})"
    cure = _name_cure(operator, len(dims) == len(along) == 2, sphere)
    warn_caller(
        f"`{operator}` adds derivatives per degree along {in_words(along)}, and degrees differ in "
        f"length from place to place. {cure}; pass a spacing where you mean what you do."
    )


def _says_geographic(attributes: Mapping[Any, Any]) -> bool:
    """Tell whether attributes, not the name alone, say that it is latitude or longitude."""
    return "standard_name" in attributes or "units" in attributes


def find_geographic(kind: str, f: Any) -> Any:
    """Return the coordinate of a DataArray that is its "latitude" or "longitude".

    That is the one whose `standard_name` or units say so, or else whose name does, or else one
    that cf-xarray finds, where it is installed.

    Raises
    ------
    ValueError
        If there is not one such coordinate.
    """
    names, units = _GEOGRAPHIC[kind]
    along = {name: x for name, x in f.coords.items() if x.ndim}
    texts = {name: str(x.attrs.get("units", "")).lower() for name, x in along.items()}
    candidates = (
        [name for name, x in along.items() if x.attrs.get("standard_name") == kind]
        or [name for name, text in texts.items() if re.fullmatch(units, text)]
        or [name for name in along if str(name).lower() in names]
        or [name for name in _ask_cf_xarray(kind, f) if name in along]
    )
    if len(candidates) != 1:
        raise ValueError(
            f"`f` must have one coordinate that is its {kind}, as its name or CF attributes tell; "
            f"found {in_words(candidates) or 'none'} among {in_words(along) or 'no coordinates'}. "
            f"Pass {kind}= with a name or an array."
        )
    return f.coords[candidates[0]]


def _ask_cf_xarray(kind: str, f: Any) -> list[Any]:
    try:
        import cf_xarray  # noqa: F401 - it adds the accessor
    except ImportError:
        return []
    return [*f.cf.coordinates.get(kind, [])]
