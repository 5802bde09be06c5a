"""Calls that come again are found by their kind: with the bits, and the checks, of first calls."""

from __future__ import annotations

import re
import sys
import threading
import warnings

import numpy as np
import pytest

import gpugrad
from conftest import as_tuple, assert_same_bits
from internals import dispatch, numpy_calls, offers, prepared, prepared_shapes, ready

X = np.cumsum(np.random.default_rng(1).uniform(0.2, 2, 12))
FIELDS = {
    "f8": np.random.default_rng(2).normal(size=(12, 12)),
    "f4": np.random.default_rng(3).normal(size=(12, 12)).astype("f4"),
    "i4": np.arange(144, dtype="i4").reshape(12, 12) ** 2,
    "c8": (np.arange(144) * (1 + 2j)).astype("c8").reshape(12, 12),
    ">f8": np.arange(144, dtype=">f8").reshape(12, 12) ** 0.5,
    "Fortran": np.asfortranarray(np.random.default_rng(4).normal(size=(12, 12))),
}
SPACINGS = [
    (X.astype("f4"),), (X,), (), (0.3,), (-2.5,), (np.float64(0.3),), (np.float32(0.3),), (2,),
    (np.int64(2),), (np.arange(12) ** 2,), (X[::-1],), (np.arange(12.0),), (1,), (1.0,), (True,),
]  # fmt: skip
"""Each is a variant of a key: what is right for one would be wrong for another."""


@pytest.mark.sampled
@pytest.mark.parametrize("dtype", FIELDS)
@pytest.mark.parametrize("options", [{}, {"edge_order": 2}, {"accuracy": 4}, {"axis": 1}], ids=str)
def test_no_kind_is_taken_for_another(dtype, options):
    f = FIELDS[dtype]
    mixed = [(X, 0.3), (X, 0.5), (X, np.float32(0.3)), (0.3, X), (0.5, X[::-1]), (X, X**2)]
    pairs = [h * 2 for h in SPACINGS] + mixed
    if "axis" in options:
        pairs = SPACINGS
    for spacings in (pairs, pairs[::-1]):
        prepared._calls.clear()
        for h in spacings * 3:  # planned, settled, and as it comes from then on
            try:
                wanted = gpugrad.gradient(f, *h, **options, backend="slices")
            except TypeError:
                with pytest.raises(TypeError, match="real number"):
                    gpugrad.gradient(f, *h, **options)
                continue
            got = gpugrad.gradient(f, *h, **options)
            for a, b in zip(as_tuple(got), as_tuple(wanted), strict=True):
                assert_same_bits(a, b)


