"""Derivatives of functions: against SymPy, in all libraries, by all methods; and the errors."""

from __future__ import annotations

import math
import sys
import warnings

import bounds_table
import numpy as np
import pytest

import gpugrad
from conftest import assert_same_bits
from gpugrad import GpugradWarning
from internals import Tracked

pytest.importorskip("sympy")
from function_table import TABLE

METHODS = ("extrapolation", "complex", "central")


@pytest.fixture(autouse=True)
def skip_without_scipy(request):
    parameters = getattr(request.node, "callspec", None)
    values = parameters.params.values() if parameters else ()
    if any(getattr(v, "special", False) for v in values):
        pytest.importorskip("scipy")


def exact_gradient(case, points):
    n = len(points)
    return np.stack([case.exact(points, *(int(i == j) for j in range(n))) for i in range(n)])


def wave(x, y):
    return x**3 * y - y * y / (1 + x * x)


def wave_gradient(x, y):
    return 3 * x**2 * y + 2 * x * y * y / (1 + x * x) ** 2, x**3 - 2 * y / (1 + x * x)


def test_the_table_has_forty_functions_of_one_to_four_variables():
    assert len({case.formula for case in TABLE}) >= 40
    assert {len(case.names) for case in TABLE} == {1, 2, 3, 4}


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.formula)
def test_auto_is_exact_to_ten_digits_and_knows_its_error(case, rng):
    points = case.points(rng, 50)
    grad = gpugrad.gradient_of(case.function(), stack=True, return_error=True)
    value, error = grad(*points)
    exact = exact_gradient(case, points)
    off = np.abs(value - exact)
    assert (off <= 1e-10 * np.max(np.abs(exact), axis=0)).all()
    assert (off <= error).all()
    assert grad.method == ("extrapolation" if case.special else "complex")


# Its rounding alone, 1e-8, is more than ten digits allow.
@pytest.mark.parametrize(
    "case", [c for c in TABLE if not c.formula.startswith("1e8")], ids=lambda case: case.formula
)
def test_functions_that_are_only_evaluated_are_exact_to_nine_digits(case, rng):
    points = case.points(rng, 50)
    grad = gpugrad.gradient_of(
        case.function(), method="extrapolation", stack=True, return_error=True
    )
    value, error = grad(*points)
    exact = exact_gradient(case, points)
    off = np.abs(value - exact)
    assert (off <= 1e-9 * np.max(np.abs(exact), axis=0)).all()
    assert (off <= error).all()


