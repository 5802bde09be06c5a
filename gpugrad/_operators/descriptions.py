"""What the parameters of operators mean: once for all operators, filled into their docstrings."""

from __future__ import annotations

from collections.abc import Callable

from gpugrad._docs import F, fill_docstring, join_parameters, list_parameters

OUT = {
    "one": """
out : array, optional
    Where to write, an array of the shape of the result. May overlap with the field.
""",
    "each": """
out : array or tuple of arrays, optional
    Where to write: the arrays as they are returned, or with `stack` one array. May overlap with
    the field.
""",
    "table": """
out : tuple of tuples of arrays, or array, optional
    Where to write: arrays as they are returned, none of them twice; with `stack` one array. May
    overlap with the field.
""",
}

ONE_AXIS = """
axis : int, optional
    The axis to differentiate along, by default the last; the name of a dimension for a DataArray.
"""

CURL_AXIS = """
axis : None or tuple of int, optional
    The two or three axes to differentiate along, in the order of a right-handed system, all by
    default; names of dimensions for a DataArray.
"""

OPERATOR = """
operator : str, optional
    The operator: "gradient", "derivative", "divergence", "curl", "laplacian", "vector_laplacian",
    "jacobian", "hessian" or "gradient_norm".
"""

PARAMETERS = {
    "f": """
f : array of shape {shape}
    Samples of a scalar field{on_axes}: an array of NumPy, CuPy, PyTorch, JAX, Dask or any array-API
    library, a DataArray of xarray, a quantity of pint, astropy or unyt, or a nested sequence.
    Integers, real and complex floats; NumPy's dates, objects and masked arrays too.
""",
    "v": """
v : sequence of arrays, or array of shape (m, n_0, ..., n_k)
    The components of a vector field, {components}; in one array they lie on its first axis. All
    have one shape, dtype, library and device. A tuple of them is one argument: ``((vx, vy), dx,
    dy)``.
""",
    "spacing": """
*spacing : number or array, optional
    The spacing, in the unit of the coordinates; ``spacing=`` is the same. Nothing: 1 along every
    axis. One number: the distance between samples along every axis. Otherwise one for each axis,
    in the order of the axes: a distance, or the coordinates of the samples (length n_i, in any
    order in which neighbours differ, and so do the two neighbours of a sample). Coordinates may
    be sequences, NumPy arrays, arrays of the field's library, quantities, or dates (of NumPy,
    Python, pandas or cftime). Where they differ from line to line, an array of the shape of the
    field, or one that broadcasts to it: its axes are matched with the last ones of the field. By
    keyword also a dict ``{axis: spacing}``.
""",
    "axis": """
axis : None, int or tuple of int, optional
    The axes to differentiate along, all by default; negative ones count from the last.
    Names of dimensions for a DataArray.
""",
    "order": """
order : int, optional
    The order of the derivative, 1 to 8.
""",
    "edge_order": """
edge_order : {1, 2}, optional
    The order of accuracy at one-sided ends, from 2 or 3 samples, as in `numpy.gradient`; by
    default 1. It goes with first derivatives of `accuracy` 2 alone, and not with
    `edge_accuracy`.
""",
    "accuracy": """
accuracy : {2, 4, 6, 8, 10, 12}, optional
    The power of the spacing with which the error inside vanishes.
""",
    "boundary": """
boundary : str, number, dict or pair of these, optional
    What lies beyond the ends: a pair ``(lower, upper)`` where the two ends differ, a dict
    ``{axis: boundary}`` where axes differ (the others are one-sided).

    - ``"one-sided"``: nothing is known, formulas read on one side only;
    - ``"periodic"``, or ``"wrap"``: the axis goes round;
    - ``"reflect"``: the field mirrored about the edge sample;
    - ``"symmetric"``: the field mirrored about the point half a step beyond the edge sample;
    - ``"odd-reflect"``, ``"odd-symmetric"``: the same with the opposite sign, as odd functions
      have it, which are zero at the mirror;
    - ``"edge"``: the edge sample, again and again;
    - a number: that value, as from a Dirichlet condition{slope}.
""",
    "edge_accuracy": """
edge_accuracy : int, optional
    The power of the spacing with which the error vanishes at one-sided ends and at those with a
    given normal derivative. By default `accuracy`, but 1 for one-sided ends of first derivatives
    of `accuracy` 2, as in `numpy.gradient`.
""",
    "period": """
period : number or dict, optional
    The period of a periodic axis, in the unit of the coordinates (of `time_unit` for dates, or a
    span of time); a dict ``{axis: period}`` where axes differ. By default, on uneven samples, the
    step from the last sample to the first is the mean of the first and the last step; on even
    ones it is a step like any other.
""",
    "stagger": """
stagger : {None, "left", "right"} or dict, optional
    Where results are: at the samples, or on the face half a cell before each of them ("left") or
    behind it ("right"); a dict ``{axis: stagger}`` where axes differ. On uneven samples a face
    is midway between two of them; beyond an end, as far away as its neighbour, or midway to what
    the boundary puts there.
""",
    "time_unit": """
time_unit : str, optional
    The unit of time ("s", "h", "D", "ns", ...) that rates are per, where coordinates are dates or
    spans of time.
""",
    "where": """
where : array of bool, optional
    Where samples are valid{whose}: an array that broadcasts to the shape of {a_field},
    {of_its_library}.
    Only these are read. Beside masked samples formulas become one-sided, of the best accuracy
    that the samples there allow, but not above {limit} if that is given; where there are
    not enough of them, and at masked samples, the result is NaN{sums}.
""",
    "skipna": """
skipna : bool, optional
    Whether NaN is masked, too. With this or with `where`, the mask of a masked array counts as
    well, and the result is masked where it would be NaN.
""",
    "stack": """
stack : bool, optional
    Whether to return one array, {leading}, in place of a tuple.
""",
    "backend": """
backend : {"auto", "slices", "numpy", "compiled", "cupy"}, optional
    Where the arithmetic runs, see `use_backend`; results have the type of the field all the same.
""",
}

