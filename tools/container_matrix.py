"""Write the page of containers: what each public function makes of each kind of array.

python tools/container_matrix.py docs/reference/containers.md

All cells come from calls: every function is called on every container. A result must have the
numbers that a plain array gives, and a refusal must be an error of gpugrad's own that says what
must hold, what was given and what to do; if not, this program stops and says which.
"""

from __future__ import annotations

import linecache
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from container_samples import (
    CONTAINERS,
    CURVE,
    FIELD,
    Container,
    bring_home,
    kind_of,
    kind_of_container,
)

import gpugrad

ROOT = str(Path(gpugrad.__file__).parent)

INTRODUCTION = """# Which container works where?

A container is what holds the samples: an array of some library, a list, a table, a quantity with a
unit. Most functions return the container that they are given. The picture is an overview; the
table below says it in words for each group of functions, and [the rules](#rules) say it for each
kind of container.

![A table of colours: for each container and each group of functions, whether the result comes in
the same container, in another one, or whether the container is refused with an error
](../images/containers.png)

The cells of the table:

- **kept**: the result comes in the same container and has the same dtype.
- A name, such as *array* or *number*: this is what comes back. A dtype other than float64 is
  named, too.
- **no** with a number: the container is refused. The error says what to do. Its text is
  [below](#error-messages), under the name of the container and this number.
- **yes**: the function takes the container.
- `-`: the container has one axis, and the function needs two.
- If functions of one column differ, the cell names those that differ from the others.

What comes back depends neither on the size of the field nor on the engine."""

RULES = """
## Rules

- **Subclasses of `numpy.ndarray`** are kept, with their attributes, as by `numpy.gradient`: in
  results of the shape of the field, in results on grids, and in stacks. Points of curves are plain
  arrays. A memory map gives a plain array. Subclasses of PyTorch's tensors are kept, too.
- **Byte order and memory order** are those of the field. A stack of results has the byte order of
  the field, and is in C order.
- **Objects** become floats, also `Decimal`, which `numpy.gradient` refuses. An object that is not a
  number, such as None or text, is an error that shows the object.
- **Dates and durations as fields** have derivatives in their own unit, as in NumPy, by formulas
  that divide whole numbers once. If fractions are lost, a `GpugradWarning` says so. A derivative of
  times with respect to times needs numbers, because a ratio of times is a number. So do all other
  operators.
- **Series of pandas**: the index says where the samples lie, and the result has the same index
  ([labels and units](../how-to/labels-and-units.md#pandas)). A DataFrame is refused: select a
  column.
- **polars** has no index. A column gives an array, and a table is refused.
- **Sparse and nested arrays** are refused if their library cannot slice them."""

Make = Callable[[Any], Any]


class Function(NamedTuple):
    """How a public function is called: `call` takes what puts an array into a container.

    `axes` is how many axes its field has: None for two, or one where the container is flat.
    """

    call: Callable[[Make, Any], Any]
    axes: int | None = None


def _on_field(name: str, **options: Any) -> Function:
    return Function(lambda make, f: getattr(gpugrad, name)(make(f), **options))


def _on_vector(name: str, axes: int | None = None) -> Function:
    def call(make: Make, f: Any) -> Any:
        return getattr(gpugrad, name)([make(f * (i + 1)) for i in range(f.ndim)])

    return Function(call, axes)


@cache
def _sphere() -> Any:
    rows, columns = FIELD.shape
    return gpugrad.Sphere(np.linspace(-90, 90, rows), np.arange(columns) * 360 / columns, radius=1)


def _on_sphere(name: str) -> Function:
    def call(make: Make, f: Any) -> Any:
        sphere, field = _sphere(), make(f)
        if _has_coordinates(field):
            field = field.assign_coords(x=sphere.latitude, y=sphere.longitude)
            sphere = gpugrad.Sphere("x", "y", radius=1)
        if name in ("curl", "divergence"):
            return getattr(sphere, name)(u=field, v=field)
        return getattr(sphere, name)(field)

    return Function(call, 2)


