"""Calls that differentiate functions, and that sample them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

import gpugrad
from recording.calls import Call, Later, given, options, product
from recording.fields import LIBRARIES, in_library, seeded

LOADS = ("jax", "torch", "array_api_strict", "dask.array", "tqdm")
"""The libraries that the calls need, loaded before the first of them."""

METHODS = ("auto", "complex", "extrapolation", "central")


def potential(x: Any, y: Any, z: Any) -> Any:
    """Return a polynomial."""
    return 2 * x**2 + 3 * y**2 - 4 * z + x * y * z


def wave(x: Any, y: Any) -> Any:
    """Return what NumPy's analytic functions are made of."""
    return np.sin(x * y) * np.exp(-x * x) + np.log(2 + y * y) / (1 + x * x)


def kink(x: Any) -> Any:
    """Return what has no complex derivative."""
    return abs(x) * x + np.maximum(x, 0.5)


def half_open(x: Any) -> Any:
    """Return what has no values below zero."""
    return np.where(x < 0, np.nan, np.sqrt(np.abs(x)) ** 3)


def of_numbers(x: float) -> float:
    """Return what works on single numbers only."""
    return math.sin(x) if x > 0 else math.cos(x)


def of_two_numbers(x: float, y: float) -> float:
    """Return what works on single numbers only."""
    return math.atan2(y, x) * math.hypot(x, y)


def of_vector(p: Any) -> Any:
    """Return a length."""
    return np.sqrt(np.sum(p**2, axis=0))


def to_vectors(x: Any, y: Any) -> Any:
    """Return two results."""
    return x * np.cos(y), x * np.sin(y)


def to_array(p: Any) -> Any:
    """Return three results of one vector."""
    return np.stack([p[0] * p[1], p[1] ** 2, np.sin(p[0])])


def constant(x: Any) -> Any:
    """Return the same everywhere."""
    return 3.0


def broken(x: Any) -> Any:
    """Raise an error."""
    raise ZeroDivisionError("no value here")


def of_wrong_shape(x: Any) -> Any:
    """Return more than was asked for."""
    return np.concatenate([np.ravel(x), np.ravel(x)])


def of_operators(x: Any, y: Any) -> Any:
    """Return what arrays of every library compute by operators alone."""
    return x**3 * y - y * y / (1 + x * x)


def rosenbrock(p: Any) -> Any:
    """Return a function of one vector that operators alone compute."""
    return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2


def _write(x: Any) -> Any:
    y = np.empty_like(x)
    np.sin(x, out=y)
    return y


def _branch(x: Any) -> Any:
    if np.all(x > 0):
        return x * x
    return x


OPERATIONS = {
    "shape": lambda x: x * x + 0 * np.prod(x.shape),
    "T": lambda x: np.exp(x.T).T,
    "sum": lambda x: x * x + 0 * x.sum(),
    "copy": lambda x: np.sin(x.copy()),
    "reshape": lambda x: np.sin(x.reshape(-1)).reshape(x.shape),
    "len": lambda x: x * len(x) if x.ndim else x,
    "index": lambda x: x[...] * 2,
    "out": _write,
    "branch": _branch,
    "float": lambda x: float(x) ** 2,
    "asarray": lambda x: np.asarray(x) ** 2,
    "real": lambda x: x.real * 2,
    "conj": lambda x: np.conj(x) * x,
    "angle": lambda x: np.angle(x) + x,
    "norm": lambda x: np.linalg.norm(x) + x,
    "dot": lambda x: np.dot(x, x) if x.ndim == 1 else x * x,
    "concatenate": lambda x: np.concatenate([x[:1] ** 2, x[1:]]) if x.ndim else x,
    "where": lambda x: np.where(x > 1, x**2, x),
    "clip": lambda x: np.clip(x, 0.5, 1.0) * x,
    "power": lambda x: 2.0**x + x**x + np.power(x, 1.5),
    "reflected": lambda x: 1 / x - 2 - (3 - x) + 2 * x + 5.0 // 2,
    "floor": lambda x: x // 0.3,
    "modulo": lambda x: x % 0.3,
    "complex": lambda x: (1j * x * -1j).real if isinstance(x, float) else 1j * x * -1j,
    "cumsum": lambda x: np.cumsum(x) if np.ndim(x) else x,
    "text": lambda x: "text",
    "None": lambda x: None,
    "booleans": lambda x: x > 1,
    "integers": lambda x: np.asarray(np.round(x), int) if isinstance(x, np.ndarray) else 1,
    "complex result": lambda x: x + 1j,
    "math": math.sin,
    "a list": lambda x: [x, x],
    "attribute": lambda x: x.unknown,
}
"""Functions of one variable by what they do to it, not all of which can be differentiated."""