@pytest.mark.parametrize(
    ("method", "known"), [("auto", 1.0), ("extrapolation", 1.0), ("central", 0.9)]
)
def test_errors_are_bounded_over_the_table(method, known, rng):
    honest, finite = [], []
    for case in TABLE:
        if case.special:
            pytest.importorskip("scipy")
        points = case.points(rng, 40)
        grad = gpugrad.gradient_of(case.function(), method=method, stack=True, return_error=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", GpugradWarning)
            value, error = grad(*points)
        assert not np.isnan(error).any()
        off = np.abs(value - exact_gradient(case, points))
        honest += list((off <= error)[np.isfinite(value)])
        assert np.isinf(error[~np.isfinite(value)]).all()
        finite += list(np.isfinite(error).ravel())
    assert np.mean(honest) >= 0.99
    assert np.mean(finite) >= known


@pytest.mark.parametrize("accuracy", [2, 4, 6, 8])
def test_central_differences_converge_with_their_accuracy(accuracy):
    steps = np.array([0.4, 0.3, 0.2])
    errors = [
        abs(
            gpugrad.derivative_of(np.exp, method="central", accuracy=accuracy, step=h)(0.3)
            - np.exp(0.3)
        )
        for h in steps
    ]
    order = np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert abs(order - accuracy) < 0.2


def test_central_differences_are_those_of_the_stencil():
    formula = gpugrad.stencil(1, 4)
    expected = sum(
        float(w) * np.sin(1.0 + k * 0.1)
        for k, w in zip(formula.offsets, formula.weights, strict=True)
    )
    found = gpugrad.derivative_of(np.sin, method="central", accuracy=4, step=0.1)(1.0)
    assert found == pytest.approx(expected / 0.1, rel=1e-14)


@pytest.mark.parametrize("method", METHODS)
def test_each_method_gives_the_gradient(method, rng):
    x, y = rng.uniform(0.5, 2.0, (2, 30))
    grad = gpugrad.gradient_of(wave, method=method)
    for found, exact in zip(grad(x, y), wave_gradient(x, y), strict=True):
        np.testing.assert_allclose(found, exact, rtol=1e-7, atol=1e-9)
    assert grad.method == method


def test_the_classic_example_through_all_doors():
    def potential(x, y, z):
        return 2 * x**2 + 3 * y**2 - 4 * z

    field, coordinates = gpugrad.tabulate(potential, *[slice(-10, 10, 9j)] * 3)
    on_grid = gpugrad.gradient(field, *coordinates, edge_order=2)
    x, y, z = np.meshgrid(*coordinates, indexing="ij")
    at_points = gpugrad.gradient_of(potential)(x, y, z)
    pytest.importorskip("sympy")
    symbolic = gpugrad.symbolic.gradient("2*x**2 + 3*y**2 - 4*z")(x, y, z)
    for found, sampled, derived, exact in zip(
        at_points, on_grid, symbolic, (4 * x, 6 * y, np.full_like(z, -4.0)), strict=True
    ):
        np.testing.assert_array_equal(derived, exact)
        np.testing.assert_allclose(found, exact, rtol=1e-14, atol=1e-14)
        np.testing.assert_allclose(sampled, exact, rtol=1e-12, atol=1e-11)


@pytest.mark.exhaustive(xp="jax")
def test_results_live_where_the_points_live(xp, rng):
    if xp.name == "dask":
        pytest.skip("Dask arrays are refused: see the test of errors")
    x, y = rng.uniform(0.5, 2.0, (2, 3, 4))
    grad = gpugrad.gradient_of(wave)
    found = grad(xp.asarray(x), xp.asarray(y))
    for part, exact in zip(found, wave_gradient(x, y), strict=True):
        assert type(part) is type(xp.asarray(x))
        assert gpugrad.asnumpy(part).dtype == np.float64
        np.testing.assert_allclose(gpugrad.asnumpy(part), exact, rtol=1e-11)
    expected = {"torch": "autodiff", "jax": "autodiff", "numpy": "complex"}
    assert grad.method == expected.get(xp.name.partition("-")[0], "extrapolation")


@pytest.mark.exhaustive(xp="jax")  # which compiles each step anew
@pytest.mark.sampled
@pytest.mark.parametrize("method", ["central", "extrapolation"])
def test_differences_live_where_the_points_live(xp, rng, method):
    if xp.name == "dask":
        pytest.skip("Dask arrays are refused: see the test of errors")
    x, y = rng.uniform(0.5, 2.0, (2, 40))
    grad = gpugrad.gradient_of(wave, method=method, return_error=True)
    value, error = grad(xp.asarray(x), xp.asarray(y))
    for part, off, exact in zip(value, error, wave_gradient(x, y), strict=True):
        assert type(part) is type(off) is type(xp.asarray(x))
        true = np.abs(gpugrad.asnumpy(part) - exact)
        assert (true <= gpugrad.asnumpy(off)).all()
        assert np.max(true) < 1e-9


@pytest.mark.parametrize("method", ["central", "extrapolation"])
def test_points_that_take_part_in_automatic_differentiation(method):
    torch = pytest.importorskip("torch")
    x = torch.linspace(0.1, 2.0, 5, dtype=torch.float64, requires_grad=True)
    slope = gpugrad.derivative_of(torch.sin, method=method)(x)  # a warning would be an error
    np.testing.assert_allclose(gpugrad.asnumpy(slope), np.cos(gpugrad.asnumpy(x)), atol=1e-10)
    (second,) = torch.autograd.grad(slope.sum(), x)
    np.testing.assert_allclose(gpugrad.asnumpy(second), -np.sin(gpugrad.asnumpy(x)), atol=1e-9)


@pytest.mark.nightly(library="jax")
@pytest.mark.parametrize("kind", ["gradient", "jacobian", "hessian", "derivative"])
@pytest.mark.parametrize("library", ["numpy", "torch", "jax"])
def test_every_kind_by_auto_is_exact_in_every_library(kind, library, rng):
    asarray = np.asarray
    if library == "torch":
        asarray = pytest.importorskip("torch").from_numpy
    elif library == "jax":
        jax = pytest.importorskip("jax")
        jax.config.update("jax_enable_x64", True)
        asarray = jax.numpy.asarray
    x, y = rng.uniform(0.5, 2.0, (2, 7))
    points = asarray(x), asarray(y)
    if kind == "gradient":
        found = gpugrad.gradient_of(wave, stack=True)(*points)
        exact = np.stack(wave_gradient(x, y))
    elif kind == "jacobian":
        found = gpugrad.jacobian_of(lambda a, b: (wave(a, b), a * b, 3.0), stack=True)(*points)
        exact = np.stack([np.stack(wave_gradient(x, y)), np.stack([y, x]), np.zeros((2, 7))])
    elif kind == "hessian":
        found = gpugrad.hessian_of(lambda a, b: a**3 * b + b * b, stack=True)(*points)
        exact = np.array([[6 * x * y, 3 * x**2], [3 * x**2, 2 + 0 * x]])
    else:
        found = gpugrad.derivative_of(lambda a: a**4 + 1 / a, order=3)(points[0])
        exact = 24 * x - 6 / x**4
    np.testing.assert_allclose(gpugrad.asnumpy(found), exact, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", [*METHODS, "auto"])
def test_hessians_and_their_errors(method, rng):
    x, y, z = rng.uniform(0.3, 1.5, (3, 20))

    def f(x, y, z):
        return x * x * y + np.exp(y * z) * np.sin(x)

    hessian = gpugrad.hessian_of(f, method=method, stack=True, return_error=True)
    e, s, c = np.exp(y * z), np.sin(x), np.cos(x)
    xy, xz, yz = 2 * x + z * e * c, y * e * c, e * s * (1 + y * z)
    exact = np.array([[2 * y - e * s, xy, xz], [xy, z * z * e * s, yz], [xz, yz, y * y * e * s]])
    value, error = hessian(x, y, z)
    assert np.max(np.abs(value - exact)) < 1e-6
    assert np.mean(np.abs(value - exact) <= error) >= 0.99


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("method", ["auto", "extrapolation", "central"])
def test_derivatives_of_higher_order(method, order, rng):
    x = rng.uniform(-1.0, 1.0, 40)
    value, error = gpugrad.derivative_of(
        lambda t: np.sin(2 * t), order=order, method=method, return_error=True
    )(x)
    exact = 2.0**order * np.sin(2 * x + order * np.pi / 2)
    assert np.max(np.abs(value - exact)) < 10.0 ** (2 * order - 10)
    assert (np.abs(value - exact) <= error).all()


# What comes back


def test_what_goes_in_comes_out(rng):
    x, y = rng.uniform(0.5, 2.0, (2, 3, 5))
    expected = wave_gradient(x, y)
    one_by_one = gpugrad.gradient_of(wave)(x, y)
    assert isinstance(one_by_one, tuple)
    p = np.stack([x, y])
    first = gpugrad.gradient_of(wave, points_axis=0)(p)
    last = gpugrad.gradient_of(wave, points_axis=-1)(np.moveaxis(p, 0, -1))
    of_vector = gpugrad.gradient_of(lambda q: wave(q[0], q[1]), vector=True)(p)
    stacked = gpugrad.gradient_of(wave, stack=True)(x, y)
    for found in (one_by_one, first, np.moveaxis(last, -1, 0), of_vector, stacked):
        np.testing.assert_allclose(np.stack(found), expected, rtol=1e-13)
    assert last.shape == (3, 5, 2)


def test_jacobians_and_hessians_put_their_axes_where_the_components_were(rng):
    p = rng.uniform(0.5, 2.0, (4, 5, 2))
    field = lambda x, y: (x * y, x + y, x - y)  # noqa: E731
    assert gpugrad.jacobian_of(field, points_axis=-1)(p).shape == (4, 5, 3, 2)
    assert gpugrad.jacobian_of(field, points_axis=0)(np.moveaxis(p, -1, 0)).shape == (3, 2, 4, 5)
    assert gpugrad.hessian_of(wave, points_axis=-1)(p).shape == (4, 5, 2, 2)
    rows = gpugrad.jacobian_of(field)(p[..., 0], p[..., 1])
    assert len(rows) == 3
    np.testing.assert_allclose(rows[0][1], p[..., 0], rtol=1e-13)


def test_scalars_give_scalars():
    slope = gpugrad.gradient_of(np.sin)(1.0)
    assert np.ndim(slope) == 0
    assert slope == pytest.approx(math.cos(1.0), rel=1e-15)
    assert gpugrad.gradient_of(np.sin, stack=True)(1.0).shape == (1,)
    assert gpugrad.gradient_of(np.sin)([0, 1]).dtype == np.float64


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("method", ["auto", "extrapolation", "central"])
def test_small_dtypes_stay_and_steps_suit_them(dtype, method):
    x = np.linspace(0.5, 2.0, 20, dtype=dtype)
    value, error = gpugrad.derivative_of(np.sin, method=method, return_error=True)(x)
    assert value.dtype == dtype
    off = abs(value.astype("f8") - np.cos(x.astype("f8")))
    assert (off <= error).all() if dtype == "float32" else True
    assert np.max(off) < (2e-5 if dtype == "float32" else 2e-3)


def test_coordinates_broadcast():
    x, y = np.linspace(0.5, 1, 4)[:, None], np.linspace(1, 2, 3)
    for found, exact in zip(
        gpugrad.gradient_of(wave)(x, y), wave_gradient(x, y + 0 * x), strict=True
    ):
        np.testing.assert_allclose(found, np.broadcast_to(exact, (4, 3)), rtol=1e-13)


def test_many_points_come_in_blocks_of_bounded_size():
    largest = 0

    def f(x, y):
        nonlocal largest
        largest = max(largest, x.size)
        return x * y

    x = np.linspace(1, 2, 200_001)
    dx, dy = gpugrad.gradient_of(f, method="central")(x, x)
    np.testing.assert_allclose(dx, x, rtol=1e-12)
    np.testing.assert_allclose(dy, x, rtol=1e-12)
    assert 1000 < largest <= 1 << 18


@pytest.mark.parametrize("method", ["central", "extrapolation", "complex", "auto"])
def test_blocks_do_not_change_results(method):
    x = np.linspace(1, 2, 100_003)
    whole = gpugrad.derivative_of(np.tanh, method=method)(x)
    some = gpugrad.derivative_of(np.tanh, method=method)(x[77_770:77_780])
    np.testing.assert_allclose(whole[77_770:77_780], some, rtol=1e-11)


# Functions that are not vectorised, not analytic, not smooth


@pytest.mark.parametrize("method", ["auto", "extrapolation", "central"])
def test_functions_of_single_numbers_are_called_in_a_loop(method):
    x = np.linspace(0.1, 1.0, 6)
    grad = gpugrad.gradient_of(lambda a, b: math.sin(a) * math.exp(b), method=method)
    for found, exact in zip(
        grad(x, x), (np.cos(x) * np.exp(x), np.sin(x) * np.exp(x)), strict=True
    ):
        np.testing.assert_allclose(found, exact, rtol=1e-8)


def test_functions_with_branches_are_called_in_a_loop():
    slope = gpugrad.derivative_of(lambda t: t * t if t > 0 else -t)
    np.testing.assert_allclose(slope(np.array([-2.0, 3.0])), [-1.0, 6.0], rtol=1e-10)
    assert slope.method == "extrapolation"


def test_functions_of_one_vector_are_called_in_a_loop(rng):
    matrix = rng.normal(size=(3, 3))
    grad = gpugrad.gradient_of(lambda p: p @ matrix @ p, vector=True)
    p = rng.normal(size=(3, 5))
    np.testing.assert_allclose(grad(p), (matrix + matrix.T) @ p, rtol=1e-10, atol=1e-10)
    one = gpugrad.gradient_of(lambda p: np.sum(p**2), vector=True)
    np.testing.assert_allclose(one(np.array([1.0, 2.0])), [2.0, 4.0], rtol=1e-10)


NOT_ANALYTIC = {
    "absolute": lambda x: np.abs(x) * x,
    "absolute|abs": lambda x: abs(x) * x,
    "conjugate": lambda x: np.conj(x) * x,
    "real": lambda x: np.real(x) ** 2,
    r"\.real": lambda x: x.real**2,
    r"\.imag": lambda x: x * x + x.imag,
    "greater": lambda x: np.where(x > 0, x * x, -x),
    "maximum": lambda x: np.maximum(x, -1.0) ** 2,
    "hypot": lambda x: np.hypot(x, 1.0),
    "arctan2": lambda x: np.arctan2(x, 1.0),
    "a conversion to an array": lambda x: np.asarray(x) ** 2,
    "single numbers": lambda x: math.sin(x),
    "complex numbers": lambda x: x * 1j,
    "sign|copysign": lambda x: np.copysign(x, 1.0),
    "floor": lambda x: np.floor(x) + x,
    "astype": lambda x: x.astype(float) ** 2,
}


@pytest.mark.parametrize("name", NOT_ANALYTIC)
def test_complex_steps_refuse_what_is_not_analytic(name):
    points = np.array([0.3, 0.7])
    with pytest.raises(TypeError, match=rf"analytic operations; `func` uses .*({name})"):
        gpugrad.gradient_of(NOT_ANALYTIC[name], method="complex")(points)
    grad = gpugrad.gradient_of(NOT_ANALYTIC[name])
    grad(points)
    assert grad.method == "extrapolation"


def test_complex_steps_see_other_branches():
    # For negative numbers the complex power is complex, the real one has no value.
    with pytest.warns(GpugradWarning, match=r"NaN at 1 of 2 points, the first at \(-1\)"):
        found = gpugrad.derivative_of(lambda x: x**0.5)(np.array([-1.0, 4.0]))
    np.testing.assert_allclose(found, [np.nan, 0.25])


class WithoutImaginaryPart:
    """A function that computes with the real parts, and hides it well."""

    def __call__(self, x):
        return (
            x**3
            if isinstance(x, np.ndarray)
            else 3 * x - x + np.array(x._values.real**3 - 2 * x._values.real)
        )


def test_complex_slopes_must_be_those_of_real_numbers():
    with pytest.raises(TypeError, match=r"the slope of `func` along coordinate 0 is 0\.27 by diff"):
        gpugrad.derivative_of(WithoutImaginaryPart(), method="complex")(np.array([0.3, 0.7]))
    slope = gpugrad.derivative_of(WithoutImaginaryPart())
    np.testing.assert_allclose(slope(np.array([0.3, 0.7])), [0.27, 1.47], rtol=1e-10)
    assert slope.method == "extrapolation"


def test_functions_that_differ_for_complex_numbers_only_in_their_values_are_refused():
    def evasive(x):
        try:
            return np.abs(x) ** 3
        except TypeError:
            return x

    with pytest.raises(TypeError, match="others than its real ones, which say nothing"):
        gpugrad.derivative_of(evasive, method="complex")(np.array([0.3, 0.7]))
    assert gpugrad.derivative_of(evasive)(2.0) == pytest.approx(12.0, rel=1e-10)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (np.abs, "absolute, whose result is a part of a complex number"),
        (np.angle, "angle, whose result is a part"),
        (lambda x: np.real(x) + x, "real, whose result is a part"),
        (lambda x: np.conj(x) * x, "conjugate, whose result is a part"),
        (lambda x: np.maximum(x, 0.5), "maximum, but complex numbers are neither greater"),
        (lambda x: np.where(x > 0.5, x, 0.0), "greater, but complex numbers are neither greater"),
        (lambda x: x.clip(0.1, 0.5), ".clip, but complex numbers are neither greater"),
        (np.floor, "floor, which jumps"),
        (np.sign, "sign, which jumps"),
        (lambda x: np.nan_to_num(x), "nan_to_num, which is not known to be one"),
    ],
)
def test_refusals_say_why(function, reason):
    with pytest.raises(TypeError, match=reason):
        gpugrad.derivative_of(function, method="complex")(np.array([0.3, 0.7]))


