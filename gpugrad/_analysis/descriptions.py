"""What functions that find points say alike: once for all, filled into their docstrings."""

from __future__ import annotations

from gpugrad._docs import F, fill_docstring

_TEXTS = {
    "spacing_and_axis": """
*spacing : number or 1-D array, optional
    The distance between samples, or their coordinates, going up or down, even or not; times and
    dates too. By default samples are numbered from 0. It may be given by keyword, as ``spacing=``.
axis : int, optional
    The axis along which a curve runs, by default the last; each entry of the others is a curve.
    The name of a dimension for a DataArray.
""",
    "collection": """
It has a length and goes from point to point in a loop. An integer in brackets gives a point, a
slice, a mask or an array of integers the points that it picks.
""",
}


def describe(thing: F) -> F:
    """Fill the docstring of a function or class in: the marks are keys of the table."""
    return fill_docstring(thing, _TEXTS, {})