def differentiate(
    kind: str, function: Any, points: tuple[Any, ...], **keywords: Any
) -> dict[str, Any]:
    """Make a derivative and call it twice; return results, and which method it took."""
    made = getattr(gpugrad, kind)(function, **keywords)
    before = repr(made)
    result = made(*points)
    return {"before": before, "result": result, "method": made.method, "again": made(*points)}


def _points(count: int, form: str, dtype: str = "f8", library: str = "numpy") -> Any:
    def make() -> Any:
        random = seeded("points", count)
        if form == "numbers":
            return tuple(float(x) for x in random.uniform(0.2, 1.5, count))
        if form == "integers":
            return tuple(range(1, count + 1))
        if form == "NumPy's numbers":
            return tuple(np.dtype(dtype).type(x) for x in random.uniform(0.2, 1.5, count))
        if form == "wide":
            shapes: list[tuple[int, ...]] = [(150, 1), (1, 170)]
        elif form == "broadcast":
            shapes = [tuple(3 + i if i == j else 1 for j in range(count)) for i in range(count)]
        else:
            shapes = [
                {"line": (11,), "grid": (4, 5), "none": (0,), "one": (1,), "many": (20_000,)}[form]
            ] * count
        values = [random.uniform(0.2, 1.5, shape).astype(dtype) for shape in shapes]
        return tuple(in_library(value, library) for value in values)

    return Later(f"<{count} {form} {dtype} {library}>", make)


def _array_of_points(count: int, axis: int, dtype: str = "f8", library: str = "numpy") -> Any:
    def make() -> Any:
        values = seeded("array of points", count).uniform(0.2, 1.5, (count, 7)).astype(dtype)
        return (in_library(values if axis == 0 else values.T.copy(), library),)

    return Later(f"<array of points {count} axis {axis} {dtype} {library}>", make)


FUNCTIONS: dict[str, tuple[Any, int]] = {
    "potential": (potential, 3),
    "wave": (wave, 2),
    "kink": (kink, 1),
    "half_open": (half_open, 1),
    "of_numbers": (of_numbers, 1),
    "of_two_numbers": (of_two_numbers, 2),
    "constant": (constant, 1),
    "sin": (np.sin, 1),
    "tan": (np.tan, 1),
}