# The ends of domains

DOMAINS = {
    "cosine above 0": (lambda x: np.where(x < 0, np.nan, np.cos(x)), lambda x: -np.sin(x), 0.0),
    "exponential below 1": (lambda x: np.where(x > 1, np.nan, np.exp(x)), np.exp, 1.0),
    "of single numbers": (lambda x: math.exp(x) + 0 * math.sqrt(1 - x), np.exp, 1.0),
}


@pytest.mark.parametrize("method", ["auto", "extrapolation", "central"])
@pytest.mark.parametrize("name", DOMAINS)
def test_derivatives_at_the_ends_are_those_from_inside(name, method):
    function, exact, end = DOMAINS[name]
    inside = 1 - 2 * end
    x = end + inside * np.array([0.0, 1e-14, 1e-9, 1e-3, 0.02, 0.1])
    value, error = gpugrad.derivative_of(function, method=method, return_error=True)(x)
    assert (np.abs(value - exact(x)) <= error).all()
    assert np.max(np.abs(value - exact(x))) < 1e-10
    assert np.max(error) < 1e-8


@pytest.mark.parametrize("method", ["auto", "complex", "extrapolation", "central"])
@pytest.mark.parametrize(
    ("function", "slope", "end"),
    [
        (np.sqrt, lambda x: 0.5 / np.sqrt(x), 0.0),
        (np.log, lambda x: 1 / x, 0.0),
        (np.arcsin, lambda x: 1 / np.sqrt((1 - x) * (1 + x)), 1.0),
        (lambda x: x**1.5, lambda x: 1.5 * np.sqrt(x), 0.0),
    ],
    ids=["sqrt", "log", "arcsin", "x**1.5"],
)
def test_roots_and_logarithms_near_their_ends_are_honest(function, slope, end, method):
    x = np.abs(end - np.array([0.0, 1e-9, 1e-6, 1e-4, 1e-3, 0.01, 0.1]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GpugradWarning)
        value, error = gpugrad.derivative_of(function, method=method, return_error=True)(x)
    with np.errstate(divide="ignore"):
        exact = slope(x)
    assert np.isinf(error[np.isnan(value)]).all()
    assert np.isnan(value[0]) or abs(value[0] - exact[0]) <= error[0] < 1
    told = np.isfinite(value)
    assert (np.abs(value - exact)[told] <= error[told]).all()
    if method != "central":  # which has a step of its own
        np.testing.assert_allclose(value[1:], exact[1:], rtol=1e-5)


def test_what_has_no_slope_at_its_end_is_nan_and_says_so():
    for method in ("auto", "extrapolation", "central"):
        with pytest.warns(GpugradWarning, match=r"first at \(0\).* on neither side tell a slope"):
            value, error = gpugrad.derivative_of(np.sqrt, method=method, return_error=True)(
                np.array([0.0, 4.0])
            )
        assert np.isnan(value[0])
        assert error[0] == np.inf
        assert value[1] == pytest.approx(0.25, rel=1e-7)


@pytest.mark.nightly(xp="jax")
@pytest.mark.sampled(exhaustive=1)
@pytest.mark.parametrize("method", ["central", "extrapolation"])
def test_ends_are_the_same_in_every_library(xp, method):
    if xp.name == "dask":
        pytest.skip("Dask arrays are refused: see the test of errors")
    module = __import__("array_api_compat").array_namespace(xp.asarray(np.zeros(1)))

    def quarter(x, y):
        value = module.exp(x) * (1 + y * y)
        return module.where((x < 0) | (y > 1), math.nan, value)

    x, y = np.array([0.0, 0.5, 0.0, -1.0]), np.array([0.5, 1.0, 1.0, 0.5])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GpugradWarning)
        value, error = gpugrad.gradient_of(quarter, method=method, return_error=True)(
            xp.asarray(x), xp.asarray(y)
        )
    for part, off, exact in zip(
        value, error, (np.exp(x) * (1 + y * y), 2 * y * np.exp(x)), strict=True
    ):
        part, off = gpugrad.asnumpy(part), gpugrad.asnumpy(off)
        assert (np.abs(part - exact)[:3] <= off[:3]).all()
        assert np.max(off[:3]) < 1e-8
        assert np.isnan(part[3])


