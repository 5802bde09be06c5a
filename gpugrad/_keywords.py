"""Keywords that users bring along: `spacing=`, and the words that other libraries have for ours."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from numbers import Integral
from typing import Any, NamedTuple, NoReturn, ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
R = TypeVar("R")


class _Word(NamedTuple):
    use: str
    foreign: str


_WORDS = {
    "f": _Word(
        use="the samples: `gradient(f)`",
        foreign="y data values field array arr samples",
    ),
    "axis": _Word(
        use="an axis, or several: `axis=0`",
        foreign="dim dims axes dimension dimensions direction",
    ),
    "spacing": _Word(
        use="the distance between samples or their coordinates: `gradient(f, dx)`, `spacing=dx`",
        foreign="dx dy dz dt h delta step steps sampling varargs distance coord coords x xs",
    ),
    "order": _Word(
        use="the order of the derivative: `order=2`",
        foreign="n nu m deriv derivative_order diff_order",
    ),
    "accuracy": _Word(
        use="a power of the spacing: `accuracy=4`",
        foreign="acc accuracy_order scheme_order",
    ),
    "boundary": _Word(
        use='what lies beyond the ends: `boundary="periodic"`, `boundary=0.0`',
        foreign="mode bc bcs bc_type boundary_condition boundary_conditions boundaries padding "
        "pad padding_mode pad_mode fill_value fill cval periodic wrap",
    ),
    "where": _Word(
        use="true where samples are valid: `where=~mask`, if yours is true where they are masked",
        foreign="mask masked valid condition",
    ),
    "skipna": _Word(
        use="whether NaN is masked: `skipna=True`",
        foreign="skip_na dropna nan_policy ignore_nan",
    ),
    "time_unit": _Word(
        use='the unit that rates are per: `time_unit="s"`',
        foreign="datetime_unit unit units",
    ),
    "stagger": _Word(
        use='where results lie: `stagger="left"`',
        foreign="position to location",
    ),
    "out": _Word(
        use="an array to write to: `out=result`",
        foreign="output result dst",
    ),
    "stack": _Word(
        use="whether to return one array: `stack=True`",
        foreign="as_array stacked",
    ),
    "backend": _Word(
        use='where the arithmetic runs: `backend="slices"`; results have the library of the field',
        foreign="engine device xp lib module",
    ),
}  # fmt: skip
"""How our words are used, and what they are called elsewhere."""

_FOREIGN = {name: ours for ours, word in _WORDS.items() for name in word.foreign.split()}

_LEFT = {
    "smooth": "`gpugrad.smooth_derivative` smooths samples: by a filter with `window_length=` and "
    "`polyorder=`, or else by a spline.",
    "curvilinear": "Call the methods of `gpugrad.CurvilinearGrid(x, y)`, as in `.gradient(f)`.",
}
"""Options that have gone, and what does their work now."""


def accepts_keywords(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function take `spacing=` for `*spacing`, and answer words that are not ours."""

    @wraps(function)
    def call(*arguments: P.args, **options: P.kwargs) -> R:
        if "spacing" in options:
            arguments = spread_spacing(function, arguments, options)  # type: ignore[assignment]
        try:
            return function(*arguments, **options)
        except (TypeError, ValueError, RuntimeError) as error:
            answer_error(function, arguments, options, error)
            raise

    return call


def answer_error(
    function: Callable[..., Any],
    arguments: Sequence[Any],
    options: Mapping[str, Any],
    error: Exception,
) -> None:
    """Raise TypeError where a call failed for a keyword that is not ours, is traced, or an array.

    It is asked after a call has failed: before, it would cost time in each call.
    """
    if isinstance(error, TypeError):
        refuse_unknown(function, arguments, options)
        refuse_traced(options)
    elif "ambiguous" in str(error):  # as libraries say of the truth of an array
        for name, option in options.items():
            shape = getattr(option, "shape", ())
            if name not in ("where", "out", "like", "u", "v") and shape:
                raise TypeError(
                    f"`{name}` must be one value; got an array of shape {tuple(shape)}."
                ) from None


