"""Exact gradients of formulas: SymPy differentiates, any array library evaluates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from itertools import combinations_with_replacement
from typing import Any, ParamSpec

from gpugrad._arrays import find_gpu
from gpugrad._functions.formulas import parse
from gpugrad._functions.formulas.deadline import time_limit
from gpugrad._functions.formulas.descriptions import TOO_LONG, describe
from gpugrad._functions.formulas.evaluate import UnsupportedError, record
from gpugrad._functions.formulas.symbolic_function import LIBRARIES, SymbolicFunction, lay_out
from gpugrad._keywords import refuse_unknown
from gpugrad._stencils import MAX_ORDER

_MOST_OPERATIONS = 3000
"""What the first derivatives of a text may hold, to be differentiated again within seconds."""

_MOST_NESTED = 12
"""How many absolute values of a text may lie in each other: SymPy's time grows with the cube."""

_MOST_SYMBOLS = 200
"""How many symbols a text may hold: SymPy's time grows with the square and more."""

_OF_SYMPY = (ArithmeticError, AttributeError, LookupError, NotImplementedError, RecursionError)
"""What SymPy raises at texts that it cannot work out, in which nothing of a caller's code runs."""

P = ParamSpec("P")


def _names_library(operator: Callable[P, SymbolicFunction]) -> Callable[P, SymbolicFunction]:
    """Let an operator answer `backend=`, where arithmetic runs, and words that are not ours."""

    @wraps(operator)
    def call(*arguments: P.args, **options: P.kwargs) -> SymbolicFunction:
        if "backend" in options:
            raise TypeError(
                f"`symbolic.{operator.__name__}` takes no `backend`: the library that evaluates is "
                f"`library`; pass library={options['backend']!r}."
            )
        is_text = _holds_text(arguments[:1]) or _holds_text(options.values())
        if is_text:
            _import_sympy()  # which takes its time, too
        try:
            with time_limit(is_text):
                return operator(*arguments, **options)
        except TypeError:
            refuse_unknown(operator, arguments, options)
            raise
        except _OF_SYMPY as error:
            if not is_text:
                raise
            raise ValueError(
                f"SymPy cannot differentiate this text: {type(error).__name__} {error}".rstrip(". ")
                + ". Build the formula with SymPy, or differentiate a function by `gradient_of`."
            ) from error

    return call


def _holds_text(arguments: Iterable[Any]) -> bool:
    return any(
        isinstance(e, str) or (isinstance(e, (list, tuple)) and _holds_text(e)) for e in arguments
    )


@_names_library
@describe()
def gradient(expr: Any, *symbols: Any, library: str | None = None) -> SymbolicFunction:
    r"""Return the exact gradient of a formula.

    The result can be printed as a formula, and can be called with points. It needs no grid and has
    no truncation error.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    SymbolicFunction
        The gradient ``g``. ``g(x, y, ...)`` returns a tuple with one array for each symbol; for one
        symbol, a single array. ``g.expressions`` are the formulas.

    {errors: help() shows this}

    See Also
    --------
    gpugrad.symbolic.derivative : The derivative with respect to one variable, of any order.
    gpugrad.gradient_of : The gradient of a Python function.

    Notes
    -----
    The components are :math:`\partial f/\partial x_i`.

    {rounding: help() shows this}

    Examples
    --------
    Print the gradient of a formula, and evaluate it at two points:

    >>> import gpugrad
    >>> g = gpugrad.symbolic.gradient("2*x**2 + 3*y**2 - 4*z")
    >>> print(g)
    gradient(x, y, z) = (4*x, 6*y, -4)
    >>> g([1.0, 2.0], 10.0, 0.0)
    (array([4., 8.]), array([60., 60.]), array([-4., -4.]))
    """
    (f,), names, back = _prepare_formulas(expr, symbols, vector=False)
    rows = tuple(f.diff(s) for s in names)
    return _make_function("gradient", rows if len(rows) > 1 else rows[0], names, back, library)


