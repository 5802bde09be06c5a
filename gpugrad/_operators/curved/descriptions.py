"""What the parameters of methods of grids mean: once for all methods, filled into docstrings."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from gpugrad._docs import F, fill_docstring, join_parameters, list_parameters
from gpugrad._operators.descriptions import OF_A_FIELD, OF_COMPONENTS, OUT, PARAMETERS

_EACH_COMPONENT = """
{which} : array of shape (..., n_latitudes, n_longitudes)
    The {direction} component: an array of any library, a DataArray or a quantity, of integers,
    real floats or complex floats. It must be given by keyword, so that the two components are not
    confused. Both have the same shape, dtype, library and device.
"""

_COMPONENTS = """
v : sequence of arrays, or array of shape (m, ...)
    The components of a vector field, {components}. If `v` is one array, the components lie along
    its first axis. All components have the same shape, dtype, library and device.
"""

_ERRORS = """
Raises
------
TypeError
    If an argument has the wrong type: a function, text, booleans, or an array of another library;
    if `out` is given for a field with labels or units; if the grid takes its coordinates from
    DataArrays, and {a_field} is not a DataArray{type_errors}.
ValueError
    If the axes of {a_field} do not have the shape of the grid, or an axis is too short for the
    accuracy; if `where` does not broadcast to the field; if `backend` is unknown; if `out` has
    the wrong shape or device, or is read-only; if a DataArray lacks the coordinates that the grid
    needs{value_errors}.
BackendError
    {backend_errors}.
"""


class _Grid(NamedTuple):
    """The descriptions of parameters for one kind of grid, and the words in them."""

    parameters: dict[str, str]
    of_a_field: dict[str, str]
    of_components: dict[str, str]


_OF_GRIDS = {"limit": "the `edge_accuracy` of the grid"}

_ON_SPHERE = _OF_GRIDS | {
    "shape": "(..., n_latitudes, n_longitudes)",
    "on_axes": ", whose axes of latitude and longitude are those named by the `axis` of the grid",
}

_ON_CURVES = _OF_GRIDS | {
    "shape": "(..., n_0, ..., n_k)",
    "on_axes": ", with the shape of the grid on its last axes, or on the axes named by the `axis` "
    "of the grid",
    "components": "one for each coordinate, in the direction of the coordinate and not of the grid "
    "lines",
}

_GRIDS = {
    "sphere": _Grid(
        PARAMETERS
        | {
            "u": _EACH_COMPONENT.replace("{which}", "u").replace("{direction}", "eastward"),
            "v": _EACH_COMPONENT.replace("{which}", "v").replace("{direction}", "northward"),
        },
        OF_A_FIELD | _ON_SPHERE,
        OF_COMPONENTS
        | _ON_SPHERE
        | {
            "sums": ". With `skipna`, a sample that is NaN in one component is masked in both",
            "type_errors": "; if a component is missing or not given by keyword; if components "
            "differ in dtype or library",
            "value_errors": "; if components differ in shape or device; if the standard name of a "
            "DataArray is the name of a component in another direction",
        },
    ),
    "curves": _Grid(
        PARAMETERS | {"v": _COMPONENTS},
        OF_A_FIELD | _ON_CURVES,
        OF_COMPONENTS | _ON_CURVES | {"type_errors": "; if components differ in dtype or library"},
    ),
}


def describe_method(grid: str, **changes: str) -> Callable[[F], F]:
    """Fill the docstring of a method in: ``{parameters}``, and ``{errors}``.

    `grid` is "sphere" or "curves". `changes` are descriptions of parameters that mean something
    else for this method, or words in the descriptions.
    """

    def fill_in(method: F) -> F:
        parameters, of_a_field, of_components = _GRIDS[grid]
        words = of_components if "v" in list_parameters(method) else of_a_field
        texts = parameters | {"out": OUT["one"]} | changes
        marks = {"parameters": join_parameters(method, texts), "errors": _ERRORS}
        return fill_docstring(method, marks, words | changes)

    return fill_in


def describe_grid(cls: F) -> F:
    """Fill the docstring of a class in: ``{boundary}``."""
    words = OF_A_FIELD | {"slope": ""}
    return fill_docstring(cls, {"boundary": PARAMETERS["boundary"]}, words)
