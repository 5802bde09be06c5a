"""What the parameters of operators mean: once for all operators, filled into their docstrings."""

from __future__ import annotations

from collections.abc import Callable

from gpugrad._docs import F, fill_docstring, join_parameters, list_parameters

OUT = {
    "one": """
out : array, optional
    An array of the shape of the result, to write the result into. It may overlap with the field
    in memory. By default a new array is made.
""",
    "each": """
out : array or tuple of arrays, optional
    Arrays to write the results into, in the form in which the results are returned; with `stack`,
    one array. They may overlap with the field in memory. By default new arrays are made.
""",
    "table": """
out : tuple of tuples of arrays, or array, optional
    Arrays to write the results into, in the form in which the results are returned; no array may
    occur twice. With `stack`, one array. They may overlap with the field in memory. By default
    new arrays are made.
""",
}

ONE_AXIS = """
axis : int, optional
    The axis to differentiate along, by default the last one. For a DataArray, also the name of a
    dimension.
"""

CURL_AXIS = """
axis : None or tuple of int, optional
    The two or three axes to differentiate along, ordered as a right-handed coordinate system. By
    default all axes, in their order. For a DataArray, also names of dimensions.
"""

OPERATOR = """
operator : str, optional
    The name of the operator: "gradient" (the default), "derivative", "divergence", "curl",
    "laplacian", "vector_laplacian", "jacobian", "hessian" or "gradient_norm".
"""

PARAMETERS = {
    "f": """
f : array of shape {shape}
    Samples of a scalar field{on_axes}. `f` may be an array of NumPy, CuPy, PyTorch, JAX, Dask or
    any other library that follows the array API, a DataArray of xarray, a quantity of pint,
    astropy or unyt, a Series of pandas, or a nested sequence. The values may be integers, real
    floats or complex floats. NumPy arrays may also hold dates or Python objects, and masked
    arrays are accepted.
""",
    "v": """
v : sequence of arrays, or array of shape (m, n_0, ..., n_k)
    The components of a vector field, {components}. If `v` is one array, the components lie along
    its first axis. All components have the same shape, dtype, library and device. A tuple of
    components is one argument: ``((vx, vy), dx, dy)``.
""",
    "spacing": """
*spacing : number or array, optional
    The spacing, in the unit of the coordinates. By default it is 1 along every axis. A single
    number is the distance between samples along every axis. Otherwise give one entry for each
    axis, in the order of the axes: a distance, or the coordinates of the samples, of length n_i.
    Coordinates need not be sorted, but each must differ from the next one and from the one after
    that. They may be sequences, NumPy arrays, arrays of the library of the field, quantities, or
    dates (of NumPy, Python, pandas or cftime). If the coordinates along an axis differ from line
    to line, give an array of the shape of the field, or one that broadcasts to this shape. The
    spacing may also be given by keyword, as ``spacing=``; then it may be a dict ``{axis:
    spacing}``, too.
""",
    "axis": """
axis : None, int or tuple of int, optional
    The axes to differentiate along, by default all of them. Negative numbers count from the last
    axis. For a DataArray, also names of dimensions.
""",
    "order": """
order : int, optional
    The order of the derivative, from 1 to 8. By default 1.
""",
    "edge_order": """
edge_order : {1, 2}, optional
    The order of accuracy at one-sided ends, as in `numpy.gradient`: 1 uses two samples and 2 uses
    three. By default 1. It is allowed only for first derivatives of `accuracy` 2, and not together
    with `edge_accuracy`.
""",
    "accuracy": """
accuracy : {2, 4, 6, 8, 10, 12}, optional
    The order of accuracy in the interior: the error is proportional to this power of the spacing.
    By default 2.
""",
    "boundary": """
boundary : str, number, dict or pair of these, optional
    What is assumed about the field beyond the ends of an axis. By default "one-sided". A pair
    ``(lower, upper)`` sets the two ends separately. A dict ``{axis: boundary}`` sets the boundary
    of single axes; the other axes are one-sided.

    - ``"one-sided"``: nothing is assumed; formulas at the ends use samples on one side only;
    - ``"periodic"`` or ``"wrap"``: the first sample follows the last one;
    - ``"reflect"``: the field is mirrored about the sample at the end;
    - ``"symmetric"``: the field is mirrored about the point half a step beyond that sample;
    - ``"odd-reflect"``, ``"odd-symmetric"``: as these two, but with the opposite sign, as in an
      odd function, which is zero at the mirror;
    - ``"edge"``: the value of the sample at the end is repeated;
    - a number: the field beyond the end has this value, as in a Dirichlet condition{slope}.
""",
    "edge_accuracy": """
edge_accuracy : int, optional
    The order of accuracy at one-sided ends, and at ends where the normal derivative is given. By
    default it is `accuracy`, but 1 at one-sided ends for first derivatives of `accuracy` 2, as in
    `numpy.gradient`.
""",
    "period": """
period : number or dict, optional
    The period of a periodic axis, in the unit of the coordinates; for dates, a number in
    `time_unit` or a time span. A dict ``{axis: period}`` sets the period of single axes. Without
    a period, the step from the last sample to the first is the spacing for even samples, and the
    mean of the first and the last step for uneven samples.
""",
    "stagger": """
stagger : {None, "left", "right"} or dict, optional
    Where the results lie: at the samples (None, the default), or at the cell face half a step
    before each sample ("left") or after it ("right"). A dict ``{axis: stagger}`` sets single axes.
    On uneven samples a face lies midway between two samples. The face beyond the end of an axis
    is as far from the last sample as the face on its other side, or midway to the first sample
    that the boundary assumes beyond the end.
""",
    "time_unit": """
time_unit : str, optional
    The unit of time of the result, such as "s", "h", "D" or "ns": with "h", derivatives are per
    hour. It is required where the coordinates are dates, and should be given where they are time
    spans.
""",
    "where": """
where : array of bool, optional
    An array that is true where samples are valid{whose}, and false where they are masked. It
    belongs to {of_its_library} and broadcasts to the shape of {a_field}. Masked samples are not
    read. Next to them, formulas are one-sided and as accurate as the valid samples there allow,
    but not more accurate than {limit}, if that is given. The result is NaN at masked samples, and
    where there are too few valid samples{sums}. By default all samples are valid.
""",
    "skipna": """
skipna : bool, optional
    Whether samples that are NaN count as masked, too. By default False. If the field is a masked
    array and `skipna` or `where` is given, its own mask counts as well, and the result is masked
    where it would be NaN.
""",
    "stack": """
stack : bool, optional
    Whether to return one array, with {leading}, instead of a tuple. By default False.
""",
    "backend": """
backend : {"auto", "slices", "numpy", "compiled", "cupy"}, optional
    Where the arithmetic runs; see `use_backend`, which also sets the default. The type of the
    result does not depend on the backend.
""",
}