@_names_library
@describe(
    places="points in a call",
    value_errors="; if `by` is not one of the symbols, or is missing although there are several; "
    "if `order` is not an integer from 1 to 8",
)
def derivative(
    expr: Any, *symbols: Any, by: Any = None, order: int = 1, library: str | None = None
) -> SymbolicFunction:
    """Return an exact partial derivative of a formula, of any order.

    The formula is differentiated with respect to one of its variables, while the others are
    constant.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    SymbolicFunction
        The derivative. A call with a value for each symbol returns one array.

    {errors: help() shows this}

    See Also
    --------
    gpugrad.symbolic.gradient : The derivatives with respect to all variables.
    gpugrad.derivative_of : A derivative of a Python function.

    Notes
    -----
    {rounding: help() shows this}

    For orders above 1, the derivatives of a text that are differentiated again may have at most
    3000 operations.

    Examples
    --------
    The second derivative with respect to x:

    >>> import gpugrad
    >>> gpugrad.symbolic.derivative("x**3 * y", by="x", order=2).expressions
    6*x*y
    """
    if isinstance(order, bool) or not isinstance(order, int) or not 1 <= order <= MAX_ORDER:
        raise ValueError(f"`order` must be an integer from 1 to {MAX_ORDER}; got {order!r}.")
    (f,), names, back = _prepare_formulas(expr, symbols, vector=False)
    by_name = {s.name: s for s in names}
    if by is None and len(names) > 1:
        raise ValueError(f"`by` must name one of the symbols {', '.join(by_name)}; got none.")
    name = next(iter(by_name)) if by is None else getattr(by, "name", by)
    if name not in by_name:
        raise ValueError(f"`by` must be one of the symbols {', '.join(by_name)}; got {by!r}.")
    for k in range(order):
        if k:
            _check_size(expr, [f])
        f = f.diff(by_name[name])
    return _make_function("derivative", f, names, back, library)


@_names_library
@describe(components="The components of a vector field", places="columns and of the points")
def jacobian(exprs: Any, *symbols: Any, library: str | None = None) -> SymbolicFunction:
    """Return the exact Jacobian of several formulas: a row for each formula.

    The Jacobian is the matrix of all first derivatives. It is used by Newton's method and for the
    propagation of errors, for example.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    SymbolicFunction
        The Jacobian ``j``. A call returns a tuple of rows: ``j(x, y)[i][k]`` is the derivative of
        component i with respect to symbol k.

    {errors: help() shows this}

    See Also
    --------
    gpugrad.symbolic.gradient : The derivatives of one formula.
    gpugrad.jacobian_of : The Jacobian of a Python function.

    Notes
    -----
    {rounding: help() shows this}

    Examples
    --------
    The Jacobian of the mapping :math:`(x y, x + y)`:

    >>> import gpugrad
    >>> gpugrad.symbolic.jacobian(["x*y", "x + y"], "x", "y").expressions
    ((y, x), (1, 1))
    """
    fs, names, back = _prepare_formulas(exprs, symbols, vector=True)
    rows = tuple(tuple(f.diff(s) for s in names) for f in fs)
    return _make_function("jacobian", rows, names, back, library)


@_names_library
@describe(places="rows and of the points", value_errors=TOO_LONG)
def hessian(expr: Any, *symbols: Any, library: str | None = None) -> SymbolicFunction:
    """Return the exact Hessian of a formula: a row for each symbol.

    The Hessian describes the curvature of a field in all directions. Where the gradient is zero,
    the signs of its eigenvalues distinguish minima, maxima and saddles.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    SymbolicFunction
        The Hessian ``h``. A call returns a tuple of rows: ``h(x, y)[i][k]`` is the second
        derivative with respect to symbols i and k.

    {errors: help() shows this}

    See Also
    --------
    gpugrad.symbolic.laplacian : The sum of the diagonal.
    gpugrad.hessian_of : The Hessian of a Python function.

    Notes
    -----
    {rounding: help() shows this}

    Examples
    --------
    The Hessian of :math:`x^2 y`:

    >>> import gpugrad
    >>> gpugrad.symbolic.hessian("x**2 * y", "x", "y").expressions
    ((2*y, 2*x), (2*x, 0))
    """
    (f,), names, back = _prepare_formulas(expr, symbols, vector=False)
    slopes = _differentiate_once(expr, f, names)
    numbers = range(len(names))
    pairs = combinations_with_replacement(numbers, 2)
    upper = {(i, j): slopes[i].diff(names[j]) for i, j in pairs}
    rows = tuple(tuple(upper[min(i, j), max(i, j)] for j in numbers) for i in numbers)
    return _make_function("hessian", rows, names, back, library)


