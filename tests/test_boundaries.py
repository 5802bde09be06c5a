"""Each boundary against a padded field, exact functions, every engine and every library."""

from __future__ import annotations

import math
from importlib.util import find_spec

import numpy as np
import pytest
from orders import make_plan, rounding

import gpugrad
from conftest import assert_like_numpy, assert_same_bits
from internals import TABLE, Scheme, parse_boundaries

GIVEN = {"constant": 0.75, "normal": -0.4}
BOUNDARIES = {name: {name: GIVEN[name]} if row.value else name for name, row in TABLE.items()}


def pad(f, x, boundary, width, period):
    """Return a field and its coordinates, longer by what a boundary says lies beyond the ends."""
    values = {
        "periodic": lambda: np.pad(f, width, mode="wrap"),
        "reflect": lambda: np.pad(f, width, mode="reflect"),
        "symmetric": lambda: np.pad(f, width, mode="symmetric"),
        "edge": lambda: np.pad(f, width, mode="edge"),
        "constant": lambda: np.pad(f, width, constant_values=GIVEN["constant"]),
        "odd-reflect": lambda: np.pad(f, width, mode="reflect") * signs,
        "odd-symmetric": lambda: np.pad(f, width, mode="symmetric") * signs,
    }
    signs = np.pad(np.ones(f.size), width, constant_values=-1)
    gaps = np.diff(x)
    if boundary == "periodic":
        whole = np.append(gaps, period - np.ptp(x))
        beyond = np.pad(whole, width, mode="wrap")[: 2 * width + gaps.size]
    elif boundary.endswith(("reflect", "symmetric")):
        half = boundary.endswith("symmetric")
        first = np.append(gaps[0], gaps) if half else gaps
        last = np.append(gaps[::-1][0], gaps[::-1]) if half else gaps[::-1]
        beyond = np.concatenate([first[:width][::-1], gaps, last[:width]])
    else:
        beyond = np.pad(gaps, width, mode="edge")
    start = x[0] - beyond[:width].sum()
    return values[boundary](), start + np.append(0.0, np.cumsum(beyond))


@pytest.mark.parametrize("is_even", [True, False], ids=["even", "uneven"])
@pytest.mark.parametrize(
    ("order", "accuracy"), [(1, 2), (1, 4), (1, 8), (2, 2), (2, 6), (3, 4), (4, 2)]
)
@pytest.mark.parametrize("name", sorted(TABLE.keys() - {"one-sided", "normal"}))
def test_a_boundary_is_what_padding_would_do(rng, name, order, accuracy, is_even):
    n = 17
    f = rng.normal(size=n)
    x = np.arange(n) * 0.3 if is_even else np.cumsum(rng.uniform(0.5, 1.5, n))
    period = 0.3 * n if is_even else np.ptp(x) + 0.8
    width = Scheme(order, accuracy).reach
    padded, longer = pad(f, x, name, width, period)
    keywords = {"order": order, "accuracy": accuracy}
    expected = gpugrad.derivative(padded, 0.3 if is_even else longer, **keywords)[width:-width]
    given = {"boundary": BOUNDARIES[name], **keywords}
    if name == "periodic":
        given["period"] = period
    got = gpugrad.derivative(f, 0.3 if is_even else x, **given)
    largest = np.abs(f).max()
    bound = largest * rounding(padded.size, 0.3 if is_even else longer, 1e-15, **keywords)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=100 * bound)
    if is_even:
        assert_same_bits(got[width:-width], expected[width:-width])
    # Towards falling coordinates, odd derivatives change their sign.
    back = gpugrad.derivative(f[::-1], -0.3 if is_even else x[::-1], **given)[::-1]
    np.testing.assert_allclose(back, got, rtol=1e-9, atol=100 * bound)