def _of_points() -> Iterator[Call]:
    more: dict[str, Any] = {
        "": {}, "return_error": {"return_error": True}, "stack": {"stack": True},
        "central 4": {"method": "central", "accuracy": 4},
        "step": {"method": "central", "step": 0.01},
        "accuracy without central": {"accuracy": 4},
    }  # fmt: skip
    for name, (function, count) in FUNCTIONS.items():
        forms = {form: (_points(count, form),) for form in ("numbers", "line", "grid", "broadcast")}
        for kind in ("gradient_of", "hessian_of", "derivative_of"):
            if kind == "derivative_of" and count > 1:
                continue
            rows = {k: v for k, v in more.items() if kind != "derivative_of" or k != "stack"}
            yield from product(
                f"{kind}", differentiate, {name: (kind, function)}, forms, options(method=METHODS),
                rows, one_in=9,
            )  # fmt: skip
    dtypes = ("f4", "f2", "i4", "g", "c16", ">f8")
    column = {
        f"wave {dtype}": (("gradient_of", wave, _points(2, "line", dtype))) for dtype in dtypes
    }
    column |= {
        f"wave {form}": ("gradient_of", wave, _points(2, form))
        for form in ("integers", "NumPy's numbers", "none", "one")
    }
    yield from product("gradient_of", differentiate, column, options(method=METHODS))
    orders = options(order=(1, 2, 3, 4, 8))
    derivatives = {
        "sin": ("derivative_of", np.sin, _points(1, "line")),
        "of_numbers": ("derivative_of", of_numbers, _points(1, "numbers")),
        "kink": ("derivative_of", kink, _points(1, "line")),
    }
    yield from product(
        "derivative_of", differentiate, derivatives, orders, options(method=METHODS),
        options(return_error=(False, True)), one_in=3,
    )  # fmt: skip
    jacobians: dict[str, Any] = {
        "to_vectors": ("jacobian_of", to_vectors, _points(2, "line")),
        "to_vectors numbers": ("jacobian_of", to_vectors, _points(2, "numbers")),
        "to_array": given(
            "jacobian_of", to_array, _array_of_points(2, 0), vector=True, points_axis=0
        ),
        "to_array grid": given("jacobian_of", to_array, _array_of_points(2, -1), vector=True,
                               points_axis=-1),
        "one result": ("jacobian_of", wave, _points(2, "line")),
    }  # fmt: skip
    vectors: dict[str, Any] = {
        f"{kind} {name} axis={axis}": given(
            kind, function, _array_of_points(2, axis), vector=True, points_axis=axis
        )
        for kind in ("gradient_of", "hessian_of")
        for name, function in (("of_vector", of_vector), ("rosenbrock", rosenbrock))
        for axis in (0, -1)
    }
    vectors["gradient_of wave points_axis"] = given(
        "gradient_of", wave, _array_of_points(2, -1), points_axis=-1
    )
    vectors["gradient_of of_vector"] = given(
        "gradient_of", of_vector, _array_of_points(2, 0), vector=True
    )
    yield from product(
        "vectors", differentiate, jacobians | vectors, options(method=METHODS),
        {"": {}, "stack": {"stack": True}, "return_error": {"return_error": True}}, one_in=2,
    )  # fmt: skip
    ends = Later("<at the end>", lambda: (np.array([0.0, 1e-9, 1e-3, 0.5, -1.0]),))
    yield from product(
        "at ends", differentiate,
        {"half_open": ("derivative_of", half_open, ends), "sqrt": ("derivative_of", np.sqrt, ends),
         "log": ("derivative_of", np.log, ends)},
        options(method=METHODS), options(return_error=(False, True)),
    )  # fmt: skip
    for library, is_there in LIBRARIES.items():
        if not is_there or library == "dask":
            continue
        column = {
            f"{kind} {dtype} {library}": (kind, of_operators, _points(2, "line", dtype, library))
            for kind in ("gradient_of", "hessian_of") for dtype in ("f8", "f4")
            if library != "jax" or dtype == "f8"
        }  # fmt: skip
        column[f"rosenbrock {library}"] = given(
            "gradient_of", rosenbrock, _array_of_points(2, 0, "f8", library), vector=True,
            points_axis=0,
        )  # fmt: skip
        methods = (*METHODS, "autodiff") if library != "jax" else ("auto", "complex", "autodiff")
        yield from product("functions of libraries", differentiate, column, options(method=methods))


def _of_operations() -> Iterator[Call]:
    column = {label: ("derivative_of", function) for label, function in OPERATIONS.items()}
    points = {form: (_points(1, form),) for form in ("line", "numbers")}
    yield from product("operations", differentiate, column, points, options(method=METHODS))
    many: dict[str, Any] = {
        "wave": ("gradient_of", wave, _points(2, "many")),
        "wave f4": ("gradient_of", wave, _points(2, "many", "f4")),
        "potential": ("gradient_of", potential, _points(3, "many")),
        "hessian": ("hessian_of", of_operators, _points(2, "many")),
        "kink": ("derivative_of", kink, _points(1, "many")),
        "grid": ("gradient_of", wave, _points(2, "wide")),
    }
    yield from product(
        "many points", differentiate, many, options(method=METHODS),
        {"": {}, "return_error": {"return_error": True}}, one_in=2,
    )  # fmt: skip