@cache
def _find_parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(function).parameters


def refuse_unknown(
    function: Callable[..., Any], arguments: Sequence[Any], options: Mapping[str, Any]
) -> None:
    """Raise TypeError where a keyword is none of the function's, or arguments are too many.

    It is asked after a call has failed: before, it would cost time in each call.
    """
    parameters = _find_parameters(function)
    kinds = [parameter.kind for parameter in parameters.values()]
    if inspect.Parameter.VAR_KEYWORD in kinds:
        return
    title = function.__qualname__.removesuffix(".__init__").rpartition(".")[-1]
    known = [name for name in parameters if name != "self"]
    for name in options:
        if name not in parameters or parameters[name].kind is inspect.Parameter.VAR_POSITIONAL:
            _refuse(title, name, known)
    by_place = kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if len(arguments) > by_place and inspect.Parameter.VAR_POSITIONAL not in kinds:
        named = [name for name in known if parameters[name].kind is inspect.Parameter.KEYWORD_ONLY]
        count = by_place - ("self" in parameters)
        raise TypeError(
            f"`{title}` takes {count} argument{'s'[: count != 1]} by position; got "
            f"{len(arguments) - ('self' in parameters)}. Give others by name: {', '.join(named)}."
        ) from None


_MAY_BE_TRACED = ("where", "spacing", "out")


def refuse_traced(options: Mapping[str, Any]) -> None:
    """Raise TypeError where an option is a tracer of JAX, which stands for an unknown value."""
    for name, value in options.items():
        entries = value if isinstance(value, (tuple, list)) else [value]
        if name not in _MAY_BE_TRACED and any(map(_is_traced, entries)):
            raise TypeError(
                f"`{name}` must be known when JAX traces a call; got a tracer. Make it static, as "
                f'in `jax.jit(function, static_argnames="{name}")`.'
            ) from None


def _is_traced(value: Any) -> bool:
    return type(value).__name__.endswith("Tracer") and type(value).__module__.startswith("jax")


def _refuse(title: str, name: str, known: Sequence[str]) -> NoReturn:
    ours = _FOREIGN.get(name, name if name in _WORDS else "")
    if name in _LEFT:
        cure = _LEFT[name]
    elif ours == "order" and ours not in known:
        cure = "Call `gpugrad.derivative`, which takes the `order`."
    elif ours == "spacing" and "step" in known:
        cure = "Pass `step`, the step of the differences."
    elif ours in known:
        cure = f"Pass `{ours}`, {_WORDS[ours].use.replace('gradient(', f'{title}(')}."
    else:
        from difflib import get_close_matches  # for those alone who misspell a word

        similar = get_close_matches(name, known, 1)
        cure = f"Did you mean `{similar[0]}`?" if similar else f"It takes {', '.join(known)}."
    raise TypeError(f"`{title}` takes no `{name}`. {cure}") from None


def spread_spacing(
    function: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]
) -> tuple[Any, ...]:
    """Return the positional arguments of a call with those that `spacing=` stands for.

    One spacing is a number, or coordinates. A sequence has one for each axis to differentiate
    along; along one axis alone it is the coordinates. A dict has them by axis.
    """
    spacing = options.pop("spacing")
    first, *others = _find_parameters(function)
    if "spacing" not in others:
        options["spacing"] = spacing
        return arguments
    if not arguments:
        default = _find_parameters(function)[first].default
        if first not in options and default is inspect.Parameter.empty:
            return ()  # the call says what is missing
        arguments = (options.pop(first, default),)
    if len(arguments) > 1:
        raise TypeError(
            f"`spacing` must be given once; got {len(arguments) - 1} by position and one by "
            "keyword. Leave one of them out."
        )
    if spacing is None:
        return arguments
    if not isinstance(spacing, (tuple, list, dict)):
        return (*arguments, spacing)
    dims, axes = _name_axes(function, first, arguments[0], options)
    if isinstance(spacing, dict):
        coordinates = getattr(arguments[0], "coords", ())
        by_axis = choose_by_axis(spacing, axes, "spacing", dims)
        # A coordinate of a DataArray is a spacing by its name.
        defaults = [axis if axis in coordinates else 1.0 for axis in axes]
        return (*arguments, *map(by_axis.get, axes, defaults))
    are_coordinates = len(axes) == 1 and len(spacing) > 1
    if are_coordinates or not spacing:
        return (*arguments, spacing)
    return (*arguments, *spacing)