def _on_grid(name: str) -> Function:
    def call(make: Make, f: Any) -> Any:
        places = [*np.meshgrid(*(np.arange(n) ** 1.5 for n in f.shape), indexing="ij")]
        if f.ndim > 1:
            places[0] = places[0] + places[1] / 8
        field, grid = make(f), None
        if _has_coordinates(field):
            names, dims = [f"place{i}" for i in range(f.ndim)], ("x", "y")[: f.ndim]
            pairs = zip(names, places, strict=True)
            field = field.assign_coords({name: (dims, x) for name, x in pairs})
            grid = gpugrad.CurvilinearGrid(*names)
        grid = grid or gpugrad.CurvilinearGrid(*places)
        is_vector = name in ("divergence", "curl", "jacobian")
        return getattr(grid, name)([field] * f.ndim if is_vector else field)

    return Function(call, 2 if name == "curl" else None)


def _has_coordinates(field: Any) -> bool:
    return hasattr(field, "dims") and hasattr(field, "assign_coords")


def _through_plan(make: Make, f: Any) -> Any:
    field = make(f)
    dtype = getattr(field, "dtype", None)
    is_planned = isinstance(dtype, np.dtype) and dtype.kind in "fciu"
    libraries = {base.__module__.partition(".")[0] for base in type(field).__mro__}
    like = field if libraries & {"torch", "jax", "jaxlib", "dask", "sparse"} else None
    planned = dtype if is_planned or like is not None else np.float64
    return gpugrad.plan(f.shape, dtype=planned, like=like)(field)


def _at_points(name: str, func: Any) -> Function:
    return Function(lambda make, f: getattr(gpugrad, name)(func)(make(f), make(f + 1)))


def _product(x: Any, y: Any) -> Any:
    return x * x * y


def _vector(x: Any, y: Any) -> Any:
    return x * y, x * x * y


def _at_coordinates(make: Make, f: Any) -> Any:
    return gpugrad.gradient(np.arange(len(f)) ** 2.0, make(np.cumsum(1 + f % 2)))


FAMILIES = {
    "derivatives": {
        **{name: _on_field(name) for name in ("gradient", "gradient_norm", "laplacian", "hessian")},
        **{name: _on_vector(name) for name in ("divergence", "vector_laplacian", "jacobian")},
        "derivative": _on_field("derivative"),
        "derivative(order=2)": _on_field("derivative", order=2, accuracy=4),
        "gradient(stack=True)": _on_field("gradient", stack=True),
        "hessian(stack=True)": _on_field("hessian", stack=True),
        "curl": _on_vector("curl", 2),
        "error_estimate": _on_field("error_estimate", axis=0),
    },
    "plan": {"plan": Function(_through_plan)},
    "Sphere": {
        name: _on_sphere(name)
        for name in ("gradient", "gradient_norm", "divergence", "curl", "laplacian")
    },
    "CurvilinearGrid": {
        name: _on_grid(name)
        for name in ("gradient", "gradient_norm", "divergence", "curl", "jacobian", "laplacian")
    },
    "smooth_derivative": {
        "lam": _on_field("smooth_derivative", axis=0),
        "window_length": _on_field("smooth_derivative", axis=0, window_length=5, polyorder=2),
    },
    "points": {
        "turning_points": _on_field("turning_points", axis=0),
        "inflection_points": _on_field("inflection_points", axis=0),
        "critical_points": Function(lambda make, f: gpugrad.critical_points(make(f)), 2),
    },
    "noise": {
        "noise_level": _on_field("noise_level", axis=0),
        "recommended_spacing": Function(
            lambda make, f: gpugrad.recommended_spacing(make(f), noise=0.1, magnitude=2.0), 1
        ),
    },
    "functions": {
        "derivative_of": Function(
            lambda make, f: gpugrad.derivative_of(lambda x: x * x)(make(f))
        ),
        **{
            f"{name}_of": _at_points(f"{name}_of", func)
            for name, func in (
                ("gradient", _product), ("hessian", _product), ("laplacian", _product),
                ("jacobian", _vector), ("divergence", _vector), ("curl", _vector),
            )
        },
        "tabulate": Function(
            lambda make, f: gpugrad.tabulate(lambda x: x * x, make(f)).field, 1
        ),
        "symbolic": Function(lambda make, f: gpugrad.symbolic.gradient("x**2", "x")(make(f))),
    },
    "asnumpy": {"asnumpy": Function(lambda make, f: gpugrad.asnumpy(make(f)))},
    "explain": {"explain": Function(lambda make, f: gpugrad.explain(make(f)))},
    "coordinates": {"coordinates": Function(_at_coordinates, 1)},
}  # fmt: skip
"""Functions by the columns of the table."""