@_names_library
@describe(
    components="The components, one for each symbol",
    value_errors="; if there is not one component for each symbol",
)
def divergence(exprs: Any, *symbols: Any, library: str | None = None) -> SymbolicFunction:
    """Return the exact divergence of a vector field.

    The divergence is the net outflow per unit of volume: it is positive at sources and negative at
    sinks.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    SymbolicFunction
        The divergence. A call with a value for each symbol returns one array.

    {errors: help() shows this}

    See Also
    --------
    gpugrad.symbolic.curl : The curl of a vector field.
    gpugrad.divergence_of : The divergence of a Python function.

    Notes
    -----
    {rounding: help() shows this}

    Examples
    --------
    The divergence of the vector field :math:`(x^2, x y)`:

    >>> import gpugrad
    >>> gpugrad.symbolic.divergence(["x**2", "x*y"], "x", "y").expressions
    3*x
    """
    fs, names, back = _prepare_formulas(exprs, symbols, vector=True)
    if len(fs) != len(names):
        raise ValueError(_one_for_each("divergence", fs, names))
    total = sum(f.diff(s) for f, s in zip(fs, names, strict=True))
    return _make_function("divergence", total, names, back, library)


@_names_library
@describe(
    components="The two or three components, one for each symbol",
    value_errors="; if there are not two or three components; if there is not one component for "
    "each symbol",
)
def curl(exprs: Any, *symbols: Any, library: str | None = None) -> SymbolicFunction:
    """Return the exact curl of a vector field in two or three dimensions.

    The curl measures the rotation of a flow: it is twice the angular velocity of a small body that
    is carried along.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    SymbolicFunction
        The curl. In three dimensions a call returns three arrays. In two dimensions it returns one
        array, the component perpendicular to the plane.

    {errors: help() shows this}

    See Also
    --------
    gpugrad.symbolic.divergence : The divergence of a vector field.
    gpugrad.curl_of : The curl of a Python function.

    Notes
    -----
    {rounding: help() shows this}

    Examples
    --------
    A solid body that rotates with an angular velocity of 1 has a curl of 2:

    >>> import gpugrad
    >>> gpugrad.symbolic.curl(["-y", "x"], "x", "y").expressions
    2
    """
    fs, names, back = _prepare_formulas(exprs, symbols, vector=True)
    if len(fs) != len(names) or len(fs) not in (2, 3):
        raise ValueError(_one_for_each("curl, in two or three dimensions,", fs, names))

    def across(i: int, k: int) -> Any:
        return fs[k].diff(names[i]) - fs[i].diff(names[k])

    result = across(0, 1) if len(fs) == 2 else (across(1, 2), across(2, 0), across(0, 1))
    return _make_function("curl", result, names, back, library)