def test_traced_points_are_differenced_on_both_sides_only():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    slope = gpugrad.derivative_of(
        lambda x: jax.numpy.where(x < 0, math.nan, jax.numpy.exp(x)), method="central"
    )
    found = np.asarray(jax.jit(slope)(jax.numpy.array([0.0, 1.0])))
    assert np.isnan(found[0])  # which side to take depends on values that a trace has not
    assert found[1] == pytest.approx(math.e, rel=1e-11)


@pytest.mark.parametrize("method", ["central", "extrapolation"])
def test_second_derivatives_at_a_corner(method):
    def quarter(x, y):
        return np.where((x < 0) | (y > 1), np.nan, np.exp(x) * y**3)

    x, y = np.array([0.0, 2.0]), np.array([-0.5, 1.0])
    value, error = gpugrad.hessian_of(quarter, method=method, stack=True, return_error=True)(x, y)
    mixed = 3 * np.exp(x) * y**2
    exact = np.array([[np.exp(x) * y**3, mixed], [mixed, 6 * np.exp(x) * y]])
    assert (np.abs(value - exact) <= error).all()
    assert np.max(np.abs(value - exact)) < (1e-4 if method == "central" else 1e-6)


# Who owns the points


def test_a_function_may_keep_or_return_its_arguments(rng):
    kept = []

    def keeper(x, y):
        kept.append((x, np.array(x)))
        return x

    x, y = rng.uniform(0.5, 2.0, (2, 20_000))
    for method in ("central", "extrapolation"):
        kept.clear()
        dx, dy = gpugrad.gradient_of(keeper, method=method)(x, y)
        np.testing.assert_allclose(dx, 1.0, rtol=1e-10)
        np.testing.assert_allclose(dy, 0.0, atol=1e-6)
        assert all((now == then).all() for now, then in kept)


KINKS = {
    "abs": (np.abs, 0.0),
    "abs off zero": (lambda x: np.abs(x - 1 / 3), 1 / 3),
    "beside a steep slope": (lambda x: 50 * x + np.abs(x), 0.0),
    "sign": (np.sign, 0.0),
    "step": (lambda x: np.heaviside(x, 0.5), 0.0),
    "one-sided step": (lambda x: np.where(x >= 0, 1.0, 0.0), 0.0),
    "sawtooth": (lambda x: x % 1, 1.0),
    "floor": (np.floor, 2.0),
    "of single numbers": (lambda x: float(math.floor(x)), 2.0),
    "maximum": (lambda x: np.maximum(x, 0.0), 0.0),
    "pieces": (lambda x: np.where(x > 1, x**2, x), 1.0),
    "pieces that jump": (lambda x: np.where(x > 1, x**2 + 1, x), 1.0),
    "spike": (lambda x: np.where(x == 0, 1.0, 0.0), 0.0),
    "root": (lambda x: np.sqrt(np.abs(x)), 0.0),
    "cube root": (np.cbrt, 0.0),
    "analytic beside it": (lambda x: np.sqrt(x**2), 0.0),
}


@pytest.mark.sampled
@pytest.mark.parametrize("method", ["auto", "extrapolation", "central"])
@pytest.mark.parametrize("name", KINKS)
def test_kinks_and_jumps_have_no_derivative_and_say_so(name, method):
    function, place = KINKS[name]
    for order in (1, 2):
        slope = gpugrad.derivative_of(function, order=order, method=method, return_error=True)
        with pytest.warns(GpugradWarning, match=rf"NaN at 1 of 2 points, the first at \({place:g}"):
            value, error = slope(np.array([place, place + 0.3]))
        assert np.isnan(value[0])
        assert error[0] == np.inf
        assert np.isfinite([value[1], error[1]]).all()


@pytest.mark.parametrize("method", ["auto", "extrapolation", "central"])
def test_slopes_that_jump_have_no_second_derivative(method):
    for function in (lambda x: x * np.abs(x), lambda x: np.where(x > 0, x**2, 0.0)):
        assert abs(gpugrad.derivative_of(function, method=method)(0.0)) < 1e-8
        with pytest.warns(GpugradWarning, match="another one on each side"):
            assert np.isnan(gpugrad.derivative_of(function, order=2, method=method)(0.0))


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_level_places_of_smooth_functions_take_few_values(library):
    asarray = np.asarray
    if library == "torch":
        asarray = pytest.importorskip("torch").asarray
    zero, count = asarray([0.0]), 0

    def counted(function):
        def call(*coords):
            nonlocal count
            count += max(x.shape[-1] * max(1, math.prod(x.shape[:-1])) for x in coords)
            return function(*coords)

        return call

    for function, slope in (
        (lambda x, y: x * y, 0.0),
        (lambda x, y: x**2 + y**2, 0.0),
        (lambda x, y: x**3 - y**4, 0.0),
        (lambda x, y: (x + 1) ** 2 - 2 * x - 1 + x * y, 0.0),
    ):
        gradient = gpugrad.gradient_of(counted(function))
        gradient(zero + 0.3, zero + 0.4)  # which asks once what the function is like
        count = 0
        assert [float(g[0]) for g in gradient(zero, zero)] == pytest.approx([slope] * 2, abs=1e-15)
        assert count <= 24


@pytest.mark.parametrize("method", ["auto", "extrapolation", "central"])
@pytest.mark.parametrize("distance", [1e-9, 1e-6, 1e-3])
def test_kinks_beside_a_point_are_not_its_own(method, distance):
    for function, exact in (
        (lambda x: np.abs(x - distance), -1.0),
        (lambda x: np.sign(x - distance) + 3 * x, 3.0),
        (lambda x: 1 + np.maximum(x, -distance), 1.0),
        (lambda x: np.floor(x + 1 - distance) + np.sin(x), 1.0),
    ):
        slope = gpugrad.derivative_of(function, method=method, return_error=True)
        value, error = slope(0.0)
        assert abs(value - exact) <= error < 1e-3


def test_kinks_along_one_coordinate_leave_the_others():
    with pytest.warns(GpugradWarning, match=r"NaN at 1 of 2 points, the first at \(0, 1\)"):
        along_x, along_y = gpugrad.gradient_of(lambda x, y: np.abs(x) * y + y**2)(
            np.array([0.0, 2.0]), 1.0
        )
    np.testing.assert_allclose(along_x, [np.nan, 1.0])
    np.testing.assert_allclose(along_y, [2.0, 4.0], rtol=1e-10)