def _wrong() -> Iterator[Call]:
    x = _points(1, "line")
    wrong: dict[str, Any] = {
        "no function": given("gradient_of", 3.0, x),
        "an array": given("gradient_of", np.zeros(3), x),
        "raises": given("gradient_of", broken, x),
        "raises at a number": given("derivative_of", broken, (1.0,)),
        "another shape": given("gradient_of", of_wrong_shape, x),
        "two coordinates": given("derivative_of", wave, _points(2, "line")),
        "too few": given("gradient_of", wave, x),
        "too many": given("gradient_of", kink, _points(2, "line")),
        "no points": given("gradient_of", wave, ()),
        "text": given("derivative_of", np.sin, ("1",)),
        "None": given("derivative_of", np.sin, (None,)),
        "order=0": given("derivative_of", np.sin, x, order=0),
        "order=9": given("derivative_of", np.sin, x, order=9),
        "order=1.5": given("derivative_of", np.sin, x, order=1.5),
        "accuracy=3": given("derivative_of", np.sin, x, method="central", accuracy=3),
        "step=0": given("derivative_of", np.sin, x, method="central", step=0),
        "step=text": given("derivative_of", np.sin, x, method="central", step="h"),
        "step=nan": given("derivative_of", np.sin, x, method="central", step=math.nan),
        "step without central": given("derivative_of", np.sin, x, step=0.1),
        "two steps": given(
            "gradient_of", wave, _points(2, "line"), method="central", step=(0.1, 0.2)
        ),
        "three steps": given(
            "gradient_of", wave, _points(2, "line"), method="central", step=(0.1, 0.2, 0.3)
        ),
        "points_axis=5": given("gradient_of", wave, _array_of_points(2, 0), points_axis=5),
        "points_axis=text": given("gradient_of", wave, _array_of_points(2, 0), points_axis="x"),
        "complex of kink": given("gradient_of", kink, x, method="complex"),
        "complex of numbers": given("gradient_of", of_numbers, x, method="complex"),
        "autodiff of NumPy": given("gradient_of", wave, _points(2, "line"), method="autodiff"),
        "vector of two": given("gradient_of", of_vector, _points(2, "line"), vector=True),
    }
    yield from product("functions refused", differentiate, wrong)


def _of_samples() -> Iterator[Call]:
    slices = slice(-1, 1, 9j)
    rows: dict[str, Any] = {
        "slices": given(wave, slices, slice(0, 2, 0.25)),
        "coordinates": given(wave, np.linspace(0, 1, 7), np.array([0.0, 1.0, 3.0])),
        "lists": given(wave, [0.0, 1.0, 2.0], [1, 2]),
        "f4": given(wave, np.linspace(0, 1, 7, dtype="f4"), np.linspace(0, 1, 5, dtype="f4")),
        "dtype": given(wave, slices, slices, dtype="float32"),
        "one": given(kink, slice(-2, 2, 33j)),
        "of numbers": given(of_numbers, slice(-2, 2, 33j)),
        "constant": given(constant, slice(0, 1, 5j)),
        "three": given(potential, slices, slice(0, 1, 4j), slice(0, 3, 1)),
        "vector": given(of_vector, slices, slices, vector=True),
        "in blocks": given(wave, slice(0, 1, 301j), slice(0, 1, 301j), memory=1 << 16),
        "progress": given(wave, slices, slices, progress=False),
        "to vectors": given(to_vectors, slices, slices),
        "broken": given(broken, slices),
        "wrong shape": given(of_wrong_shape, slices),
        "no step": given(kink, slice(0, 1)),
        "step=0": given(kink, slice(0, 1, 0)),
        "nothing": given(kink),
        "a number": given(kink, 3.0),
        "2-D": given(kink, np.zeros((2, 2))),
        "dates": given(kink, np.array(["2024-01-01"], "M8[D]")),
        "no function": given(1.0, slices),
        "memory=0": given(kink, slices, memory=0),
        "downwards": given(kink, slice(1, 0, -0.125)),
        "like NumPy": given(kink, slices, like=np.zeros(1)),
        "like a name": given(kink, slices, like="numpy"),
        "like a namespace": given(kink, slices, like=np),
        "like a number": given(kink, slices, like=3),
        "dtype of integers": given(kink, slices, dtype="int32"),
        "no points": given(kink, slice(0, 1, 0j)),
        "one point": given(kink, slice(0, 1, 1j)),
        "f4 and f8": given(wave, np.linspace(0, 1, 7, dtype="f4"), np.linspace(0, 1, 5)),
        "of text": given(OPERATIONS["text"], slices),
        "of integers": given(OPERATIONS["integers"], slices),
        "of complex": given(OPERATIONS["complex result"], slices),
        "of a list": given(OPERATIONS["a list"], slices),
        "memory of text": given(kink, slices, memory="1GB"),
    }
    for library, is_there in LIBRARIES.items():
        if is_there:
            rows[f"like {library}"] = given(
                of_operators, slices, slice(0, 1, 5j), like=Later(
                    f"<{library} array>", lambda name=library: in_library(np.zeros(2), name)),
            )  # fmt: skip
    yield from product("tabulate", "tabulate", rows)


def calls() -> Iterator[Call]:
    """Return the calls of this table."""
    yield from _of_points()
    yield from _of_operations()
    yield from _wrong()
    yield from _of_samples()