@_names_library
@describe(
    expr="""
expr : str, SymPy expression, or a sequence of them
    A scalar field, such as ``"x**2 + y**3"``, or the components of a vector field, for which the
    result has the Laplacian of each component. {grammar}
""",
    places="points in a call",
    value_errors=TOO_LONG,
)
def laplacian(expr: Any, *symbols: Any, library: str | None = None) -> SymbolicFunction:
    """Return the exact Laplacian of a formula, or of each component of a vector field.

    The Laplacian compares a field with its surroundings: it is positive where the field is below
    the mean of its neighbourhood. It appears in the equations of diffusion and of waves.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    SymbolicFunction
        The Laplacian. A call returns one array; for a vector field, a tuple of arrays.

    {errors: help() shows this}

    See Also
    --------
    gpugrad.symbolic.hessian : All second derivatives.
    gpugrad.laplacian_of : The Laplacian of a Python function.

    Notes
    -----
    {rounding: help() shows this}

    Examples
    --------
    The Laplacian of :math:`x^2 + y^3`:

    >>> import gpugrad
    >>> gpugrad.symbolic.laplacian("x**2 + y**3", "x", "y").expressions
    6*y + 2
    """
    vector = isinstance(expr, (list, tuple))
    fs, names, back = _prepare_formulas(expr, symbols, vector=vector)
    gradients = [
        _differentiate_once(e, f, names)
        for e, f in zip(expr if vector else [expr], fs, strict=True)
    ]
    results = tuple(
        sum(slope.diff(s) for slope, s in zip(slopes, names, strict=True)) for slopes in gradients
    )
    return _make_function("laplacian", results if vector else results[0], names, back, library)


def _differentiate_once(expr: Any, f: Any, names: Sequence[Any]) -> list[Any]:
    """Return first derivatives, to be differentiated again, unless a text makes too much of them.

    Second derivatives grow with the square of first ones: nested functions and long
    products take minutes, which is too long for a text that a stranger may have written.
    """
    slopes = [f.diff(s) for s in names]
    _check_size(expr, slopes)
    return slopes


def _check_size(expr: Any, slopes: Sequence[Any]) -> None:
    """Raise ValueError where derivatives of a text are too long to be differentiated again."""
    size = sum(int(slope.count_ops()) for slope in slopes)
    if isinstance(expr, str) and size > _MOST_OPERATIONS:
        raise ValueError(
            f"The first derivatives of a text that is differentiated twice may have at most "
            f"{_MOST_OPERATIONS} operations; got {size}. Build such formulas with SymPy and pass "
            "the SymPy expression, or differentiate a function by `hessian_of`."
        )


def _one_for_each(operator: str, fs: Sequence[Any], names: Sequence[Any]) -> str:
    return (
        f"The {operator} needs one component for each symbol; got {len(fs)} components and the "
        f"{len(names)} symbols {', '.join(s.name for s in names)}. List the symbols."
    )


def _import_sympy() -> Any:
    try:
        import sympy
    except ImportError:
        raise ImportError(
            'Exact gradients of formulas need SymPy: pip install "gpugrad[symbolic]".'
        ) from None
    return sympy


def _prepare_formulas(
    expr: Any, symbols: Sequence[Any], vector: bool
) -> tuple[list[Any], list[Any], Any]:
    """Return formulas of real variables, these variables, and the way back to the user's."""
    sp = _import_sympy()
    is_sequence = isinstance(expr, (list, tuple, sp.MatrixBase))
    if vector != is_sequence or (vector and not len(expr)):
        wanted = "a sequence of expressions" if vector else "one expression"
        raise TypeError(f"`expr` must be {wanted}; got {type(expr).__name__}.")
    listed = _read_symbols(sp, symbols)
    fs = [_read_expression(sp, e, listed) for e in (expr if vector else [expr])]
    free = {s for f in fs for s in f.free_symbols}
    missing = sorted(s.name for s in free - set(listed)) if listed else []
    if missing:
        raise ValueError(
            f"The expression holds symbols that are not listed: {', '.join(missing)}. List every "
            f"symbol of the expression (got {', '.join(s.name for s in listed)})."
        )
    names = listed or sorted(free, key=lambda s: s.name)
    if not names:
        raise ValueError("The expression holds no symbols; list those to differentiate along.")
    if len({s.name for s in names}) < len(names):
        raise ValueError(f"Each symbol must be given once; got {', '.join(s.name for s in names)}.")
    if bad := [s.name for s in names if s.is_extended_real is False]:
        raise ValueError(f"Symbols must be real; {', '.join(bad)} cannot be.")
    real = {s: s if s.is_extended_real else sp.Symbol(s.name, real=True) for s in names}
    back = {new: old for old, new in real.items()}
    return [f.xreplace(real) for f in fs], [real[s] for s in names], back