@pytest.mark.parametrize("function", [np.cos, lambda x: x**2, lambda x: np.abs(x) ** 1.5, np.tanh])
@pytest.mark.parametrize("order", [1, 2])
def test_smooth_tops_are_no_kinks(function, order):
    if order == 2 and not abs(function(1e-9) - function(0.0)) < 1e-14:
        order = 1
    value = gpugrad.derivative_of(function, order=order, method="extrapolation")(np.zeros(2))
    assert np.isfinite(value).all()


def test_domains_end_where_they_end():
    with pytest.warns(GpugradWarning, match="no finite value there, or its values on neither side"):
        found = gpugrad.derivative_of(math.log)(np.array([-1.0, 2.0]))
    np.testing.assert_allclose(found, [np.nan, 0.5], rtol=1e-10)
    # Steps shrink until all samples are inside.
    near = gpugrad.derivative_of(np.log, method="extrapolation")(1e-9)
    assert near == pytest.approx(1e9, rel=1e-10)


@pytest.mark.exhaustive(xp="jax")
def test_constants_have_no_slope(xp):
    if xp.name == "dask":
        pytest.skip("Dask arrays are refused: see the test of errors")
    x = xp.asarray(np.linspace(0.0, 1.0, 4))
    for part in gpugrad.gradient_of(lambda x, y: 3.0)(x, x):
        assert (gpugrad.asnumpy(part) == 0).all()


@pytest.mark.parametrize("quantum", [1e-6, 1e-8, 2.0**-24])
def test_functions_in_steps_are_not_taken_for_flat(quantum, rng):
    def stairs(x):
        return np.round(np.sin(x) / quantum) * quantum

    x = rng.uniform(0.1, 1.3, 200)
    value, error = gpugrad.derivative_of(stairs, return_error=True)(x)
    assert np.median(np.abs(value - np.cos(x))) < 1e3 * quantum
    assert np.mean(np.abs(value - np.cos(x)) <= error) >= 0.95


def test_what_is_flat_is_flat():
    slope, error = gpugrad.derivative_of(lambda x: np.maximum(x, 0.0), return_error=True)(
        np.array([-0.5, 0.5])
    )
    np.testing.assert_allclose(slope, [0.0, 1.0], atol=1e-12)
    assert (error < 1e-10).all()


# Without other libraries


def test_nothing_else_is_loaded_or_needed(monkeypatch):
    for name in ("scipy", "sympy", "torch", "jax"):
        monkeypatch.setitem(sys.modules, name, None)
    slope = gpugrad.derivative_of(lambda x: np.abs(x) ** 3)
    assert slope(2.0) == pytest.approx(12.0, rel=1e-12)


# Errors


def test_errors_say_what_must_hold():
    x = np.linspace(0.0, 1.0, 3)
    with pytest.raises(TypeError, match="`func` must be a function"):
        gpugrad.gradient_of(x)
    known = "auto, autodiff, complex, extrapolation, central"
    with pytest.raises(ValueError, match=f"^`method` must be one of {known}; got 'adaptive'.$"):
        gpugrad.gradient_of(np.sin, method="adaptive")
    with pytest.raises(ValueError, match='go with method="central"'):
        gpugrad.gradient_of(np.sin, step=0.1)
    with pytest.raises(ValueError, match="must be positive"):
        gpugrad.gradient_of(np.sin, method="central", step=-0.1)
    with pytest.raises(TypeError, match="must be a number"):
        gpugrad.gradient_of(np.sin, method="central", step="small")
    with pytest.raises(ValueError, match="one for each of the 1 coordinates"):
        gpugrad.gradient_of(np.sin, method="central", step=[0.1, 0.2])(x)
    with pytest.raises(ValueError, match="`points_axis` must be 0"):
        gpugrad.gradient_of(np.sin, points_axis=1)
    with pytest.raises(TypeError, match="must take 1 positional"):
        gpugrad.gradient_of(wave)(x)
    with pytest.raises(TypeError, match="needs one coordinate"):
        gpugrad.derivative_of(wave)(x, x)
    with pytest.raises(TypeError, match="points must be given"):
        gpugrad.gradient_of(wave)()
    with pytest.raises(TypeError, match="must be one array"):
        gpugrad.gradient_of(wave, points_axis=0)(x, x)
    with pytest.raises(ValueError, match="component axis"):
        gpugrad.gradient_of(wave, points_axis=0)(1.0)
    with pytest.raises(TypeError, match="real numbers"):
        gpugrad.gradient_of(np.sin)(x + 1j)
    with pytest.raises(TypeError, match="real numbers"):
        gpugrad.gradient_of(np.sin)("one")
    with pytest.raises(ValueError, match="from 1 to 8"):
        gpugrad.derivative_of(np.sin, order=9)
    with pytest.raises(TypeError, match="needs points of PyTorch or JAX"):
        gpugrad.gradient_of(np.sin, method="autodiff")(x)


@pytest.mark.parametrize("method", ["auto", "extrapolation", "central"])
def test_results_of_the_wrong_shape_are_refused(method):
    x = np.linspace(0.0, 1.0, 3)
    with pytest.raises(ValueError, match="one value for each point"):
        gpugrad.gradient_of(lambda a: np.sum(a**2), method=method)(x)
    with pytest.raises(ValueError, match="one value for each point"):
        gpugrad.gradient_of(lambda a: np.stack([a, a]), method=method)(x)
    with pytest.raises(TypeError, match="must return numbers"):
        gpugrad.gradient_of(lambda a: "one", method=method)(x)
    with pytest.raises(TypeError, match="must return numbers"):
        gpugrad.gradient_of(lambda a: None, method=method)(x)
    with pytest.raises(ValueError, match="components as a tuple"):
        gpugrad.jacobian_of(lambda a: a, method=method)(x)


def test_a_functions_own_errors_come_through():
    def broken(x):
        raise KeyError("missing")

    with pytest.raises(KeyError, match="missing"):
        gpugrad.gradient_of(broken)(1.0)


def test_two_libraries_are_refused():
    torch = pytest.importorskip("torch")
    x = np.linspace(0.0, 1.0, 3)
    with pytest.raises(TypeError, match="one library; got NumPy and PyTorch"):
        gpugrad.gradient_of(wave)(x, torch.from_numpy(x))
    with pytest.raises(TypeError, match="must take PyTorch arrays of any shape"):
        gpugrad.gradient_of(lambda t: np.sin([t, "x"]))(torch.from_numpy(x))
    with pytest.raises(TypeError, match="library of its points, NumPy; got PyTorch"):
        gpugrad.gradient_of(lambda a: torch.ones(a.shape))(x)
    with pytest.raises(TypeError, match="needs NumPy points"):
        gpugrad.gradient_of(wave, method="complex")(torch.from_numpy(x), 1.0)


def test_lazy_points_are_refused():
    da = pytest.importorskip("dask.array")
    with pytest.raises(TypeError, match="Dask array, which is lazy"):
        gpugrad.gradient_of(np.sin)(da.ones(3))


@pytest.mark.parametrize("exponent", [2, 0.5, 3, -1, 2.5])
def test_powers_at_complex_points_are_those_of_numpys_arrays(rng, exponent):
    values = rng.uniform(0.5, 2, 50) + 1e-30j
    power = Tracked(values) ** exponent
    assert isinstance(power, Tracked)
    assert_same_bits(power._values, values**exponent)


def square_in_place(x):
    x **= 2
    return x


@pytest.mark.parametrize(
    ("func", "why"),
    [
        (square_in_place, "or writes to its arguments, so that no complex arrays can go through"),
        (math.sin, "single numbers only"),
        (lambda x: np.exp(1j * x), "complex numbers, whose imaginary parts"),
    ],
)
def test_refusals_of_the_complex_step_give_their_reasons(func, why):
    with pytest.raises(TypeError, match=why):
        gpugrad.gradient_of(func, method="complex")(np.array([0.5, 1.0]))