def refuse_loose_components(v: Any, spacing: Sequence[Any]) -> None:
    """Raise TypeError where further components of a vector field stand in the place of spacings.

    No spacing has the shape of all components together.
    """
    if not spacing or (isinstance(v, (tuple, list)) and v and hasattr(v[0], "shape")):
        return
    shape = _find_shape(v)
    count = 1 + sum(_find_shape(x) == shape for x in spacing)
    if shape and count > 1:
        raise TypeError(
            f"`v` must hold all components; got {count} arrays of shape {shape} one after the "
            "other, and all but the first would be spacings. Put them in a tuple, as in "
            "`divergence((vx, vy), dx, dy)`."
        )


def _find_shape(x: Any) -> tuple[Any, ...]:
    if hasattr(x, "shape"):
        return tuple(x.shape)
    if not isinstance(x, (tuple, list)):
        return ()
    try:
        return np.shape(x)
    except ValueError:  # rows of unequal lengths
        return ()


def _name_axes(
    function: Callable[..., Any], first: str, f: Any, options: Mapping[str, Any]
) -> tuple[Sequence[Any], list[Any]]:
    """Return all axes of a field, and those to differentiate along: numbers, or names."""
    is_sequence = isinstance(f, (tuple, list))
    if first == "shape":
        dims: Sequence[Any] = range(len(f) if is_sequence else 1)
    elif first == "v":
        dims = _list_axes(f[0]) if is_sequence and f else _list_axes(f)[:-1]
    else:
        dims = _list_axes(f)
    own = _find_parameters(function).get("axis")  # not all have a choice of axes
    axis = options.get("axis", None if own is None else own.default)
    if axis is None:
        is_single = options.get("operator") == "derivative"
        return dims, [*(dims[-1:] if is_single else dims)]
    chosen = axis if isinstance(axis, (tuple, list)) else [axis]
    return dims, [dims[i] if type(i) is int and -len(dims) <= i < len(dims) else i for i in chosen]


def _list_axes(f: Any) -> Sequence[Any]:
    """Return the dimensions of a DataArray, or the numbers of the axes of another array."""
    if hasattr(f, "dims") and hasattr(f, "coords"):
        return tuple(f.dims)
    return range(f.ndim if hasattr(f, "ndim") else np.ndim(f))


def choose_by_axis(
    entries: Mapping[Any, Any], axes: Sequence[Any], name: str, dims: Sequence[Any]
) -> dict[Any, Any]:
    """Return what an option given as a dict says of each axis it names.

    Parameters
    ----------
    entries : mapping
        The option; axes may be counted from the last.
    axes : sequence
        The axes to differentiate along, of those in `dims`.
    name : str
        The name of the option.
    dims : sequence
        All axes of the field: numbers, or names.

    Raises
    ------
    TypeError
        If a key is no axis.
    ValueError
        If a key is not one of the axes to differentiate along, or two keys are one axis.
    """
    chosen = {}
    for key, entry in entries.items():
        is_number = isinstance(key, Integral) and not isinstance(key, bool)
        has_names = any(isinstance(dim, str) for dim in dims)
        if not is_number and key not in dims and not has_names:
            raise TypeError(
                f"`{name}` must have axes for keys where it is a dict, as in `{name}={{0: ...}}`; "
                f"got {key!r}. Names of axes belong to DataArrays of xarray."
            )
        axis = dims[key] if is_number and -len(dims) <= key < len(dims) else key
        if axis not in axes:
            raise ValueError(
                f"`{name}` must name axes to differentiate along, {', '.join(map(str, axes))}; got "
                f"{key!r}."
            )
        if axis in chosen:
            raise ValueError(f"`{name}` must name each axis once; got {axis!r} twice.")
        chosen[axis] = entry
    return chosen