_SLOPE = """;
    - ``{"normal": number}``: nothing, but at the edge sample the derivative along the outward
      normal is the number (a Neumann condition), in the unit of the field per unit of the
      spacing"""

OF_A_FIELD = {
    "shape": "(n_0, ..., n_k)",
    "on_axes": "",
    "slope": _SLOPE,
    "limit": "`edge_accuracy`",
    "a_field": "`f`",
    "sums": "",
    "leading": "the results on a new leading axis",
    "components": "one for each axis to differentiate along, in the order of the axes",
    "type_errors": "",
    "value_errors": "",
    "out_errors": "; if `out` has the wrong shape or device, or is read-only",
    "backend_errors": "If a backend that is asked for by name can't run this call",
    "whose": "",
    "of_its_library": "of its library",
}

OF_COMPONENTS = OF_A_FIELD | {
    "a_field": "a component",
    "sums": ". NaN with `skipna` is masked in its own component only. A sum is NaN where one of "
    "its terms is",
    "type_errors": ", or if components differ in dtype or library",
    "value_errors": "; if components differ in shape or device",
}


_ERRORS = """
Raises
------
TypeError
    If an argument is of the wrong kind: a function, text, booleans, dates without a `time_unit`,
    an array of another library; or if the number of spacings does not match the axes{type_errors}.
ValueError
    If an axis is too short for the scheme (the error says which would fit), does not exist or is
    named twice; if an option is unknown or out of range; if coordinates differ in length from
    their axis, repeat a neighbour's or are not finite; if a spacing is zero or not
    finite{out_errors}{value_errors}.
BackendError
    {backend_errors}.

Warns
-----
GpugradWarning
    If coordinates go both up and down, or if the last sample of a periodic axis repeats the first.
"""


def describe(**changes: str) -> Callable[[F], F]:
    """Fill a docstring in: the parameters for ``{parameters}``, the errors for ``{errors}``.

    `changes` are descriptions of parameters that mean something else for this operator, or words
    in the descriptions.
    """

    def fill_in(function: F) -> F:
        names = list_parameters(function)
        words = OF_COMPONENTS if names[0] == "v" else OF_A_FIELD
        if "out" not in names:
            words = words | {"out_errors": ""}
        texts = PARAMETERS | {"out": OUT["one"]} | changes
        marks = {"parameters": join_parameters(function, texts), "errors": _ERRORS}
        return fill_docstring(function, marks, words | changes)

    return fill_in