COLUMNS = """
- **derivatives**: `gradient`, `derivative`, `gradient_norm`, `divergence`, `curl`, `laplacian`,
  `vector_laplacian`, `jacobian`, `hessian`, `error_estimate`.
- **plan**: what the plan returns that `plan` makes for the shape and the dtype of the field. For
  arrays of PyTorch, JAX, Dask and sparse it is made `like=` the field, else for NumPy's arrays.
- **Sphere**, **CurvilinearGrid**: their methods.
- **points**: the values and positions that `turning_points`, `inflection_points` and
  `critical_points` return.
- **noise**: `noise_level`, of one curve or of several, and `recommended_spacing`.
- **functions**: the points at which derivatives of functions are taken (`derivative_of`,
  `gradient_of`, `hessian_of`, `laplacian_of`, `jacobian_of`, `divergence_of`, `curl_of`), the
  coordinates for `tabulate`, and formulas of `symbolic`.
- **coordinates**: the container holds the coordinates, in a `gradient` of a plain array of NumPy.
  Arrays of other libraries are refused here, but not beside a field of the same library."""


class Outcome(NamedTuple):
    """What came of a call: the word for it, the message of a refusal, and what is wrong with it."""

    word: str
    message: str = ""
    fault: str = ""


def try_call(container: Container, function: Function, family: str) -> Outcome | None:
    """Call a function on a container, and judge what came of it; None where it has no call."""
    axes = function.axes or (1 if container.is_flat else 2)
    if container.is_flat and axes > 1:
        return None
    f = CURVE if axes == 1 else FIELD
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = container.make(f)
        try:
            result = function.call(container.make, f)
        except Exception as error:  # noqa: BLE001 - errors of all kinds are what is looked for
            return Outcome("no", str(error), _find_fault(error))
        if family == "explain":
            return Outcome("yes")
        kind = kind_of(result)
        word = "kept" if kind == kind_of_container(made) else kind
        if family == "asnumpy" or not container.has_numbers:
            return Outcome(word)
        return Outcome(word, "", _compare(function, f, made, result, family))


def _find_fault(error: Exception) -> str:
    """Say what is wrong with an error, as users see it; nothing if it is as it should be."""
    message, site = str(error), error.__traceback__
    while site is not None and site.tb_next is not None:
        site = site.tb_next
    assert site is not None
    place = site.tb_frame.f_code.co_filename
    line = linecache.getline(place, site.tb_lineno).strip()
    if not place.startswith(ROOT) or not line.startswith("raise"):
        return f"raw {type(error).__name__} of {place}:{site.tb_lineno}: {message}"
    if not isinstance(error, (TypeError, ValueError, gpugrad.BackendError)):
        return f"{type(error).__name__} is no error of arguments: {message}"
    if not re.search(r"\b(must|takes?|needs?|has|have)\b", message):
        return f"does not say what must hold: {message}"
    if "got" not in message:
        return f"does not say what was given: {message}"
    if not re.search(r"[.;] [A-Z`][^.]*.*\.$", message, re.DOTALL):
        return f"does not say what to do: {message}"
    return ""