def _read_symbols(sp: Any, symbols: Sequence[Any]) -> list[Any]:
    listed: list[Any] = []
    for symbol in symbols:
        names = symbol.replace(",", " ").split() if isinstance(symbol, str) else []
        if isinstance(symbol, (list, tuple)):
            listed += _read_symbols(sp, symbol)
        elif isinstance(symbol, sp.Symbol):
            listed.append(symbol)
        elif names:
            for name in names:
                if not name.isidentifier() or name.startswith("_"):
                    raise ValueError(f"A symbol's name must be a word, as t0; got {name!r}.")
                listed.append(sp.Symbol(name))
        else:
            raise TypeError(f"Symbols must be names or SymPy symbols; got {symbol!r}.")
    return listed


def _read_expression(sp: Any, e: Any, symbols: Sequence[Any]) -> Any:
    if isinstance(e, str):
        read = parse.parse(e, symbols)
        if len(read.free_symbols) > _MOST_SYMBOLS:
            raise ValueError(
                f"A text may hold {_MOST_SYMBOLS} symbols at most; got {len(read.free_symbols)}. "
                "Build such formulas with SymPy and pass the SymPy expression."
            )
        if _count_nested(sp.Abs, read) > _MOST_NESTED:
            raise ValueError(
                f"A text may hold absolute values in each other {_MOST_NESTED} deep, as SymPy "
                "takes minutes for more. Build such formulas with SymPy and pass the expression."
            )
        return read
    if isinstance(e, (int, float)) and not isinstance(e, bool):
        return sp.sympify(e)  # a number; text never gets here
    if not isinstance(e, sp.Expr):
        raise TypeError(
            f"An expression must be text or a SymPy expression; got {type(e).__name__}. For a "
            "Python function there is `gradient_of`, for a table of samples `gradient`."
        )
    names = {s.name: s for s in symbols}
    # The symbol named "x" is the x of the expression, whatever is assumed of it.
    return e.xreplace({s: names.get(s.name, s) for s in e.free_symbols})


def _count_nested(kind: Any, e: Any) -> int:
    """Return how many of a kind lie in each other, at most."""
    nested = (_count_nested(kind, argument) for argument in e.args)
    return isinstance(e, kind) + max(nested, default=0)


def _make_function(
    operator: str, derived: Any, names: Any, back: Any, library: str | None
) -> SymbolicFunction:
    sp = _import_sympy()
    library = _parse_library(library)
    flat = [sp.sympify(e) for e in _flatten_tuples(derived)]
    for e in flat:
        for bad in e.atoms(sp.DiracDelta, sp.Derivative, sp.Subs, sp.Integral):
            why = (
                "is infinite where the function jumps, and has no value there: write the pieces "
                "with Piecewise" if isinstance(bad, sp.DiracDelta) else "has no formula SymPy knows"
            )  # fmt: skip
            raise ValueError(f"The {operator} holds {bad}, which {why}.")
    try:
        tape = record(flat, names)
    except UnsupportedError as error:
        raise ValueError(f"The {operator} cannot be evaluated: {error}.") from None
    shown = lay_out(derived, iter([e.xreplace(back) for e in flat]))
    return SymbolicFunction(shown, tuple(back[s] for s in names), operator, library, tape)


def _parse_library(library: Any) -> str | None:
    if library == "auto":
        return "cupy" if find_gpu().usable else "numpy"
    if library is not None and library not in LIBRARIES:
        raise ValueError(
            f"`library` must be auto or one of {', '.join(LIBRARIES)}; got {library!r}."
        )
    return library  # type: ignore[no-any-return]


def _flatten_tuples(nested: Any) -> list[Any]:
    if not isinstance(nested, tuple):
        return [nested]
    return [e for inner in nested for e in _flatten_tuples(inner)]
