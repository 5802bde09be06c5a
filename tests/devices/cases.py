"""What every library is asked: one list of calls, each a function of how arrays are made.

A case gets `a`, which makes an array of a library from one of NumPy, and returns what gpugrad gives
for it: arrays, or tuples of them. NumPy's own arrays are asked first; their answers are what is to
be expected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

import gpugrad

_RNG = np.random.default_rng(20261128)
F = _RNG.normal(size=(8, 7))
X, Y = np.cumsum(_RNG.uniform(0.5, 1.5, 8)), np.cumsum(_RNG.uniform(0.5, 1.5, 7))
ALL_X = X[:, None] + 0.01 * F  # increasing, and other in each line
MASK = _RNG.random((8, 7)) > 0.15
HOLES = np.where(MASK, F, np.nan)
BOX = _RNG.normal(size=(5, 8, 7))
VECTOR, FLOW = _RNG.normal(size=(2, 8, 7)), _RNG.normal(size=(3, 5, 8, 7))


class Case(NamedTuple):
    """A call: its name, and what makes it."""

    name: str
    call: Callable[[Callable[[np.ndarray], Any]], Any]


def _in_dtype(dtype: str) -> Callable[[Any], Any]:
    whole = np.round(F * 20)
    if dtype.startswith("u"):
        values = np.abs(whole).astype(dtype)
    elif dtype.startswith("c"):
        values = (F + 1j * F[::-1]).astype(dtype)
    else:
        values = (whole if dtype.startswith("i") else F).astype(dtype)
    return lambda a: gpugrad.gradient(a(values), 0.3)


def _into(a: Any) -> Any:
    f = a(F)
    out = (a(np.zeros_like(F)), a(np.zeros_like(F)))
    gpugrad.gradient(f, 0.3, out=out)
    return out


def _through_its_namespace(a: Any) -> Any:
    """Do a workflow on the functions of the array's own library."""
    f = a(F)
    xp = array_namespace(f)
    df_dx, df_dy = gpugrad.gradient(f * 2.0, 0.5)
    return xp.sqrt(df_dx * df_dx + df_dy * df_dy)


def _spacings() -> Iterator[Case]:
    yield Case("no spacing", lambda a: gpugrad.gradient(a(F)))
    yield Case("a number", lambda a: gpugrad.gradient(a(F), 0.3))
    yield Case("a number for each axis", lambda a: gpugrad.gradient(a(F), 0.3, -2))
    yield Case("a number of NumPy", lambda a: gpugrad.gradient(a(F), np.float64(0.3)))
    yield Case("an array of one number", lambda a: gpugrad.gradient(a(F), a(np.asarray(0.3))))
    yield Case("coordinates", lambda a: gpugrad.gradient(a(F), X, Y))
    yield Case("coordinates as lists", lambda a: gpugrad.gradient(a(F), [*X], [*Y]))
    yield Case("even coordinates", lambda a: gpugrad.gradient(a(F), X, np.arange(7) * 0.25))
    yield Case("coordinates of its own", lambda a: gpugrad.gradient(a(F), a(X), a(Y)))
    yield Case("coordinates of each line", lambda a: gpugrad.gradient(a(F), ALL_X, 0.3))
    yield Case("one axis", lambda a: gpugrad.gradient(a(F), X, axis=0))
    yield Case("axes from the end", lambda a: gpugrad.gradient(a(F), 0.3, Y, axis=(-2, -1)))


def _formulas() -> Iterator[Case]:
    yield Case("edge_order=2", lambda a: gpugrad.gradient(a(F), 0.3, edge_order=2))
    yield Case("edge_order=2, uneven", lambda a: gpugrad.gradient(a(F), X, Y, edge_order=2))
    yield Case("accuracy=4", lambda a: gpugrad.gradient(a(F), 0.3, accuracy=4))
    yield Case("accuracy=4, uneven", lambda a: gpugrad.gradient(a(F), X, Y, accuracy=4))
    yield Case(
        "edge_accuracy=3", lambda a: gpugrad.gradient(a(F), 0.3, accuracy=4, edge_accuracy=3)
    )
    for order in (2, 3):
        yield Case(
            f"derivative of order {order}",
            lambda a, order=order: gpugrad.derivative(a(F), 0.3, axis=0, order=order),
        )
    yield Case("a second derivative, uneven", lambda a: gpugrad.derivative(a(F), Y, order=2))
    yield Case("stagger", lambda a: gpugrad.derivative(a(F), 0.3, axis=0, stagger="right"))


def _boundaries() -> Iterator[Case]:
    kinds: tuple[Any, ...] = ("periodic", "reflect", "odd-reflect", "symmetric", "odd-symmetric",
                              "edge", 0.5, {"normal": 0.1}, ("edge", 0.0))  # fmt: skip
    for kind in kinds:
        yield Case(
            f"boundary={kind!r}", lambda a, kind=kind: gpugrad.gradient(a(F), 0.3, boundary=kind)
        )
    yield Case(
        "periodic, uneven",
        lambda a: gpugrad.gradient(a(F), X, axis=0, boundary="periodic", period=12.0),
    )
    yield Case(
        "a periodic Laplacian of accuracy 4",
        lambda a: gpugrad.laplacian(a(F), 0.3, boundary="periodic", accuracy=4),
    )