@pytest.mark.parametrize(
    ("order", "accuracy"), [(1, 2), (1, 4), (2, 2), (2, 4), (3, 2), (5, 6), (8, 2)]
)
def test_no_boundary_reads_beyond_the_field(order, accuracy):
    scheme = Scheme(order, accuracy)
    for name, boundary in BOUNDARIES.items():
        ((lower, _),) = parse_boundaries(boundary, [0], 1)
        shortest = max(2 * scheme.reach, TABLE[name].needs(scheme.at(lower)))
        for n in (shortest, shortest + 1, 30):
            x = np.arange(n) ** 1.5
            for spacing in (0.5, x):
                plan = make_plan(n, spacing, boundary=boundary, order=order, accuracy=accuracy)
                assert len(plan.lower) == len(plan.upper) == scheme.reach
                for formula, start, stop in plan.regions(n):
                    assert min(formula.offsets) + start >= 0
                    assert max(formula.offsets) + stop <= n
                    assert len({*formula.offsets}) == len(formula.offsets) or (
                        formula[:2] == ((0, 0), (1, -1))
                    )
            f = np.ones(n)
            assert (
                gpugrad.derivative(f, boundary=boundary, order=order, accuracy=accuracy).size == n
            )
            with pytest.raises(ValueError, match=f"at least {shortest} samples"):
                gpugrad.derivative(
                    f[: shortest - 1], boundary=boundary, order=order, accuracy=accuracy
                )


@pytest.mark.sampled
@pytest.mark.parametrize("accuracy", [2, 4, 6, 8])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("is_even", [True, False], ids=["even", "uneven"])
def test_a_given_slope_is_as_good_as_a_sample(rng, order, accuracy, is_even):
    """Polynomials up to the degree of the scheme are exact at each row."""
    n = 21
    x = np.linspace(-1, 1, n) if is_even else np.cumsum(rng.uniform(0.5, 1.5, n)) / n - 1
    spacing = 2 / (n - 1) if is_even else x
    degree = order + accuracy - 1 - (not is_even and order % 2 == 0)
    keywords = {"order": order, "accuracy": accuracy}
    bound = 100 * rounding(n, spacing, 1e-15, **keywords)
    for d in range(degree + 1):
        f, slope = x**d, d * x ** max(d - 1, 0)
        boundary = ({"normal": -slope[0]}, {"normal": slope[-1]})
        got = gpugrad.derivative(f, spacing, boundary=boundary, **keywords)
        np.testing.assert_allclose(got, math.perm(d, order) * x ** max(d - order, 0), atol=bound)
        turned = boundary[::-1]
        x_turned = -2 / (n - 1) if is_even else x[::-1]
        back = gpugrad.derivative(f[::-1], x_turned, boundary=turned, **keywords)[::-1]
        np.testing.assert_allclose(back, got, rtol=1e-9, atol=bound)


def test_the_first_derivative_at_the_edge_is_the_given_one(rng):
    f, x = rng.normal(size=12), np.cumsum(rng.uniform(0.5, 1.5, 12))
    for spacing in (0.3, np.float64(0.3), x):
        for accuracy in (2, 4):
            boundary = ({"normal": 0.1}, {"normal": 0.7})
            got = gpugrad.derivative(f, spacing, accuracy=accuracy, boundary=boundary)
            np.testing.assert_allclose(got[[0, -1]], [-0.1, 0.7], rtol=1e-15)
    for spacing in (0.3, x):
        got = gpugrad.derivative(f, spacing, accuracy=4, boundary="reflect")
        assert got[0] == got[-1] == 0


def test_what_cancels_is_not_read():
    f = np.arange(9.0)
    f[1] = np.nan
    assert gpugrad.derivative(f, boundary="reflect")[0] == 0
    assert np.isnan(gpugrad.derivative(f, boundary="reflect")[[2]]).all()
    assert make_plan(9, 1.0, order=2, accuracy=2, boundary="odd-reflect").lower == (
        ((0,), (-1,), 0.5, None),
    )