_SLOPE = """;
    - ``{"normal": number}``: the derivative along the outward normal at the end is this number,
      in the unit of the field per unit of the spacing (a Neumann condition)"""

OF_A_FIELD = {
    "shape": "(n_0, ..., n_k)",
    "on_axes": "",
    "slope": _SLOPE,
    "limit": "`edge_accuracy`",
    "a_field": "`f`",
    "sums": "",
    "leading": "the results on a new leading axis",
    "components": "one for each axis to differentiate along, in the order of the axes",
    "no_unit": " dates without a `time_unit`,",
    "type_errors": "",
    "value_errors": "",
    "out_errors": "; if `out` has the wrong shape or device, or is read-only",
    "backend_errors": "If a backend that is requested by name can't run this call",
    "whose": "",
    "of_its_library": "the library of the field",
}

OF_COMPONENTS = OF_A_FIELD | {
    "a_field": "a component",
    "sums": ". With `skipna`, a NaN masks a sample of its own component only. A sum of derivatives "
    "is NaN where one of them is NaN",
    "type_errors": ", or if components differ in dtype or library",
    "value_errors": "; if components differ in shape or device",
}


_ERRORS = """
Raises
------
TypeError
    If an argument has the wrong type: a function, text, booleans,{no_unit} or an array of another
    library; or if the number of spacings does not match the axes{type_errors}.
ValueError
    If an axis is too short for the scheme (the message says which schemes fit), does not exist or
    is named twice; if the value of an option is unknown or out of range; if coordinates differ in
    length from their axis, are not finite, or are the same for neighbouring samples; if a spacing
    is zero or not finite{out_errors}{value_errors}.
BackendError
    {backend_errors}.

Warns
-----
GpugradWarning
    If coordinates both increase and decrease, or if the last sample of a periodic axis repeats
    the first one.
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
