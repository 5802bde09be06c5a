"""Any order and accuracy with one-sided ends: exactness, weights, orders of error, bits, errors."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from orders import needs_long_double, observe_unevenly, rounding

import gpugrad
from conftest import assert_like_numpy, assert_same_bits
from internals import Scheme, Side, Steps, plan_derivative

ONE_SIDED = (Side("one-sided"), Side("one-sided"))
ORDERS, ACCURACIES = range(1, 9), range(2, 13, 2)


def assert_exact_on_polynomials(x, spacing, degree, **keywords):
    """Check the derivative of every monomial up to a degree, at every row."""
    order = keywords["order"]
    bound = rounding(x.size, spacing, 1e-14, **keywords)
    for d in range(degree + 1):
        expected = math.perm(d, order) * x ** max(d - order, 0)
        got = gpugrad.derivative(x**d, spacing, **keywords)
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=bound)


@pytest.mark.sampled
@pytest.mark.parametrize("accuracy", ACCURACIES)
@pytest.mark.parametrize("order", ORDERS)
def test_polynomials_are_exact_on_even_samples(order, accuracy):
    x = np.linspace(-1.0, 1.0, 25)
    degree = order + accuracy - 1
    for h in (2 / 24, np.float64(2 / 24)):
        assert_exact_on_polynomials(
            x, h, degree, order=order, accuracy=accuracy, edge_accuracy=accuracy
        )


@pytest.mark.sampled
@pytest.mark.parametrize("accuracy", ACCURACIES)
@pytest.mark.parametrize("order", ORDERS)
def test_polynomials_are_exact_on_uneven_samples(rng, order, accuracy):
    x = np.cumsum(rng.uniform(0.5, 1.5, 25))
    x = (x - x.mean()) / np.ptp(x) * 2
    # By symmetry even orders gain a power on even samples, which they do not on uneven ones.
    degree = order + accuracy - 1 - (order % 2 == 0)
    for coordinates in (x, x[::-1]):
        assert_exact_on_polynomials(
            coordinates, coordinates, degree, order=order, accuracy=accuracy,
            edge_accuracy=accuracy,
        )  # fmt: skip


@pytest.mark.parametrize("edge_accuracy", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_edges_are_exact_up_to_their_accuracy(rng, order, edge_accuracy):
    x = np.cumsum(rng.uniform(0.5, 1.5, 15)) / 8 - 1
    keywords = {"order": order, "accuracy": 6, "edge_accuracy": edge_accuracy}
    inside = order + 5 - (order % 2 == 0)
    assert_exact_on_polynomials(x, x, min(order + edge_accuracy - 1, inside), **keywords)
    x = np.linspace(-1.0, 1.0, 17)
    assert_exact_on_polynomials(x, 0.125, order + edge_accuracy - 1, **keywords)


@cache
def sympys_weights(order, nodes):
    """Return the weight of each sample at some integers, for a derivative at 0."""
    import sympy

    weights = sympy.finite_diff_weights(order, [*map(sympy.Integer, nodes)], 0)[order][-1]
    return {k: Fraction(int(w.p), int(w.q)) for k, w in zip(nodes, weights, strict=True)}


@pytest.mark.sampled
@pytest.mark.parametrize("edge_accuracy", [None, 1, 3])
@pytest.mark.parametrize("accuracy", [2, 4, 8, 12])
@pytest.mark.parametrize("order", ORDERS)
def test_the_weights_of_every_row_are_sympys(order, accuracy, edge_accuracy):
    pytest.importorskip("sympy")
    if (edge_accuracy or 0) > accuracy or (order, accuracy) == (1, 2):
        pytest.skip("more accurate than inside, or NumPy's own formulas")
    scheme = Scheme(order, accuracy, edge_accuracy)
    for formula, _, _ in plan_derivative(0, 1.0, 30, scheme, ONE_SIDED, None).regions(30):
        nodes = range(min(formula.offsets), max(formula.offsets) + 1)
        expected = sympys_weights(order, nodes)
        got = {
            k: Fraction(w) / Fraction(formula.divisor)
            for k, w in zip(formula.offsets, formula.weights, strict=True)
        }
        assert got == {k: w for k, w in expected.items() if w}
        assert all(type(w) is (int if abs(w) == 1 else float) for w in formula.weights)


@needs_long_double
@pytest.mark.parametrize(
    ("order", "accuracy"),
    [(1, 2), (1, 4), (1, 6), (1, 8), (2, 2), (2, 4), (2, 6), (3, 2), (3, 4), (4, 2)],
)
def test_the_order_of_the_error_on_uneven_samples(order, accuracy):
    def sample(n):
        s = np.linspace(np.longdouble(0), np.longdouble(1), n + 1)
        x = s + s * (1 - s) * (s + 1) / 9
        derivatives = (np.sin, np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x))
        return x, np.sin(3 * x + 0.5), 3**order * derivatives[order % 4](3 * x + 0.5)

    observed = observe_unevenly(sample, order=order, accuracy=accuracy, edge_accuracy=accuracy)
    assert observed == pytest.approx(accuracy, abs=0.2)


def test_the_leading_error_is_that_of_the_stencil():
    h = 0.01
    x = np.arange(100) * h
    for order, accuracy in ((1, 4), (2, 2), (3, 2)):
        error = gpugrad.derivative(np.exp(x), h, order=order, accuracy=accuracy) - np.exp(x)
        c, power, _ = gpugrad.stencil(order, accuracy).error
        np.testing.assert_allclose(error[8:-8], float(c) * h**power * np.exp(x)[8:-8], rtol=2e-2)


@pytest.mark.parametrize("spacing", [1.0, 0.3, np.float64(0.3), np.float32(0.3), 3])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "c8", "i4"])
def test_accuracy_two_keeps_numpys_bits(xp, rng, dtype, spacing):
    xp.skip_unless_it_has(dtype)
    if not xp.exact or dtype == "f2":
        pytest.skip("NumPy's bits are for others")
    f = (rng.normal(size=(5, 6)) * 9).astype(dtype)
    x = np.cumsum(rng.uniform(0.5, 1.5, 6))
    for given in (spacing, x):
        for edge in (1, 2):
            expected = np.gradient(f, given, axis=1, edge_order=edge)
            got = gpugrad.derivative(xp.asarray(f), given, edge_accuracy=edge)
            assert_same_bits(got, expected)
    assert_same_bits(
        gpugrad.derivative(xp.asarray(f), spacing, axis=0), np.gradient(f, spacing, axis=0)
    )


@pytest.mark.sampled(exhaustive=2)
@pytest.mark.parametrize("uneven", [False, True])
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "i4"])
@pytest.mark.parametrize(("order", "accuracy"), [(1, 4), (2, 2), (3, 6)])
def test_every_library(xp, rng, order, accuracy, dtype, uneven):
    xp.skip_unless_it_has(dtype)
    f = (rng.normal(size=(3, 14)) * 9).astype(dtype)
    x = np.cumsum(rng.uniform(0.5, 1.5, 14)) if uneven else 0.7
    keywords = {"order": order, "accuracy": accuracy}
    expected = gpugrad.derivative(f, x, **keywords)
    smallest = np.min(np.diff(x)) if uneven else x
    scale = 40 * np.max(np.abs(f)) / smallest**order * 4**accuracy
    assert_like_numpy(xp, gpugrad.derivative(xp.asarray(f), x, **keywords), expected, scale)
    expected = gpugrad.derivative(f.T.copy(), x, axis=0, **keywords)
    got = gpugrad.derivative(xp.asarray(f.T.copy()), x, axis=0, **keywords)
    assert_like_numpy(xp, got, expected, scale)


def test_python_numbers_leave_float32_alone(xp):
    f = xp.asarray(np.linspace(0, 1, 20, dtype="f4") ** 2)
    for h in (0.5, 2):
        got = gpugrad.derivative(f, h, order=2, accuracy=6)
        assert gpugrad.asnumpy(got).dtype == np.float32


def test_the_derivative_of_a_constant_is_exactly_zero(rng):
    for order, accuracy in ((1, 4), (1, 8), (3, 4), (2, 2)):
        f = np.full(40, rng.normal())
        inside = gpugrad.derivative(f, 0.1, order=order, accuracy=accuracy, boundary="periodic")
        assert (inside == 0).all()


def test_gradient_takes_the_same_keywords(rng):
    f = rng.normal(size=(9, 10))
    y = np.cumsum(rng.uniform(0.5, 1.5, 9))
    for keywords in ({"accuracy": 4}, {"accuracy": 4, "edge_accuracy": 2}, {"boundary": "edge"},
                     {"edge_accuracy": 2}):  # fmt: skip
        got = gpugrad.gradient(f, y, 0.5, **keywords)
        for i, h in enumerate((y, 0.5)):
            assert_same_bits(got[i], gpugrad.derivative(f, h, axis=i, **keywords))
    assert_same_bits(
        gpugrad.gradient(f, edge_order=2, boundary=("one-sided", "one-sided"), axis=0),
        np.gradient(f, edge_order=2, axis=0),
    )
    assert gpugrad.gradient(f, accuracy=4, stack=True).shape == (2, 9, 10)
    out = np.empty_like(f)
    assert gpugrad.derivative(f, accuracy=4, out=out) is out
    assert_same_bits(out, gpugrad.derivative(f, accuracy=4))


def test_dates_masks_and_objects(rng):
    f = rng.normal(size=12)
    days = np.datetime64("2024-01-01") + np.cumsum(rng.integers(1, 9, 12)).astype("m8[D]")
    hours = (days - days[0]) / np.timedelta64(1, "h")
    keywords = {"order": 2, "accuracy": 4}
    expected = gpugrad.derivative(f, hours, **keywords)
    np.testing.assert_allclose(
        gpugrad.derivative(f, days, time_unit="h", **keywords), expected, rtol=1e-12
    )
    masked = np.ma.array(f, mask=[0] * 6 + [1] + [0] * 5)
    got = gpugrad.derivative(masked, **keywords)
    expected = gpugrad.derivative(f, **keywords)
    assert got.mask.sum() == 7  # what reads sample 6: five rows inside, and the two upper ones
    np.testing.assert_allclose(got[~got.mask], expected[~got.mask])
    np.testing.assert_allclose(gpugrad.derivative(f.astype(object), **keywords), expected)


def test_coordinates_that_may_not_be_read(rng):
    torch = pytest.importorskip("torch")
    f, x = rng.normal(size=12), np.cumsum(rng.uniform(0.5, 1.5, 12))
    for boundary in ("one-sided", "periodic", "reflect", {"normal": 1.0}, 2.0):
        keywords = {"order": 2, "accuracy": 4, "boundary": boundary}
        if boundary == "periodic":
            keywords["period"] = 30.0
        expected = gpugrad.derivative(f, x, **keywords)
        given = torch.from_numpy(x).requires_grad_()
        got = gpugrad.derivative(torch.from_numpy(f), given, **keywords)
        np.testing.assert_allclose(got.detach().numpy(), expected, rtol=1e-9, atol=1e-9)
        got.sum().backward()
        assert torch.isfinite(given.grad).all()
        h = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
        got = gpugrad.derivative(torch.from_numpy(f), h, **keywords)
        expected = gpugrad.derivative(f, 0.5, **keywords)
        np.testing.assert_allclose(got.detach().numpy(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.exhaustive(accuracy=4)
@pytest.mark.parametrize("accuracy", [2, 4])
@pytest.mark.parametrize("boundary", ["one-sided", "periodic", {"normal": 1.0}])
def test_it_runs_under_jit(rng, boundary, accuracy):
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    f, x = rng.normal(size=12), np.cumsum(rng.uniform(0.5, 1.5, 12))

    def second(f, x):
        return gpugrad.derivative(f, x, order=2, accuracy=accuracy, boundary=boundary)

    np.testing.assert_allclose(jax.jit(second)(f, x), second(f, x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("keywords", "error", "match"),
    [
        ({"order": 0}, ValueError, "`order` must be from 1 to 8; got 0"),
        ({"order": 9}, ValueError, "`order` must be from 1 to 8; got 9"),
        ({"order": 1.0}, TypeError, "`order` must be an integer"),
        ({"order": True}, TypeError, "`order` must be an integer"),
        ({"accuracy": 3}, ValueError, "`accuracy` must be an even number from 2 to 12.* got 3"),
        ({"accuracy": 14}, ValueError, "`accuracy` must be an even number from 2 to 12.* got 14"),
        ({"accuracy": "4"}, TypeError, "`accuracy` must be an integer"),
        ({"edge_accuracy": 0}, ValueError, "`edge_accuracy` must be from 1 to .* 2; got 0"),
        ({"edge_accuracy": 3}, ValueError, "`edge_accuracy` must be from 1 to .* 2; got 3"),
        ({"edge_accuracy": 1.5}, TypeError, "`edge_accuracy` must be an integer"),
        ({"accuracy": 8}, ValueError,
         r"axis 0 .* at least 9 samples with order=1, accuracy=8 .* accuracy=6 would fit"),
        ({"accuracy": 8, "edge_accuracy": 1}, ValueError, "at least 8 samples.* accuracy=6 would"),
        ({"order": 8}, ValueError, "at least 10 samples.* Even accuracy=2 needs 10 samples"),
        ({"axis": None}, TypeError, "`axis` must be one integer"),
        ({"axis": (0,)}, TypeError, "`axis` must be one integer"),
        ({"axis": 1}, ValueError, "axis"),
        ({"spacing": 1e-200, "order": 2}, ValueError, "power 2 within the range of floats"),
        ({"spacing": [0, 1, 2, 4, 1.5, 5, 6], "accuracy": 2}, None, ""),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*not monotonic.*:UserWarning")
def test_wrong_arguments(keywords, error, match):
    f = np.zeros(7)
    if error is None:
        gpugrad.derivative(f, **keywords)
        return
    with pytest.raises(error, match=match):
        gpugrad.derivative(f, **keywords)


@pytest.mark.filterwarnings("ignore:.*not monotonic.*:UserWarning")
def test_coordinates_that_come_back_within_a_formula():
    x = [0, 1, 2, 3, 1, 5, 6.0, 7]
    with pytest.raises(ValueError, match="must not return to the same place"):
        gpugrad.derivative(np.zeros(8), x, accuracy=4)


@pytest.mark.parametrize("order", [1, 2, 5])
@pytest.mark.parametrize("accuracy", [2, 6])
def test_the_shortest_axes(rng, order, accuracy):
    n = order + accuracy
    x = np.cumsum(rng.uniform(0.5, 1.5, n))
    f = x**order
    for h in (x, Steps):
        if h is Steps:
            h, f = 0.5, (0.5 * np.arange(n)) ** order
        got = gpugrad.derivative(f, h, order=order, accuracy=accuracy, edge_accuracy=accuracy)
        np.testing.assert_allclose(got, math.factorial(order), rtol=1e-6)
        with pytest.raises(ValueError, match=f"at least {n} samples"):
            gpugrad.derivative(f[1:], order=order, accuracy=accuracy, edge_accuracy=accuracy)


def test_a_call_that_comes_again_is_planned_once_and_checked_as_before(rng, monkeypatch):
    from internals import _axes

    f = rng.normal(size=(9, 8))
    before = gpugrad.laplacian(f, 0.3, accuracy=4), gpugrad.derivative(f, 0.3, boundary="periodic")
    monkeypatch.setattr(_axes, "plan_derivative", None)
    again = gpugrad.laplacian(f, 0.3, accuracy=4), gpugrad.derivative(f, 0.3, boundary="periodic")
    for got, wanted in zip(again, before, strict=True):
        assert_same_bits(got, wanted)
    f[:] = np.sin(np.linspace(0, 2 * np.pi, 8))
    with pytest.warns(UserWarning, match="the last sample repeats the first"):
        gpugrad.derivative(f, 0.3, boundary="periodic")
    for wrong in ({"order": True}, {"accuracy": [4]}, {"accuracy": 4.0}):
        with pytest.raises((TypeError, ValueError), match="must be"):
            gpugrad.derivative(f, 0.3, **wrong)


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">c16", ">i4", ">f2"])
@pytest.mark.parametrize("lazy", [False, True], ids=["memory", "dask"])
def test_big_endian_samples_have_the_results_of_native_ones(rng, dtype, lazy):
    f = (9 * rng.normal(size=(20, 15))).astype(dtype)
    native = f.astype(f.dtype.newbyteorder("="))
    where = rng.random(f.shape) > 0.2
    if lazy:
        f = pytest.importorskip("dask.array").from_array(f, chunks=6)
    for operator, options in (
        (gpugrad.laplacian, {}),
        (gpugrad.derivative, {"order": 2}),
        (gpugrad.derivative, {"accuracy": 4, "where": where}),
        (gpugrad.gradient_norm, {"accuracy": 4}),
    ):
        found = operator(f, **options)
        assert gpugrad.asnumpy(found).dtype == found.dtype
        assert_same_bits(
            gpugrad.asnumpy(found).astype(found.dtype.newbyteorder("=")),
            operator(native, **options),
        )