OPERATORS = {
    "laplacian": lambda f: gpugrad.laplacian(f, 0.5, 0.25),
    "accuracy": lambda f: gpugrad.laplacian(f, accuracy=4),
    "norm": lambda f: gpugrad.gradient_norm(f, 0.3),
    "derivative": lambda f: gpugrad.derivative(f, 0.3, order=3, axis=0),
    "boundary": lambda f: gpugrad.laplacian(f, 0.3, boundary=2.5),
    "mirror": lambda f: gpugrad.gradient(f, 0.3, boundary="reflect", stack=True),
    "curl": lambda f: gpugrad.curl((f, f[::-1]), 0.3),
    "twice": lambda f: gpugrad.divergence((f, f), 0.3),
    "jacobian": lambda f: gpugrad.jacobian([f, 2 * f], 0.3),
    "hessian": lambda f: gpugrad.hessian(f, 0.3, 0.7),
    "stacked": lambda f: gpugrad.hessian(f, accuracy=4, boundary="reflect", stack=True),
    "vector": lambda f: gpugrad.vector_laplacian(np.stack([f, f + 1]), stack=True),
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("patience", [0.0, 1e9], ids=["compiled", "not compiled"])
@pytest.mark.parametrize("shape", [(9, 10), (90, 100)], ids=str)
def test_operators_have_the_bits_of_the_reference(name, patience, shape, monkeypatch):
    """Whether a program has come or not, and for a field that no program here is for."""
    if not patience:
        pytest.importorskip("llvmlite")
    monkeypatch.setattr(offers, "PATIENCE", patience)
    monkeypatch.setattr(ready, "_LOOK_SECONDS", 0.0)
    rng = np.random.default_rng(5)
    with gpugrad.use_backend(threads=1):  # what is compiled is there at once
        for k in range(150 if shape < (10,) else 12):
            f = rng.normal(size=shape)
            got = OPERATORS[name](f)
            if k in (0, 1, 2, 3, 5, 11, 62, 66, 130, 149):
                with gpugrad.use_backend("slices"):
                    wanted = OPERATORS[name](f)
                assert_same_bits(np.array(got), np.array(wanted))
        f = np.asfortranarray(f)[::-1]  # which no program here is for
        with gpugrad.use_backend("slices"):
            wanted = OPERATORS[name](f)
        assert_same_bits(np.array(OPERATORS[name](f)), np.array(wanted))


OF_LINES = {
    "plain": lambda f: gpugrad.gradient(f),
    "ends": lambda f: gpugrad.gradient(f, 0.3, edge_order=2),
    "number": lambda f: gpugrad.gradient(f, np.float64(0.1) * len(f)),
    "accuracy": lambda f: gpugrad.gradient(f, accuracy=6),
    "derivative": lambda f: gpugrad.derivative(f, 0.3, order=3, accuracy=4),
    "mirror": lambda f: gpugrad.derivative(f, boundary="reflect"),
    "antisymmetric": lambda f: gpugrad.derivative(f, order=2, boundary="odd-symmetric"),
    "constant": lambda f: gpugrad.gradient(f, boundary=2.5),
    "coordinates": lambda f: gpugrad.gradient(f, np.arange(len(f)) ** 1.5),
    "uneven ends": lambda f: gpugrad.gradient(f, boundary=("edge", "extrapolate")),
    "windows": lambda f: gpugrad.derivative(f, stagger="left"),
    "Laplacian": lambda f: gpugrad.laplacian(f, 0.5),
}


@pytest.mark.sampled(exhaustive=1)
@pytest.mark.parametrize("dtype", FIELDS)
@pytest.mark.parametrize("name", [*OF_LINES, *(f"plane: {name}" for name in OPERATORS)])
def test_new_shapes_have_the_bits_of_the_reference(name, dtype, monkeypatch):
    """Most shapes come once; some come often, or are too short for what the others take."""
    monkeypatch.setattr(prepared_shapes, "OFTEN", 3)
    prepared._calls.clear()
    is_plane, rng = name.startswith("plane"), np.random.default_rng(6)
    call = OPERATORS[name.removeprefix("plane: ")] if is_plane else OF_LINES[name]
    big = np.asarray(100 * rng.normal(size=(50, 50))).astype(FIELDS[dtype].dtype)
    for k in range(70):
        shape = rng.integers(2, 50 if k % 3 else 9, 2)
        f = big[: shape[0], : shape[1]] if is_plane else big.reshape(-1)[: shape.prod()]
        f = f.copy("F" if dtype == "Fortran" else "C") if k % 5 else f
        for _ in range(5 if k % 7 == 0 else 1):
            try:
                with gpugrad.use_backend("slices"):
                    wanted = call(f)
            except ValueError as error:
                with pytest.raises(ValueError, match=re.escape(str(error))):
                    call(f)
                continue
            assert_same_bits(np.array(call(f)), np.array(wanted))


def test_new_shapes_are_served_by_one_call():
    """Also shapes that are written to, and those of three axes."""
    prepared._calls.clear()
    fields = [np.random.default_rng(n).normal(size=(n, 12, 20 - n)) for n in range(5, 15)]
    for f in fields:
        out = np.empty((3, *f.shape))
        assert gpugrad.gradient(f, 0.1, 0.2, 0.5, out=out, stack=True) is out
        assert_same_bits(out, np.stack(np.gradient(f, 0.1, 0.2, 0.5)))
    kinds = [type(entry.thing).__name__ for entry in prepared._calls._entries.values()]
    assert kinds.count("PreparedForShapes") == 1
    assert kinds.count("ShapeInUse") == 5  # from the second shape on, where axes are long enough


def test_programs_make_the_values_of_masked_arrays(monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.setattr(offers, "PATIENCE", 0.0)
    monkeypatch.setattr(ready, "_LOOK_SECONDS", 0.0)
    rng = np.random.default_rng(5)
    # What is compiled is there at once.
    with gpugrad.use_backend(threads=1), np.errstate(over="ignore"):
        for k in range(80):
            f = np.ma.array(rng.normal(size=(2, 9, 10)), mask=rng.random((2, 9, 10)) < 0.1)
            if k > 70:
                f[0, 1, k % 10] = 9e307  # too large for a program
            got = gpugrad.curl((f[0], f[1]), 0.5)
            if k in (0, 1, 2, 66, 70, 75, 79):
                with gpugrad.use_backend("slices"):
                    wanted = gpugrad.curl((f[0], f[1]), 0.5)
                assert (np.ma.getmaskarray(got) == np.ma.getmaskarray(wanted)).all()
                assert_same_bits(got.filled(0), wanted.filled(0))


def find_program(*kind):
    return prepared._calls.find(kind)._bound.call._program


def test_programs_come_and_warn_as_numpy_does(monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.setattr(offers, "PATIENCE", 0.0)
    monkeypatch.setattr(ready, "_LOOK_SECONDS", 0.0)
    f = np.linspace(0, 1, 30)
    with gpugrad.use_backend(threads=1):
        for _ in range(70):
            gpugrad.gradient(f)
    assert find_program("gradient", 1, (30,), f.dtype) is not None
    f[[4, 6]] = -1e308, 1e308
    with pytest.warns(RuntimeWarning, match="overflow encountered in subtract"):
        result = gpugrad.gradient(f)
    with np.errstate(over="ignore"):
        assert_same_bits(result, np.gradient(f))
        assert_same_bits(gpugrad.gradient(f), result)
    with np.errstate(over="raise"), pytest.raises(FloatingPointError, match="overflow"):
        gpugrad.gradient(f)


LARGE = {
    "gradient": (np.gradient, gpugrad.gradient),
    "stacked": (lambda f: np.stack(np.gradient(f)), lambda f: gpugrad.gradient(f, stack=True)),
    "axis": (lambda f: np.gradient(f, 0.3, axis=0), lambda f: gpugrad.gradient(f, 0.3, axis=0)),
}
REFERENCES = {name: (None, OPERATORS[name]) for name in ("norm", "accuracy", "jacobian")}


@pytest.mark.sampled(exhaustive=1)
@pytest.mark.parametrize("dtype", ["f8", "f4", "c16", "i2"])
@pytest.mark.parametrize("name", [*LARGE, *REFERENCES])
def test_larger_fields_are_launched_on_threads(name, dtype, monkeypatch):
    """On as many as each call may take, though blocks may be fewer; in C order alone."""
    pytest.importorskip("llvmlite")
    from internals import program_call

    launched = []
    launch = program_call._LaunchOnThreads._launch
    monkeypatch.setattr(
        program_call._LaunchOnThreads, "_launch",
        lambda self, arrays: launched.append(1) or launch(self, arrays),
    )  # fmt: skip
    monkeypatch.setattr(offers, "PATIENCE", 0.0)
    monkeypatch.setattr(ready, "_LOOK_SECONDS", 0.0)
    numpys, ours = (LARGE | REFERENCES)[name]
    big = (99 * np.random.default_rng(7).normal(size=(1 << 20, 3))).astype(dtype).reshape(-1)
    values = big[: (1 << 21) // big.itemsize // 60 * 60 + 600]
    for shape in ((60, -1), (-1, 6, 10)):
        f = values.reshape(shape)
        with gpugrad.use_backend("slices"):
            wanted = [ours(f) if numpys is None else numpys(f), ours(f[::-1])]
        with gpugrad.use_backend(threads=1):
            for _ in range(12):
                ours(f)
        launched.clear()
        for threads in (1, 2, 3, 64):
            with gpugrad.use_backend(threads=threads):
                for a, b in zip(as_tuple(ours(f)), as_tuple(wanted[0]), strict=True):
                    assert_same_bits(np.array(a), np.array(b))
        assert len(launched) == 4
        assert_same_bits(np.array(ours(f[::-1])), np.array(wanted[1]))


def test_larger_fields_warn_once_and_keep_their_results(monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.setattr(offers, "PATIENCE", 0.0)
    monkeypatch.setattr(ready, "_LOOK_SECONDS", 0.0)
    f = np.random.default_rng(8).normal(size=(700, 600))
    out = np.empty((2, 700, 600))
    with gpugrad.use_backend(threads=1):
        for _ in range(12):
            gpugrad.gradient(f, out=out, stack=True)
    f[[300, 302], 5], f[9, 9] = (np.inf, np.inf), np.nan
    with np.errstate(invalid="ignore"):
        wanted = np.stack(np.gradient(f))
    for _ in range(2):  # also where a field had some before
        for threads in (1, 2):
            with gpugrad.use_backend(threads=threads):
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    result = gpugrad.gradient(f, out=out, stack=True)
                assert [str(w.message) for w in caught] == ["invalid value encountered in subtract"]
                assert result is out
                assert_same_bits(out, wanted)
                with np.errstate(invalid="raise"), pytest.raises(FloatingPointError):
                    gpugrad.gradient(f, out=out, stack=True)
    f[300, 5] = 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same_bits(gpugrad.gradient(f, out=out, stack=True), np.stack(np.gradient(f)))


def test_larger_fields_have_what_a_program_does_not_take_from_the_engine_in_force(monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.setattr(offers, "PATIENCE", 0.0)
    monkeypatch.setattr(ready, "_LOOK_SECONDS", 0.0)
    seen = []
    monkeypatch.setattr(ready, "evaluate", lambda *a: seen.append(a) or dispatch.evaluate(*a))
    f = np.random.default_rng(0).normal(size=(90, 101))
    with gpugrad.use_backend(threads=1):
        for _ in range(4):
            gpugrad.laplacian(f)
        assert find_program("laplacian", 1, f.shape, f.dtype) is not None
        number = len(seen)
        gpugrad.laplacian(f)
        assert len(seen) == number
        swapped = np.asfortranarray(f)
        result = gpugrad.laplacian(swapped)
    assert len(seen) == number + 1
    assert_same_bits(result, gpugrad.laplacian(swapped, backend="slices"))


def test_programs_are_for_fields_in_c_order_however_the_first_one_lies(monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.setattr(offers, "PATIENCE", 0)
    monkeypatch.setattr(ready, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(ready, "_OFTEN", 2)
    f = np.random.default_rng(0).normal(size=(5, 6))
    with gpugrad.use_backend(threads=1):
        for lie in (np.asfortranarray, np.asfortranarray, np.flipud, np.copy, np.copy, np.fliplr):
            masked = np.ma.array(lie(f), mask=False)
            for result, numpys in zip(gpugrad.gradient(masked), np.gradient(masked), strict=True):
                assert_same_bits(result.data, numpys.data)


def test_coordinates_may_change_in_place():
    f, x = np.random.default_rng(0).normal(size=12), X.copy()
    for _ in range(4):
        assert_same_bits(gpugrad.gradient(f, x), np.gradient(f, x))
        x[5:] += 0.1
    x[3] = x[4]
    with pytest.raises(ValueError, match="duplicate coordinates"):
        gpugrad.gradient(f, x)
    x[3] = 1e9
    for _ in range(2):
        with pytest.warns(UserWarning, match="not monotonic"):
            gpugrad.gradient(f, x)


@pytest.mark.parametrize("shape", [(3,), (11,), (3, 5), (2, 6, 4)], ids=str)
@pytest.mark.parametrize("options", [{}, {"edge_order": 2}, {"accuracy": 4}], ids=str)
def test_new_coordinates_change_numbers_alone(shape, options):
    """They go up or down; now and then they are evenly apart, one by one, or at both ends."""
    if min(shape) <= options.get("accuracy", options.get("edge_order", 1)):
        shape = tuple(n + 3 for n in shape)
    rng = np.random.default_rng(7)
    for field, dtype in ("dd", "df", "fd", "ff", "id", "Dd", "Fd"):
        for k in range(8):
            xs = [rng.uniform(0.5, 1.5, n).cumsum().astype(dtype) for n in shape]
            if k % 3 == 1:
                xs[0] = -xs[0]
            if k in (4, 5):
                steps = rng.integers(1, 9, shape[-1]) / 8
                steps[-1] = steps[1]
                xs[-1] = steps.cumsum().astype(dtype)
            if k == 6:
                xs[0][:] = np.linspace(0, 1, shape[0])
            f = rng.normal(0, 99, shape).astype(field)
            got = gpugrad.gradient(f, *xs, **options)
            wanted = gpugrad.gradient(f, *xs, **options, backend="slices")
            for a, b in zip(as_tuple(got), as_tuple(wanted), strict=True):
                assert_same_bits(a, b)


RENEWED = {
    "gradient": gpugrad.gradient,
    "second order": lambda f, *h: gpugrad.gradient(f, *h, edge_order=2),
    "accuracy": lambda f, *h: gpugrad.gradient(f, *h, accuracy=4),
    "mirror": lambda f, *h: gpugrad.gradient(f, *h, boundary="reflect"),
    "norm": gpugrad.gradient_norm,
    "laplacian": gpugrad.laplacian,
    "twice": lambda f, *h: gpugrad.divergence((f,) * f.ndim, *h),
}


@pytest.mark.sampled(exhaustive=2)
@pytest.mark.parametrize("name", RENEWED)
@pytest.mark.parametrize("dtype", ["f8", "f4", "c16", "i4"])
@pytest.mark.parametrize("kind", ["numbers", "equal numbers", "coordinates"])
def test_programs_take_new_numbers(name, dtype, kind, monkeypatch):
    """A program reads equal numbers from one place, and has exact reciprocals of divisors."""
    pytest.importorskip("llvmlite")
    monkeypatch.setattr(offers, "PATIENCE", 0.0)
    monkeypatch.setattr(ready, "_LOOK_SECONDS", 0.0)
    prepared._calls.clear()
    operator, rng = RENEWED[name], np.random.default_rng(6)
    f = rng.normal(0, 99, (8, 9)).astype(dtype)

    def draw():
        if kind == "numbers":
            return [float(h) for h in rng.uniform(0.5, 1, 2)]
        if kind == "equal numbers":
            return [float(rng.uniform(0.5, 1))] * 2
        return [rng.uniform(0.5, 1.5, n).cumsum() for n in f.shape]

    def convert(h):
        return h.astype("f4") if dtype == "f4" and type(h) is np.ndarray else h

    special = [draw() for _ in range(3)]
    if kind != "coordinates":
        special += [(0.3, 0.3), (0.3, 0.6), (0.5, 0.3), (1.0, 1.0), (-0.3, 0.7), (1e-9, 1e9)]
        special += [(3.0, 8.0), (0.25, 0.5), (3.0, 6.0), (12.0, 16.0), (2.0, 1e-29)]
    else:
        xs = draw()
        even_ends = np.array([0, 0.375, 1, 2, 3, 4, 5, 5.375])
        special += [(-xs[0], xs[1]), (xs[0], np.arange(9.0)), (even_ends, xs[1])]
        special += [(even_ends * 10, xs[1]), (np.arange(8) ** 2 / 4.0, xs[1])]
        special += [(np.append(even_ends, 6)[:8], np.append(even_ends, 6)), (xs[0] * 1e30, xs[1])]
    with gpugrad.use_backend(threads=1):  # what is compiled is there at once
        for _ in range(140):
            operator(f, *map(convert, draw()))
        *_, entry = prepared._calls._entries.values()
        assert entry.thing._ready._program is not None
        for h in special * 2:
            with np.errstate(all="ignore"):
                h = [*map(convert, h)]
                got = operator(f, *h)
                with gpugrad.use_backend("slices"):
                    wanted = operator(f, *h)
            for a, b in zip(as_tuple(got), as_tuple(wanted), strict=True):
                assert_same_bits(a, b)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e308, -1e308])
@pytest.mark.parametrize("place", [0, 2, -1])
def test_new_coordinates_that_are_wrong_or_far_take_the_long_way(bad, place):
    f, x = np.random.default_rng(0).normal(size=12), X.copy()
    gpugrad.gradient(f, x)
    x[place] = bad

    def call(**options):
        with np.errstate(all="ignore"), warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                result = gpugrad.gradient(f, x, **options).tobytes()
            except ValueError as error:
                result = str(error)
        return result, [str(warning.message) for warning in told]

    assert call() == call(backend="slices")


@pytest.mark.parametrize("h", [0.0, -0.0, float("nan"), float("inf"), np.float64(0), 0])
def test_wrong_spacings_are_refused_after_right_ones(h):
    f = np.arange(9.0)
    for _ in range(3):
        gpugrad.gradient(f, type(h)(2))
    with pytest.raises(ValueError, match="finite and not zero"):
        gpugrad.gradient(f, h)


@pytest.mark.parametrize("h", [0.0, float("nan"), float("inf"), np.float64("nan"), 0, 10**400])
def test_wrong_numbers_beside_coordinates_are_refused_after_right_ones(h):
    f = np.ones((12, 9))
    for _ in range(3):
        gpugrad.gradient(f, X, type(h)(2))
    with pytest.raises(ValueError, match="finite and not zero"):
        gpugrad.gradient(f, X, h)


def test_what_is_zero_at_an_edge_is_so_for_every_spacing():
    f = np.full(9, 1e300)
    for h in (0.5, 1e-20, 1e20):
        assert_same_bits(gpugrad.gradient(f, h, boundary="reflect"), np.zeros(9))


@pytest.mark.parametrize("options", [{"accuracy": 2.0}, {"edge_order": True}, {"skipna": 0}])
def test_options_of_another_type_are_refused_after_right_ones(options):
    f = np.arange(9.0)
    for _ in range(3):
        gpugrad.gradient(f, **{name: int(value) or False for name, value in options.items()})
    with pytest.raises(TypeError, match="must be"):
        gpugrad.gradient(f, **options)


def test_pairs_of_booleans_are_no_boundary_after_numbers():
    f = np.arange(9.0)
    for _ in range(3):
        gpugrad.gradient(f, boundary=(0, 1))
    with pytest.raises(TypeError, match="`boundary` must be a name"):
        gpugrad.gradient(f, boundary=(False, True))


def test_fields_without_samples_have_results_without_any(monkeypatch):
    monkeypatch.setattr(ready, "_OFTEN", 2)
    monkeypatch.setattr(ready, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(offers, "PATIENCE", 0.0)
    plan = gpugrad.plan((5, 0), axis=0)
    for _ in range(6):
        assert gpugrad.gradient(np.zeros((5, 0)), axis=0, stack=True).shape == (1, 5, 0)
        assert gpugrad.laplacian(np.zeros((5, 0)), axis=0).shape == (5, 0)
        assert plan(np.zeros((5, 0))).shape == (5, 0)


def test_out_is_checked_in_each_call():
    f = np.random.default_rng(0).normal(size=(8, 9))
    wanted = np.gradient(f)
    for _ in range(3):
        out = np.empty_like(f), np.empty(f.shape, order="F")
        assert gpugrad.gradient(f, out=out)[1] is out[1]
        for got, expected in zip(out, wanted, strict=True):
            assert_same_bits(got, expected)
    for wrong in (np.empty((2, 8)), np.broadcast_to(0.0, f.shape), np.empty(f.shape, "i8")):
        with pytest.raises((TypeError, ValueError)):
            gpugrad.gradient(f, out=(np.empty_like(f), wrong))
    one = np.empty_like(f)
    with pytest.raises(ValueError, match="must not share memory"):
        gpugrad.gradient(f, out=(one, one))
    g = f.copy()
    gpugrad.gradient(g, out=(g, np.empty_like(g)))  # over the field itself
    assert_same_bits(g, wanted[0])
    half = np.empty(f.shape, "f4")
    gpugrad.gradient(f, out=(half, one))
    assert_same_bits(half, wanted[0].astype("f4"))


@pytest.mark.parametrize("dtype", FIELDS)
def test_hessians_take_the_spacings_of_each_call(dtype):
    f = FIELDS[dtype]
    x = X.copy()
    for h in ((0.3,), (0.5,), (0.3, x), (2, np.float64(0.5)), (), (x, x)) * 3:
        wanted = gpugrad.hessian(f, *h, backend="slices")
        for _ in range(2):
            assert_same_bits(np.array(gpugrad.hessian(f, *h)), np.array(wanted))
            assert_same_bits(gpugrad.hessian(f, *h, stack=True), np.array(wanted))
        x[6:] += 0.25
    for wrong in (0.0, float("nan")):
        with pytest.raises(ValueError, match="finite and not zero"):
            gpugrad.hessian(f, wrong)
    with pytest.raises(ValueError, match="says nothing of mixed derivatives"):
        gpugrad.hessian(f, boundary=5.0)


@pytest.mark.parametrize("shape", [(7,), (40, 41), (5, 6, 7), (34, 33, 32)], ids=str)
@pytest.mark.parametrize("dtype", ["f8", "f4", "i4"])
def test_stacked_hessians_are_written_to_one_array(shape, dtype):
    for seed in range(4):
        f = (99 * np.random.default_rng(seed).normal(size=shape)).astype(dtype)
        wanted = gpugrad.hessian(f, 0.3, stack=True, backend="slices")
        for each in (f, np.asfortranarray(f)):
            assert_same_bits(gpugrad.hessian(each, 0.3, stack=True), wanted)


def test_what_is_kept_has_a_limit(monkeypatch):
    monkeypatch.setattr(prepared._calls, "most_bytes", 1 << 16)
    for n in range(3, 300):
        f = np.arange(n) ** 2.0
        for _ in range(2):
            assert_same_bits(gpugrad.gradient(f), np.gradient(f))
    assert 2 < len(prepared._calls) <= (1 << 16) // prepared_shapes.ShapeInUse.nbytes


@pytest.mark.parametrize("patience", [0.0, 1e9], ids=["compiled", "not compiled"])
@pytest.mark.parametrize("x", [1.0, np.arange(20.0) ** 2 + np.arange(20)], ids=["h", "x"])
def test_threads_that_change_spacings_get_their_own(x, patience, monkeypatch):
    if not patience:
        pytest.importorskip("llvmlite")
    monkeypatch.setattr(offers, "PATIENCE", patience)
    monkeypatch.setattr(ready, "_LOOK_SECONDS", 0.0)
    prepared._calls.clear()
    f, wrong = np.random.default_rng(0).normal(size=20), []
    if not patience:
        with gpugrad.use_backend(threads=1):  # what is compiled is there at once
            for k in range(140):
                gpugrad.gradient(f, (0.1 + k) * x)

    def work(h):
        h = h * x
        wanted = np.gradient(f, h)
        wrong.extend(h for _ in range(300) if not np.array_equal(gpugrad.gradient(f, h), wanted))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(0.1 + k,)) for k in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong


def test_lists_of_numbers_are_fields():
    rows = [[1.0, 2.0, 4.0], [3.0, 5.0, 9.0]], [[1, 2], (2.5, 7)], ([1, 2], [4, 8])
    for f in ([1, 4, 9, 16], [1.0, 4.0, 9.5], [np.float64(1), 2, 4.0], (1, 2.5, 7), *rows):
        for _ in range(3):
            for got, wanted in zip(
                as_tuple(gpugrad.gradient(f)), as_tuple(np.gradient(f)), strict=True
            ):
                assert_same_bits(got, wanted)
    for f in ([1.0, None, 3.0], [True, False], [[1.0, 2.0], [3.0]], [[1.0], 2.0], [[], []]):
        with pytest.raises((TypeError, ValueError)):
            gpugrad.gradient(f)


def test_a_number_changes_numbers_alone(monkeypatch):
    """Another spacing makes no plan and no steps."""
    f = np.arange(9.0) ** 2
    gpugrad.derivative(f, 0.5, accuracy=4)

    def fail(*_):
        raise AssertionError("steps are made anew")

    monkeypatch.setattr(numpy_calls.SmallCall, "__init__", fail)
    for h in (0.25, 0.125, 3.0):
        got = gpugrad.derivative(f, h, accuracy=4)
        assert_same_bits(got, gpugrad.derivative(f, h, accuracy=4, backend="slices"))