def test_no_points_give_empty_arrays(xp):
    none, grid = xp.asarray(np.empty(0)), xp.asarray(np.empty((0, 3), "f4"))
    if xp.name == "dask":
        pytest.skip("Dask arrays are no points")
    gradient = gpugrad.gradient_of(lambda x, y: x * y, return_error=True)(none, none)
    for components in gradient:
        assert [type(c) for c in components] == [type(none)] * 2
        assert all(c.shape == (0,) for c in components)
    slope = gpugrad.derivative_of(lambda x: x * x, order=2)(grid)
    assert (slope.shape, slope.dtype) == (grid.shape, grid.dtype)
    assert gpugrad.hessian_of(lambda x, y: x * y, stack=True)(none, none).shape == (2, 2, 0)
    assert gpugrad.laplacian_of(lambda x, y: x * y)(none, none).shape == (0,)
    assert gpugrad.curl_of(lambda x, y: (x, y))(none, none).shape == (0,)
    along = gpugrad.jacobian_of(lambda x, y: (x, y, x * y), points_axis=-1)
    assert along(xp.asarray(np.empty((0, 2)))).shape == (0, 3, 2)


def test_points_taken_for_one_vector_hint_at_the_option():
    for points in (np.array([3.0, 4.0]), np.ones((2, 5)), 3.0):
        with pytest.raises(TypeError, match=r"raised IndexError.*pass `vector=True`\.$"):
            gpugrad.gradient_of(lambda p: p[0] * p[1])(points)
    with pytest.raises(IndexError):  # of the user's own
        gpugrad.gradient_of(lambda x, y: [x, y][2])(1.0, 2.0)


@pytest.mark.parametrize("points", [1.0, np.ones(3)])
def test_lists_are_no_values(points):
    with pytest.raises(ValueError, match=r"one value for each point.*got a list of shape \(3,\)"):
        gpugrad.derivative_of(lambda x: [1, 2, 3])(points)
    with pytest.raises(ValueError, match="got a list of unlike rows"):
        gpugrad.derivative_of(lambda x: [1, [2, 3]])(points)


def test_functions_of_another_library_ask_for_its_points():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match=r"raised TypeError: sin.*pass points of that library\.$"):
        gpugrad.gradient_of(torch.sin)(1.0)


def test_errors_within_errors_have_one_full_stop():
    def stubborn(x):
        raise TypeError("No arrays.")

    with pytest.raises(TypeError, match=r"raised TypeError: No arrays\. For a function"):
        gpugrad.gradient_of(stubborn)(1.0)
    half = gpugrad.gradient_of(
        lambda x: x if type(x) is np.ndarray else stubborn(x), method="complex"
    )
    with pytest.raises(gpugrad.NotAnalytic, match=r"TypeError: No arrays\. Use the method"):
        half(np.ones(2))


def test_options_are_given_by_name():
    with pytest.raises(TypeError, match="as in `order=2`; got 2, too"):
        gpugrad.derivative_of(np.sin, 2)
    with pytest.raises(TypeError, match=r"`derivative_of` takes no `n`. Pass `order`"):
        gpugrad.derivative_of(np.sin, n=2)
    with pytest.raises(TypeError, match=r"takes no `acuracy`. Did you mean `accuracy`"):
        gpugrad.hessian_of(np.sin, acuracy=2)
    with pytest.raises(TypeError, match=r"`gradient_of\(func\)\(x\)`"):
        gpugrad.gradient_of(np.sin, 1.0)


def test_what_stands_in_the_way_is_a_public_error():
    assert repr(gpugrad.NotAnalytic) == "<class 'gpugrad.NotAnalytic'>"
    with pytest.raises(gpugrad.NotAnalytic, match="uses absolute"):
        gpugrad.derivative_of(abs, method="complex")(2.0)
    estimate = gpugrad.derivative_of(np.sin, return_error=True)(1.0)
    assert isinstance(estimate, gpugrad.DerivativeEstimate)
    assert isinstance(gpugrad.derivative_of(np.sin), gpugrad.FunctionDerivative)


# What stands outside of a method's sight


def _leaving_torch(torch):
    return {
        "item": lambda x: x * x.item() if x.numel() == 1 else x * x.data,
        "data": lambda x: x * x.data,
        "detach": lambda x: x.detach() ** 2,
        "no_grad": _without_grad(torch),
        "numpy": lambda x: torch.from_numpy(np.asarray(x.detach().numpy()) ** 2),
        "one of two terms": lambda x: x**2 / 2 + x.detach() ** 2 / 2,
        "one of two branches": lambda x: torch.where(x > 1.5, x.detach() ** 2, x**2),
    }


def _without_grad(torch):
    def square(x):
        with torch.no_grad():
            return x**2

    return square


LEAVING = ("item", "data", "detach", "no_grad", "numpy", "one of two terms", "one of two branches")


@pytest.mark.parametrize("name", LEAVING)
def test_what_leaves_the_graph_is_seen(name):
    torch = pytest.importorskip("torch")
    function = _leaving_torch(torch)[name]
    for x in (torch.tensor([1.0, 2.0], dtype=torch.float64), torch.tensor(2.0).double()):
        slope = gpugrad.derivative_of(function, return_error=True)
        value, error = slope(x)
        off = gpugrad.asnumpy(abs(value - 2 * x))
        assert (off <= gpugrad.asnumpy(error)).all()
        assert (off < 1e-9).all()
        if name != "one of two branches":
            assert slope.method == "extrapolation"
        with pytest.raises((TypeError, RuntimeError), match=r"autodiff|data pointer|storage"):
            gpugrad.derivative_of(function, method="autodiff")(x)
    bend = gpugrad.derivative_of(function, order=2)(torch.tensor([1.0, 2.0]).double())
    np.testing.assert_allclose(bend.numpy(), 2.0, rtol=1e-6)


def test_single_numbers_of_torch_are_taken_in_a_loop():
    torch = pytest.importorskip("torch")

    def of_one_number(x):
        return torch.tensor(math.sin(x.item()), dtype=torch.float64)

    x = torch.tensor([[0.5], [1.0]], dtype=torch.float64)
    slope = gpugrad.derivative_of(of_one_number)
    np.testing.assert_allclose(slope(x).numpy(), np.cos(x.numpy()), rtol=1e-10)
    assert slope(x[0, 0]).shape == ()
    assert slope.method == "extrapolation"


def test_components_that_leave_the_graph_are_seen():
    torch = pytest.importorskip("torch")
    x = torch.tensor([0.5, 1.0], dtype=torch.float64)

    def vector(p):
        return torch.stack([p[0] * p[1], p[0].detach() * p[1]])

    def scalar(x, y):
        return x**2 + y.detach() ** 3

    jacobian = gpugrad.jacobian_of(vector, vector=True, stack=True)(torch.stack([x, 2 * x]))
    exact = np.array([[2 * x.numpy(), x.numpy()]] * 2)
    np.testing.assert_allclose(jacobian.numpy(), exact, rtol=1e-10)
    along_x, along_y = gpugrad.gradient_of(scalar)(x, x)
    np.testing.assert_allclose(along_x.numpy(), 2 * x.numpy(), rtol=1e-10)
    np.testing.assert_allclose(along_y.numpy(), 3 * x.numpy() ** 2, rtol=1e-10)
    hessian = gpugrad.hessian_of(scalar, stack=True)(x, x)
    np.testing.assert_allclose(hessian[1, 1].numpy(), 6 * x.numpy(), rtol=1e-7)
    laplacian = gpugrad.laplacian_of(scalar)(x, x)
    np.testing.assert_allclose(laplacian.numpy(), 2 + 6 * x.numpy(), rtol=1e-7)
    with pytest.raises(TypeError, match=r"at \(0\.5, 0\.5\) the slope of .* coordinate 1"):
        gpugrad.gradient_of(scalar, method="autodiff")(x, x)