def _masks() -> Iterator[Case]:
    yield Case("where=", lambda a: gpugrad.gradient(a(F), 0.3, where=a(MASK)))
    yield Case("skipna", lambda a: gpugrad.gradient(a(HOLES), 0.3, skipna=True))
    yield Case("skipna, uneven", lambda a: gpugrad.gradient(a(HOLES), X, Y, skipna=True))
    yield Case("a Laplacian with holes", lambda a: gpugrad.laplacian(a(HOLES), 0.3, skipna=True))


def _operators() -> Iterator[Case]:
    yield Case("gradient_norm", lambda a: gpugrad.gradient_norm(a(F), 0.3))
    yield Case("gradient_norm, complex", lambda a: gpugrad.gradient_norm(a(F * (1 - 2j)), 0.3))
    yield Case("laplacian", lambda a: gpugrad.laplacian(a(F), 0.3))
    yield Case("laplacian, uneven", lambda a: gpugrad.laplacian(a(F), X, Y))
    yield Case("hessian", lambda a: gpugrad.hessian(a(F), 0.3))
    yield Case("divergence", lambda a: gpugrad.divergence(a(VECTOR), 0.3))
    yield Case("divergence in space", lambda a: gpugrad.divergence(a(FLOW), 0.3))
    yield Case("curl in a plane", lambda a: gpugrad.curl(a(VECTOR), X, Y))
    yield Case("curl in space", lambda a: gpugrad.curl(a(FLOW), 0.3))
    yield Case("jacobian", lambda a: gpugrad.jacobian(a(VECTOR), 0.3))
    yield Case("vector_laplacian", lambda a: gpugrad.vector_laplacian(a(VECTOR), 0.3))
    yield Case("a plan", lambda a: gpugrad.plan((8, 7), X, Y, like=a(np.zeros((8, 7))))(a(F)))
    yield Case(
        "on a sphere",
        lambda a: gpugrad.Sphere(np.linspace(-60, 60, 8), np.arange(7.0), radius=1.0).gradient(
            a(F)
        ),
    )
    yield Case(
        "on a curved grid",
        lambda a: gpugrad.CurvilinearGrid(ALL_X, Y + 0.1 * X[:, None]).gradient(a(F)),
    )
    yield Case("error_estimate", lambda a: gpugrad.error_estimate(a(F), 0.3))


def _differentiate(func: Callable[[Any], Any], a: Any, order: int) -> Any:
    return gpugrad.derivative_of(func, order=order, method="extrapolation")(a(X))


def _functions() -> Iterator[Case]:
    yield Case("derivative_of", lambda a: _differentiate(lambda x: x * x + x, a, 1))
    yield Case("derivative_of, order 2", lambda a: _differentiate(lambda x: x * x * x, a, 2))
    yield Case("tabulate", lambda a: gpugrad.tabulate(lambda x, y: x * y, a(X), a(Y)).field)
    yield Case("turning_points", lambda a: gpugrad.turning_points(a(F), X, axis=0).position)
    yield Case("noise_level", lambda a: gpugrad.noise_level(a(F)))


def _results() -> Iterator[Case]:
    yield Case("stack=True", lambda a: gpugrad.gradient(a(F), 0.3, stack=True))
    yield Case("out=", _into)
    yield Case("its own functions before and after", _through_its_namespace)
    yield Case("home and back", lambda a: a(gpugrad.asnumpy(a(F))))
    yield Case("backend='slices'", lambda a: gpugrad.gradient(a(F), X, Y, backend="slices"))


def _fields() -> Iterator[Case]:
    for dtype in ("float32", "float16", "int8", "int32", "int64", "uint8", "uint32", "uint64",
                  "complex64", "complex128"):  # fmt: skip
        yield Case(dtype, _in_dtype(dtype))
    f4 = F.astype("f4")
    yield Case("float32 along float64", lambda a: gpugrad.gradient(a(f4), X, Y))
    yield Case("float32, a number of NumPy", lambda a: gpugrad.gradient(a(f4), np.float64(0.3)))
    yield Case("float32, laplacian", lambda a: gpugrad.laplacian(a(f4), 0.3))
    yield Case("one axis of samples", lambda a: gpugrad.gradient(a(Y**2), Y))
    yield Case("three axes", lambda a: gpugrad.gradient(a(BOX), 0.3, 0.4, Y))
    yield Case("two samples", lambda a: gpugrad.gradient(a(F[:2, :2].copy()), 0.3))
    yield Case("an empty axis", lambda a: gpugrad.gradient(a(np.zeros((8, 0))), 0.3, axis=0))
    yield Case("special values", lambda a: gpugrad.gradient(a(_special_values()), 0.3))


def _special_values() -> np.ndarray:
    f = F.copy()
    f.flat[:8] = [np.inf, -np.inf, np.nan, 0.0, -0.0, 5e-324, 1e308, -1e308]
    return f


GROUPS = {
    "spacings": [*_spacings()],
    "formulas": [*_formulas()],
    "boundaries": [*_boundaries()],
    "masks": [*_masks()],
    "operators": [*_operators()],
    "functions": [*_functions()],
    "results": [*_results()],
    "fields": [*_fields()],
}
CASES = {case.name: case for group in GROUPS.values() for case in group}
