"""What functions that find points say alike: once for all, filled into their docstrings."""

from __future__ import annotations

from gpugrad._docs import F, fill_docstring

_TEXTS = {
    "spacing_and_axis": """
*spacing : number or 1-D array, optional
    The distance between samples, or their coordinates. Coordinates must increase or decrease, and
    need not be even; they may be times or dates. By default the coordinates are 0, 1, 2 and so
    on. The spacing may also be given by keyword, as ``spacing=``.
axis : int, optional
    The axis along which the curves run, by default the last one. Each entry of the other axes is a
    curve of its own. For a DataArray, also the name of a dimension.
""",
    "collection": """
The collection has a length, and a loop over it goes from point to point. ``points[i]`` is a single
point; ``points[...]`` with a slice, a mask or an array of integers is a collection of the chosen
points.
""",
}


def describe(thing: F) -> F:
    """Fill the docstring of a function or class in: the marks are keys of the table."""
    return fill_docstring(thing, _TEXTS, {})