def test_slopes_that_leave_the_graph_are_seen():
    torch = pytest.importorskip("torch")

    class Square(torch.autograd.Function):
        @staticmethod
        def forward(x):
            return x**2

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(inputs[0])

        @staticmethod
        def backward(ctx, seed):
            return seed * 2 * ctx.saved_tensors[0].detach()

    x = torch.tensor([1.0, 2.0], dtype=torch.float64)
    bend = gpugrad.derivative_of(Square.apply, order=2)
    np.testing.assert_allclose(bend(x).numpy(), 2.0, rtol=1e-7)
    with pytest.raises(TypeError, match="by differences, but 0 by automatic differentiation"):
        gpugrad.derivative_of(Square.apply, order=2, method="autodiff")(x)


@pytest.mark.nightly
def test_what_leaves_jax_is_seen():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    x = jax.numpy.array([1.0, 2.0])
    shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
    for function in (
        lambda x: jax.lax.stop_gradient(x) ** 2,
        lambda x: x**2 / 2 + jax.lax.stop_gradient(x) ** 2 / 2,
        lambda x: jax.numpy.asarray(np.asarray(x) ** 2),
        lambda x: jax.pure_callback(
            lambda v: np.asarray(v) ** 2, jax.ShapeDtypeStruct(x.shape, shape.dtype), x
        ),
    ):
        slope = gpugrad.derivative_of(function)
        np.testing.assert_allclose(np.asarray(slope(x)), [2.0, 4.0], rtol=1e-9)
        assert slope.method == "extrapolation"
    steps = gpugrad.derivative_of(lambda x: (10 * x).astype(int) / 10.0)
    with pytest.warns(GpugradWarning, match=r"NaN at 1 of 2 points, the first at \(0\.5\)"):
        np.testing.assert_array_equal(steps(jax.numpy.array([0.5, 0.55])), [np.nan, 0.0])


@pytest.mark.parametrize("library", ["torch", pytest.param("jax.numpy", marks=pytest.mark.nightly)])
def test_kinks_of_other_libraries_have_no_derivative(library):
    xp = pytest.importorskip(library)
    x = xp.asarray(np.array([-1.0, 0.0, 2.0]))
    for function, exact in (
        (xp.abs, [-1.0, np.nan, 1.0]),
        (xp.floor, [np.nan, np.nan, np.nan]),
        (lambda x: xp.where(x > 0, x, 0 * x), [0.0, np.nan, 1.0]),
    ):
        for method in ("auto", "autodiff"):
            slope = gpugrad.derivative_of(function, method=method)
            with pytest.warns(GpugradWarning, match="as at a kink or a jump"):
                np.testing.assert_allclose(np.asarray(slope(x)), exact)
    # A gradient of NaN beside a masked root is autodiff's own, and no kink.
    masked = gpugrad.derivative_of(lambda x: xp.where(x > 0, xp.sqrt(abs(x)), 0 * x))
    np.testing.assert_allclose(np.asarray(masked(xp.asarray(np.array([4.0, -4.0])))), [0.25, 0.0])


NEIGHBOURLY = {
    "cumsum": np.cumsum,
    "gradient": lambda x: np.gradient(np.ravel(x)).reshape(np.shape(x)),
    "maximum": lambda x: x / np.max(x),
    "sum": lambda x: np.exp(x) / np.exp(x).sum(),
    "mean": lambda x: x - x.mean(),
    "sort": np.sort,
    "roll": lambda x: np.roll(x, 1),
    "flip": lambda x: x[..., ::-1],
    "rank": lambda x: np.argsort(np.argsort(x)) * x,
    "running": lambda x: np.convolve(np.ravel(x), [0.5, 0.5], "same").reshape(np.shape(x)),
}


@pytest.mark.parametrize("method", ["auto", "extrapolation", "central"])
@pytest.mark.parametrize("name", NEIGHBOURLY)
def test_functions_that_see_other_points_are_refused(name, method):
    for points in (np.array([1.0, 3.0, 2.0]), np.array([2.0]), np.ones((2, 2))):
        if name == "gradient" and points.size == 1:
            continue  # an error of its own
        with pytest.raises(ValueError, match=r"`func` must return .* value"):
            gpugrad.derivative_of(NEIGHBOURLY[name], method=method)(points)


def test_functions_that_see_other_points_are_refused_in_other_libraries():
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match="depends on this point alone"):
        gpugrad.derivative_of(lambda x: torch.softmax(x, -1))(torch.tensor([1.0, 2.0]))
    with pytest.raises(ValueError, match="depends on this point alone"):
        gpugrad.gradient_of(lambda p: p[0] / p[1].max(), vector=True)(torch.ones((2, 3)))


def test_random_functions_and_those_with_a_memory_are_refused(rng):
    calls = []

    def counting(x):
        calls.append(x)
        return x * len(calls)

    for function in (
        lambda x: x + rng.random(np.shape(x)),
        counting,
        lambda x: math.sin(x) + rng.random(),
    ):
        for points in (1.0, np.array([1.0, 2.0])):
            with pytest.raises(ValueError, match="must return the same value each time"):
                gpugrad.derivative_of(function)(points)


def test_cancellation_is_not_taken_for_neighbours(rng):
    x = rng.uniform(-1, 1, 1000) * 1e-8
    for function in (
        lambda x: np.exp(x) - 1 - x,
        lambda x: 1 - np.cos(x),
        lambda x: (x + 1e8) - 1e8,
    ):
        value = gpugrad.derivative_of(function)(x)
        assert np.isfinite(value).all()


# Orders


@pytest.mark.exhaustive(order=7)
@pytest.mark.exhaustive(order=6)
@pytest.mark.exhaustive(order=5)
@pytest.mark.parametrize("order", range(1, 9))
def test_auto_is_the_best_of_all_orders(order):
    x = np.array([0.3, 1.0, 2.0])
    functions = {
        "exp": (np.exp, np.exp(x)),
        "sin": (np.sin, np.sin(x + order * np.pi / 2)),
        "log": (np.log, -math.factorial(order - 1) * (-1 / x) ** order),
        "inverse": (lambda x: 1 / x, math.factorial(order) * (-1) ** order / x ** (order + 1)),
        "looped": (math.exp, np.exp(x)),
    }
    for name, (function, exact) in functions.items():
        off = {}
        for method in ("auto", "extrapolation", "central"):
            slope = gpugrad.derivative_of(function, order=order, method=method, return_error=True)
            value, error = slope(x)
            off[method] = np.max(np.abs(value / exact - 1))
            if method == "auto":
                assert (np.abs(value - exact) <= error).all(), name
        assert off["auto"] <= max(30 * min(off.values()), 1e-13), name
        assert off["auto"] < 1e-5, name


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize(
    "library", ["numpy", "torch", pytest.param("jax.numpy", marks=pytest.mark.nightly)]
)
def test_bounds_hold_in_low_precision(library, dtype, rng):
    xp = pytest.importorskip(library)
    if (library, dtype) == ("numpy", "bfloat16"):
        pytest.skip("NumPy has none")
    host = rng.uniform(-3, 3, 50).astype("f4")
    x = xp.asarray(host)
    x = x.to(getattr(xp, dtype)) if library == "torch" else x.astype(dtype)
    there = np.asarray(gpugrad.asnumpy(x.float() if library == "torch" else x.astype("f4")), "f8")
    for method in ("auto", "extrapolation"):
        for function, exact in ((xp.sin, np.cos(there)), (lambda x: x**3, 3 * there**2)):
            value, error = gpugrad.derivative_of(function, method=method, return_error=True)(x)
            assert value.dtype == error.dtype == x.dtype
            value, error = (
                np.asarray(v.double() if library == "torch" else v.astype("f8"))
                for v in (value, error)
            )
            assert (np.abs(value - exact) <= error).all()
    spread = gpugrad.divergence_of(lambda x, y: (x**2, x * y), return_error=True)(x, x)
    value, error = (
        np.asarray(v.double() if library == "torch" else v.astype("f8")) for v in spread
    )
    assert (np.abs(value - 3 * there) <= error).all()