@pytest.mark.parametrize("dtype", ["f4", "f8", "c16"])
def test_a_periodic_axis_is_what_rolling_does(rng, dtype):
    f = rng.normal(size=(7, 9)).astype(dtype)
    for axis in (0, 1):
        before, after = np.roll(f, 1, axis), np.roll(f, -1, axis)
        got = gpugrad.derivative(f, 0.3, axis=axis, boundary="periodic")
        assert_same_bits(got, (after - before) / f.dtype.type(0.6))
        got = gpugrad.derivative(f, 0.5, axis=axis, order=2, boundary="periodic")
        assert_same_bits(got, (before + after - 2 * f) / f.dtype.type(0.25))
        far = np.roll(f, 2, axis) - np.roll(f, -2, axis)
        got = gpugrad.derivative(f, 0.5, axis=axis, accuracy=4, boundary="periodic")
        assert_same_bits(got, (far + 8 * after - 8 * before) / f.dtype.type(6))
    both = gpugrad.gradient(f, 0.5, boundary={0: "periodic", 1: ("one-sided", "reflect")})
    assert_same_bits(both[0], gpugrad.derivative(f, 0.5, axis=0, boundary="periodic"))
    assert_same_bits(both[1][:, :-1], np.gradient(f, 0.5, axis=1)[:, :-1])


def test_the_period(rng):
    n = 12
    x = np.cumsum(rng.uniform(0.5, 1.5, n))
    f = rng.normal(size=n)
    mean = (x[1] - x[0] + x[-1] - x[-2]) / 2
    inferred = gpugrad.derivative(f, x, boundary="periodic", accuracy=4)
    given = gpugrad.derivative(f, x, boundary="periodic", accuracy=4, period=np.ptp(x) + mean)
    np.testing.assert_allclose(inferred, given, rtol=1e-9)
    # On even samples another period is another gap, and the same one is no other scheme.
    assert_same_bits(
        gpugrad.derivative(f, 0.1, boundary="periodic", period=1.2),
        gpugrad.derivative(f, 0.1, boundary="periodic"),
    )
    even = np.arange(n) * 0.1
    wide = gpugrad.derivative(f, 0.1, boundary="periodic", accuracy=4, period=1.5)
    x = np.append(even[:-1], even[-1] + 1e-12)  # not quite even
    np.testing.assert_allclose(
        wide, gpugrad.derivative(f, x, boundary="periodic", accuracy=4, period=1.5), rtol=1e-6
    )
    f2 = np.stack([f, f[::-1]])
    got = gpugrad.gradient(f2, 1.0, 0.1, boundary={1: "periodic"}, period={-1: 1.5})
    assert_same_bits(got[1], gpugrad.derivative(f2, 0.1, boundary="periodic", period=1.5))


def random_calls(rng, count):
    for _ in range(count):
        shape = tuple(int(n) for n in rng.integers(18, 40, rng.integers(1, 4)))
        dtype = rng.choice(["f4", "f8", "c8", "c16", "i4", "f2"])
        f = np.asarray(rng.normal(size=shape) * 9, order=rng.choice(["C", "F"])).astype(dtype)
        axis = int(rng.integers(len(shape)))
        lower, upper = rng.choice(sorted(TABLE.keys() - {"periodic"}), 2)
        boundary = (BOUNDARIES[lower], BOUNDARIES[upper])
        if rng.random() < 0.25:
            boundary = "periodic"
        x = np.cumsum(rng.uniform(0.5, 1.5, shape[axis]))
        spacing = [0.3, np.float64(0.3), np.float32(0.3), x, x.astype("f4")][rng.integers(5)]
        keywords = {
            "axis": axis, "order": int(rng.integers(1, 5)), "boundary": boundary,
            "accuracy": int(2 * rng.integers(1, 5)), "edge_accuracy": int(rng.integers(1, 3)),
        }  # fmt: skip
        yield f, spacing, keywords