@cache
def _expect(function: Function, axes: int) -> Any:
    """Return the numbers that a plain array gives."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bring_home(function.call(lambda f: f, CURVE if axes == 1 else FIELD))


def _compare(function: Function, f: Any, made: Any, result: Any, family: str) -> str:
    """Say in what the numbers of a result differ from those of a plain array."""
    got, wanted = bring_home(result), _expect(function, f.ndim)
    has_holes = not np.isfinite(bring_home(made)).all()
    if has_holes:  # beside them there are other formulas, and fewer points
        is_lost = family not in ("points", "noise") and np.isfinite(got).all()
        return "what is missing has numbers" if is_lost else ""
    if got.shape != wanted.shape:
        return f"shape {got.shape}, not {wanted.shape}"
    known = np.isfinite(wanted)
    if (np.isfinite(got) != known).any():
        return "NaN or infinity"
    is_time = getattr(made, "dtype", None) is not None and getattr(made.dtype, "kind", "") in "mM"
    error = np.abs(got - wanted)[known].max(initial=0.0)
    most = 1.0 if is_time else 0.01 * np.abs(wanted[known]).max(initial=0.0)
    return f"numbers differ by {error:.2g}" if error > most else ""


def evaluate(name: str) -> Iterator[tuple[str, str, Outcome]]:
    """Yield the outcome of every function on a container, with the function's family."""
    for family, functions in FAMILIES.items():
        for title, function in functions.items():
            outcome = try_call(CONTAINERS[name], function, family)
            if outcome is not None:
                yield family, title, outcome


class Row(NamedTuple):
    """What functions make of a container: a cell for each family, and messages by number."""

    cells: list[str]
    messages: list[str]
    faults: list[str]


@cache
def make_row(name: str) -> Row:
    """Return the row of a container. Its messages are numbered from 1."""
    messages: list[str] = []
    faults: list[str] = []
    outcomes: dict[str, dict[str, str]] = {family: {} for family in FAMILIES}
    for family, title, outcome in evaluate(name):
        word = outcome.word
        if word == "no":
            keys = [*map(_blank_names, messages)]
            key = _blank_names(outcome.message)
            if key not in keys:
                keys.append(key)
                messages.append(outcome.message)
            word = f"no {keys.index(key) + 1}"
        outcomes[family][title] = word
        if outcome.fault:
            faults.append(f"{name}, {family} {title}: {outcome.word}, {outcome.fault}")
    return Row([*map(_write_cell, outcomes.values())], messages, faults)


def _blank_names(message: str) -> str:
    """Return a message without what differs from operator to operator."""
    return re.sub(r"gpugrad\.\w+|for an? [A-Za-z ]+;|derivative of order \d", "", message)


def _write_cell(words: dict[str, str]) -> str:
    """Return what functions make of a container: what most do, and which do otherwise."""
    if not words:
        return "-"
    ((usual, _),) = Counter(words.values()).most_common(1)
    others: dict[str, list[str]] = {}
    for title, word in words.items():
        if word != usual:
            others.setdefault(word, []).append(title)
    exceptions = (
        f"{', '.join(f'`{name}`' for name in names)}: {word}" for word, names in others.items()
    )
    return "; ".join([usual, *exceptions])


def write_row(name: str) -> str:
    """Return the line of a container in the table.

    Raises
    ------
    SystemExit
        If there is a raw error, an error without a cure, or a result with other numbers.
    """
    row = make_row(name)
    if row.faults:
        raise SystemExit("\n".join(row.faults))
    return f"| {name} | {' | '.join(row.cells)} |"


def write_reasons(name: str) -> str:
    """Return why functions refuse a container; nothing if none does."""
    messages = make_row(name).messages
    lines = [f"{i}. {_tidy(message)}" for i, message in enumerate(messages, start=1)]
    return "\n".join([f"### {name}", "", *lines, ""]) if lines else ""


def _tidy(message: str) -> str:
    return " ".join(message.split())


def page() -> str:
    """Return the page."""
    return "\n".join([
        INTRODUCTION, "",
        f"| container | {' | '.join(FAMILIES)} |",
        "|---|" + "---|" * len(FAMILIES),
        *map(write_row, CONTAINERS),
        COLUMNS, RULES, "",
        "## Error messages", "",
        "These are the texts of the errors by the containers of the table.", "",
        *filter(None, map(write_reasons, CONTAINERS)),
    ])  # fmt: skip


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