# The bounds over a table of five hundred functions


def test_the_table_of_bounds_has_five_hundred_functions():
    assert len(set(bounds_table.ROWS)) >= 500
    assert {row.outer for row in bounds_table.ROWS} == {*bounds_table.OUTER}


@pytest.mark.parametrize("method", ["auto", "extrapolation", "central"])
def test_bounds_hold_over_a_sample_of_the_table(method):
    pytest.importorskip("scipy")
    rows = bounds_table.ROWS[::13]
    found = bounds_table.summarize(bounds_table.judge_row(row, method, 8) for row in rows)
    assert found["bounded"] >= 0.98
    assert found["finite"] >= 0.98
    assert found["told"] >= 0.95
    assert found["estimate_over_error"] < 500


@pytest.mark.nightly
@pytest.mark.parametrize("method", ["auto", "extrapolation", "central"])
def test_bounds_hold_over_the_table(method):
    pytest.importorskip("scipy")
    found = bounds_table.summarize(
        bounds_table.judge_row(row, method, 12) for row in bounds_table.ROWS
    )
    assert found["bounded"] >= 0.99
    assert found["finite"] >= 0.99
    assert found["told"] >= 0.99
    assert found["estimate_over_error"] < 200


@pytest.mark.nightly
def test_bounds_hold_for_the_densities_of_scipys_distributions():
    pytest.importorskip("scipy")
    laws = bounds_table.distributions()
    assert len(laws) >= 110
    found = bounds_table.summarize(
        bounds_table.judge_distribution(name, shapes, "auto", 8) for name, shapes in laws
    )
    assert found["bounded"] >= 0.99
    assert found["estimate_over_error"] < 200


@pytest.mark.parametrize("method", ["auto", "extrapolation", "central"])
def test_functions_that_even_samples_take_for_slow_ones(method):
    # 1000 / 32 is nearly a multiple of pi: samples at such a step see a slow wave.
    for function, exact, x in (
        (lambda x: np.sin(1000 * x), lambda x: 1000 * np.cos(1000 * x), -0.009),
        (lambda x: np.cos(1e9 * x), lambda x: -1e9 * np.sin(1e9 * x), 9e-9),
        (lambda x: 1 / (1 - x), lambda x: (1 - x) ** -2.0, 1 - 1e-11),
    ):
        value, error = gpugrad.derivative_of(function, method=method, return_error=True)(x)
        assert abs(value - exact(x)) <= error
        assert error < 1e-2 * abs(exact(x))


def test_what_no_float_resolves_is_left_to_exact_methods():
    value, error = gpugrad.derivative_of(np.sin, return_error=True)(1e22)
    assert abs(value - math.cos(1e22)) <= error


def test_points_with_masks_or_units_are_refused():
    slope = gpugrad.derivative_of(np.sin)
    masked = np.ma.array([1.0, 2.0], mask=[False, True])
    with pytest.raises(ValueError, match=r"masked values; got 1 .* Pass `x\.compressed\(\)`"):
        slope(masked)
    np.testing.assert_allclose(slope(np.ma.array([1.0, 2.0])), np.cos([1.0, 2.0]))
    units = pytest.importorskip("astropy.units")
    with pytest.raises(TypeError, match=r"Quantity of astropy.*Pass its `\.value`"):
        slope(np.array([1.0, 2.0]) * units.m)


def test_points_without_coordinates_give_empty_arrays():
    for points, shape in ((np.array([]), (0,)), (np.empty((0, 3)), (0, 3)), ([], (0,))):
        gradient = gpugrad.gradient_of(lambda p: p[0] * p[1], vector=True)
        assert gradient(points).shape == shape
        hessian = gpugrad.hessian_of(lambda p: p[0] * p[1], vector=True)
        assert hessian(points).shape == (0, *shape)


@pytest.mark.parametrize("point", [1e6, 1e8, 1e10, 1e12])
@pytest.mark.parametrize("method", ["auto", "complex"])
def test_exact_slopes_of_waves_far_from_zero_are_not_contradicted(method, point):
    points = np.array([point, -point])
    slopes = gpugrad.gradient_of(np.sin, method=method)(points)
    np.testing.assert_allclose(slopes, np.cos(points), rtol=1e-12)


def test_exact_slopes_of_waves_far_from_zero_stand_in_torch():
    torch = pytest.importorskip("torch")
    points = torch.tensor([1e10, 1e12], dtype=torch.float64)
    slopes = gpugrad.gradient_of(torch.sin)(points)
    np.testing.assert_allclose(slopes, torch.cos(points), rtol=1e-12)


@pytest.mark.nightly
def test_differences_on_jax_warn_of_no_dtype():
    jnp = pytest.importorskip("jax.numpy")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        slopes = gpugrad.gradient_of(jnp.tanh, method="extrapolation")(
            jnp.asarray([0.5, 1.0], dtype="float32")
        )
    np.testing.assert_allclose(slopes, 1 / np.cosh([0.5, 1.0]) ** 2, rtol=1e-4)


@pytest.mark.parametrize("method", ["extrapolation", "central"])
def test_differences_over_steps_too_wide_are_no_derivatives(method):
    for order, points in ((1, [1e5, 1e10, -1e16, 1e300]), (2, [1e5, 1e10, 1e16])):
        slope = gpugrad.derivative_of(np.sin, order=order, method=method, return_error=True)
        with pytest.warns(GpugradWarning, match=rf"NaN at {len(points)} of {len(points) + 1}"):
            value, error = slope(np.array([*points, 2.0]))
        assert np.isnan(value[:-1]).all()
        assert (error[:-1] == np.inf).all()
        assert value[-1] == pytest.approx([np.cos(2.0), -np.sin(2.0)][order - 1], rel=1e-9)


@pytest.mark.parametrize("method", ["auto", "extrapolation", "central"])
def test_functions_as_wide_as_their_points_have_derivatives_far_from_zero(method):
    for function, slope, point in (
        (lambda x: x - 1e8, 1.0, 1e8),
        (lambda x: (x - 1e8) ** 2, 0.0, 1e8),
        (lambda x: x**2, 2e150, 1e150),
        (np.log, 1e-30, 1e30),
        (lambda x: np.cos(x / 1e30), -np.sin(1.0) / 1e30, 1e30),
    ):
        value = gpugrad.derivative_of(function, method=method)(point)
        assert value == pytest.approx(slope, rel=1e-9, abs=1e-9 * abs(slope))


def test_second_derivatives_by_complex_steps_too_wide_are_nan():
    slope = gpugrad.derivative_of(np.sin, order=2)
    with pytest.warns(GpugradWarning, match="NaN at 1 of 2"):
        assert np.isnan(slope(np.array([1e8, 1.0]))).tolist() == [True, False]


@pytest.mark.sampled
@pytest.mark.parametrize("method", ["auto", "extrapolation", "central"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_waves_much_narrower_than_their_points_are_no_slow_ones(method, order):
    # Samples half a period apart, or a multiple of that, look like those of a slow wave.
    points = np.linspace(0.6, 1.9, 7)
    for frequency in (30.0, 100.0, 300.0, 1000.0, 10000.0):
        slope = gpugrad.derivative_of(
            lambda x, w=frequency: np.sin(w * x), order=order, method=method, return_error=True
        )
        value, error = slope(points)
        exact = frequency**order * np.sin(frequency * points + order * np.pi / 2)
        off = abs(value - exact)
        assert (off <= error + 1e-9 * frequency**order).all()
        assert (error <= 0.3 * frequency**order).all()