@pytest.mark.sampled(exhaustive=1)
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("backend", ["numpy", "compiled"])
def test_engines_agree_in_every_bit(backend, seed):
    if backend == "compiled" and not find_spec("llvmlite"):
        pytest.skip("llvmlite is not installed")
    for f, spacing, keywords in random_calls(np.random.default_rng(seed), 8):
        if backend == "compiled" and f.dtype == "f2":
            continue
        with np.errstate(over="ignore"):  # of half precision
            expected = gpugrad.derivative(f, spacing, backend="slices", **keywords)
            got = gpugrad.derivative(f, spacing, backend=backend, **keywords)
        assert_same_bits(got, expected)


@pytest.mark.sampled(exhaustive=2)
@pytest.mark.exhaustive(xp="jax")  # which compiles each of eight calls; others call it with less
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8"])
@pytest.mark.parametrize("name", TABLE)
def test_every_library(xp, rng, name, dtype):
    xp.skip_unless_it_has(dtype)
    f = (rng.normal(size=(2, 10)) * 9).astype(dtype)
    x = np.cumsum(rng.uniform(0.5, 1.5, 10))
    for spacing in (0.7, x):
        for order, accuracy in ((1, 2), (2, 4)):
            keywords = {"order": order, "accuracy": accuracy, "boundary": BOUNDARIES[name]}
            expected = gpugrad.derivative(f, spacing, backend="slices", **keywords)
            scale = 1e3 * np.abs(f).max()
            got = gpugrad.derivative(xp.asarray(f), spacing, **keywords)
            assert_like_numpy(xp, got, expected, scale)


def test_masked_arrays_and_objects(rng):
    f = rng.normal(size=12)
    masked = np.ma.array(f, mask=[0] * 11 + [1])
    for boundary in BOUNDARIES.values():
        expected = gpugrad.derivative(f, 0.5, boundary=boundary)
        got = gpugrad.derivative(masked, 0.5, boundary=boundary)
        assert type(got) is np.ma.MaskedArray
        np.testing.assert_allclose(got[~got.mask], expected[~got.mask])
        np.testing.assert_allclose(
            gpugrad.derivative(f.astype(object), 0.5, boundary=boundary), expected
        )
    single = gpugrad.derivative(masked.astype("f4"), 0.5, boundary=0.7)
    assert single.dtype == np.float32


def test_a_repeated_end_point_is_warned_of(xp):
    angle = np.linspace(0, 2 * np.pi, 9)
    f = np.cos(angle)  # the last is the first, to the bit
    f[-1] = f[0]
    match = "the last sample repeats the first"
    with pytest.warns(UserWarning, match=match) as record:
        gpugrad.derivative(f, boundary="periodic")
    assert record[0].filename == __file__
    with pytest.warns(UserWarning, match=match) as record:
        gpugrad.gradient(np.stack([f, f + 1]), boundary="periodic", axis=(1,))
    assert record[0].filename == __file__
    for silent in (f[:-1], np.ones(5), np.zeros((4, 0))):
        gpugrad.derivative(silent, axis=0, boundary="periodic")


def test_lazy_fields_are_not_computed_for_the_warning():
    da = pytest.importorskip("dask.array")
    import dask

    def fail(*args, **keywords):
        raise AssertionError("computed")

    with dask.config.set(scheduler=fail):
        lazy = gpugrad.derivative(da.zeros(9, chunks=3), boundary="periodic")
        with pytest.raises(AssertionError, match="computed"):
            lazy.compute()
    assert (lazy.compute() == 0).all()


@pytest.mark.parametrize(
    ("keywords", "error", "match"),
    [
        ({"boundary": "round"}, ValueError, '"edge", a number .*here that is "periodic"|got'),
        ({"boundary": "constant"}, ValueError, "Here that is a number, the field beyond the end"),
        ({"boundary": "half-symmetric"}, ValueError, 'Here that is "symmetric".'),
        ({"boundary": "nearest"}, ValueError, 'Here that is "edge".'),
        ({"boundary": "Neumann"}, ValueError, 'Here that is {"normal": 0.0}, the outward slope'),
        ({"boundary": "dirichlet"}, ValueError, "Here that is a number, .* such as 0.0"),
        ({"boundary": "antisymmetric"}, ValueError, 'that is "odd-symmetric" .* "odd-reflect"'),
        ({"boundary": "mirror"}, ValueError, 'Here that is "reflect".'),
        ({"boundary": {"neumann": 0.0}}, ValueError, "got 'neumann'. Here that is"),
        ({"boundary": {0: "edge", 1: "edge"}}, ValueError, "axes to differentiate along, 0; got 1"),
        ({"boundary": {0: "edge", -1: "edge"}}, ValueError, "each axis once; got 0 twice"),
        ({"boundary": {"x": "edge"}}, TypeError, "axes for keys .* got 'x'. Names of axes belong"),
        ({"boundary": {True: "edge"}}, TypeError, "axes for keys .* got True"),
        ({"boundary": {0: {0: "edge"}}}, TypeError, "got {0: 'edge'}, a dict"),
        ({"boundary": {"slope": 1}}, ValueError, "got 'slope'. Here that is"),
        ({"boundary": {"normal": "1"}}, TypeError, "got '1', a str"),
        ({"boundary": None}, TypeError, "got None"),
        ({"boundary": True}, TypeError, "got True, a bool"),
        ({"boundary": 1j}, TypeError, "real number"),
        ({"boundary": math.nan}, ValueError, "must be finite"),
        ({"boundary": {"normal": math.inf}}, ValueError, "must be finite"),
        ({"boundary": ("edge",)}, ValueError, "must be a pair .* got 1 entries"),
        ({"boundary": ("edge",) * 3}, ValueError, "must be a pair .* got 3 entries"),
        ({"boundary": ["edge"] * 3}, ValueError, "3 entries. Where axes differ, pass a dict"),
        ({"boundary": ["periodic", "one-sided"]}, ValueError, "or none; .* Where axes differ"),
        ({"boundary": ("periodic", "edge")}, ValueError, "at both ends or none"),
        ({"period": 3.0}, ValueError, "`period` must go with periodic axes; got 3.0"),
        ({"period": 0.0}, ValueError, "`period` must go with periodic axes; got 0.0"),
        ({"boundary": "periodic", "period": -1}, ValueError, "positive and finite; got -1.0"),
        ({"boundary": "periodic", "period": 0}, ValueError, "positive and finite; got 0.0"),
        ({"boundary": "periodic", "period": "9"}, TypeError, "must be a real number; got '9'"),
        ({"boundary": "periodic", "period": 6.0}, ValueError, "the last sample repeats the first"),
        ({"boundary": "periodic", "period": 5.0}, ValueError, "first sample to .* 6.0; got 5"),
        ({"boundary": "periodic", "period": [7.0]}, TypeError, "a dict where axes .* got .7.0"),
        ({"boundary": "periodic", "period": 25.0, "spacing": np.arange(7.0) ** 2 + np.arange(7)},
         ValueError, "from the first sample to the last, 42.0; got 25"),
        ({"boundary": "periodic", "accuracy": 8}, ValueError, "at least 9 .* accuracy=6 would fit"),
        ({"boundary": ("edge", "reflect"), "accuracy": 8}, ValueError,
         'boundary "edge" and "reflect"; got length 7. accuracy=6 would fit'),
    ],
)  # fmt: skip
def test_wrong_arguments(keywords, error, match):
    with pytest.raises(error, match=match):
        gpugrad.derivative(np.arange(7.0), **keywords)


@pytest.mark.filterwarnings("ignore:.*lose their fractions")
def test_numbers_do_not_go_with_dates():
    dates = np.array(["2024-01-01", "2024-01-02", "2024-01-05", "2024-01-09"], "M8[D]")
    with pytest.raises(TypeError, match="must be a name for a field of dates"):
        gpugrad.derivative(dates, boundary=1.0)
    assert gpugrad.derivative(dates, boundary="reflect")[0] == np.timedelta64(0, "D")
