"""Operators planned once: calls, matrices, offsets and adjoints say the same."""

from __future__ import annotations

import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import gpugrad
from conftest import assert_same_bits
from internals import OPERATORS as OPERATORS_TABLE

SHAPE = (7, 6, 8)
OPERATORS = ["gradient", "derivative", "divergence", "curl", "laplacian", "jacobian", "hessian"]
BOUNDARIES = ["one-sided", "periodic", ("reflect", "odd-symmetric")]


def flatten(result):
    if isinstance(result, (tuple, list)):
        return np.concatenate([flatten(one) for one in result])
    return gpugrad.asnumpy(result).ravel()


def draw(operator, rng, dtype="float64"):
    shape = (3, *SHAPE) if operator in ("divergence", "curl", "jacobian") else SHAPE
    f = rng.normal(size=shape).astype(dtype)
    return f + 1j * rng.normal(size=shape) if np.dtype(dtype).kind == "c" else f


def like(values, shape):
    """Return values that a plan returns, nested as it takes them."""
    return values.reshape(-1, *shape)


def uneven(rng):
    return [np.cumsum(rng.uniform(0.5, 1.5, n)) for n in SHAPE]


def one_or_all(operator, spacing):
    return spacing[-1:] if operator == "derivative" else spacing


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("boundary", BOUNDARIES, ids=str)
def test_a_plan_has_the_bits_of_the_operator(operator, boundary, rng):
    spacing = one_or_all(operator, uneven(rng))
    f = draw(operator, rng)
    plan = gpugrad.plan(SHAPE, *spacing, operator=operator, boundary=boundary)
    expected = getattr(gpugrad, operator)(f, *spacing, boundary=boundary)
    for _ in range(2):
        assert_same_bits(flatten(plan(f)), flatten(expected))


@pytest.mark.sampled
@pytest.mark.parametrize("operator", OPERATORS)
def test_a_plan_works_in_every_library(operator, xp, rng):
    pytest.importorskip("scipy")
    f = draw(operator, rng)
    field = xp.asarray(f)
    plan = gpugrad.plan(SHAPE, 0.5, operator=operator, like=field)
    result = plan(field)
    expected = getattr(gpugrad, operator)(field, 0.5)
    first = result
    while isinstance(first, tuple):
        first = first[0]
    assert type(first) is type(field)
    assert np.abs(flatten(result) - flatten(expected)).max() < 1e-13
    values = plan.matrix() @ f.ravel()
    assert np.abs(flatten(result) - values).max() < 1e-12
    components = [xp.asarray(one) for one in like(values, SHAPE)]
    if operator in ("jacobian", "hessian"):
        components = [components[i : i + 3] for i in (0, 3, 6)]
    given = components if len(components) > 1 else components[0]
    back = flatten(plan.adjoint()(given))
    assert np.abs(back - plan.matrix().T @ values).max() < 1e-11


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("boundary", BOUNDARIES, ids=str)
@pytest.mark.parametrize("accuracy", [2, 4])
@pytest.mark.parametrize("is_even", [True, False])
def test_matrix_and_adjoint_are_the_plan(operator, boundary, accuracy, is_even, rng):
    pytest.importorskip("scipy")
    spacing = [0.5] if is_even else one_or_all(operator, uneven(rng))
    plan = gpugrad.plan(SHAPE, *spacing, operator=operator, boundary=boundary, accuracy=accuracy)
    f = draw(operator, rng)
    result, matrix = flatten(plan(f)), plan.matrix()
    scale = np.abs(matrix).max() * 10
    assert np.abs(matrix @ f.ravel() - result).max() < 1e-14 * scale
    assert not plan.offset().any()
    adjoint = plan.adjoint()
    assert np.abs(adjoint.matrix() - matrix.T).max() < 1e-14 * scale
    assert np.abs(adjoint.adjoint().matrix() - matrix).max() < 1e-14 * scale
    g = rng.normal(size=result.size)
    there = g.reshape(*plan._gives, *SHAPE)
    assert flatten(adjoint(there)) @ f.ravel() == pytest.approx(result @ g, rel=1e-11, abs=1e-9)


def test_adjoint_of_complex_fields_is_the_conjugate_transpose(rng):
    f, g = draw("laplacian", rng, "complex128"), draw("laplacian", rng, "complex128")
    plan = gpugrad.plan(SHAPE, 0.3, dtype="complex128", operator="laplacian", accuracy=4)
    there = np.vdot(plan(f), g)
    assert there == pytest.approx(np.vdot(f, plan.adjoint()(g)), rel=1e-12)


@pytest.mark.parametrize("operator", ["gradient", "derivative", "divergence", "laplacian"])
def test_given_values_and_slopes_are_the_offset(operator, rng):
    pytest.importorskip("scipy")
    f = draw(operator, rng)
    plan = gpugrad.plan(SHAPE, 0.5, operator=operator, boundary=(2.5, {"normal": -1.0}), accuracy=4)
    result = flatten(plan(f))
    assert np.abs(plan.offset()).max() > 0.1
    assert_same_bits(plan.offset(), flatten(plan(np.zeros_like(f))))
    assert np.abs(plan.matrix() @ f.ravel() + plan.offset() - result).max() < 1e-12
    assert not plan.adjoint().offset().any()


def test_lines_with_coordinates_of_their_own_have_a_matrix_and_an_adjoint(rng):
    pytest.importorskip("scipy")
    x = np.cumsum(rng.uniform(0.5, 1.5, SHAPE), axis=1)
    options = {"operator": "derivative", "axis": 1, "accuracy": 4}
    plan = gpugrad.plan(SHAPE, x, **options)
    f, g = rng.normal(size=(2, *SHAPE))
    matrix = plan.matrix()
    assert np.abs(matrix @ f.ravel() - plan(f).ravel()).max() < 1e-11
    assert np.abs(matrix.T @ g.ravel() - plan.adjoint()(g).ravel()).max() < 1e-11


def test_other_axes_are_gone_through_one_by_one(rng):
    pytest.importorskip("scipy")
    v = rng.normal(size=(2, 4, 6, 5))
    plan = gpugrad.plan((4, 6, 5), operator="curl", axis=(1, 2))
    assert_same_bits(plan(v), gpugrad.curl(v, axis=(1, 2)))
    assert np.abs(plan.matrix() @ v.ravel() - plan(v).ravel()).max() < 1e-13
    g = rng.normal(size=(4, 6, 5))
    assert len(plan.adjoint()(g)) == 2


def test_results_go_to_out_or_into_one_array(rng):
    f = rng.normal(size=SHAPE)
    expected = np.stack(gpugrad.gradient(f))
    plan = gpugrad.plan(SHAPE)
    out = tuple(np.empty((3, *SHAPE)))
    assert plan(f, out=out)[1] is out[1]
    assert_same_bits(np.stack(out), expected)
    stacked = gpugrad.plan(SHAPE, stack=True)
    assert_same_bits(stacked(f), expected)
    assert gpugrad.plan(SHAPE, operator="hessian", stack=True)(f).shape == (3, 3, *SHAPE)
    assert stacked.adjoint()(expected).shape == SHAPE


def list_arrays(results):
    if isinstance(results, tuple):
        return [array for result in results for array in list_arrays(result)]
    return [results]


def like_results(results):
    """Return arrays to write to, as results lie."""
    if isinstance(results, tuple):
        return tuple(map(like_results, results))
    return np.full_like(results, 7.0)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("is_adjoint", [False, True])
@pytest.mark.parametrize("stack", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_all_plans_write_to_out(operator, is_adjoint, stack, masked, rng):
    if stack and "stack" not in OPERATORS_TABLE[operator].options:
        pytest.skip("its result is one array")
    where = rng.random(SHAPE) < 0.9 if masked else None
    plan = gpugrad.plan(SHAPE, 0.5, operator=operator, stack=stack, where=where)
    f = draw(operator, rng)
    if is_adjoint:
        f = plan(f)
        f = np.nan_to_num(f) if not isinstance(f, tuple) else f
        plan = plan.adjoint()
    expected = plan(f)
    out = like_results(expected)
    result = plan(f, out=out)
    assert all(a is b for a, b in zip(list_arrays(result), list_arrays(out), strict=True))
    for got, wanted in zip(list_arrays(out), list_arrays(expected), strict=True):
        assert_same_bits(got, wanted)
    for wrong in (np.empty(3), out[:1] if isinstance(out, tuple) and len(out) > 1 else ()):
        with pytest.raises((TypeError, ValueError), match=r"`out`|out\["):
            plan(f, out=wrong)


def test_out_of_several_stages_may_overlap_with_the_field(rng):
    f = rng.normal(size=SHAPE)
    plan = gpugrad.plan(SHAPE, 0.5, operator="hessian")
    expected = plan(f)
    out = like_results(expected)
    out = ((f, *out[0][1:]), *out[1:])
    plan(f, out=out)
    for got, wanted in zip(list_arrays(out), list_arrays(expected), strict=True):
        assert_same_bits(got, wanted)
    twice = (out[0], out[0], out[2])
    with pytest.raises(ValueError, match="must not share memory"):
        plan(f, out=twice)


class TestLinearOperators:
    @pytest.fixture(autouse=True)
    def scipy(self):
        pytest.importorskip("scipy")

    @pytest.mark.sampled
    @pytest.mark.parametrize("operator", OPERATORS)
    @pytest.mark.parametrize("stack", [False, True])
    @pytest.mark.parametrize("boundary", ["one-sided", "periodic", 2.5, {"normal": 1.5}])
    @pytest.mark.parametrize("masked", [False, True])
    def test_they_are_the_matrix(self, operator, stack, boundary, masked, rng):
        if stack and "stack" not in OPERATORS_TABLE[operator].options:
            pytest.skip("its result is one array")
        if operator == "hessian" and not isinstance(boundary, str):
            pytest.skip("says nothing of mixed derivatives")
        where = rng.random(SHAPE) < 0.9 if masked else None
        options = {"stack": stack, "boundary": boundary, "where": where}
        plan = gpugrad.plan(SHAPE, 0.5, operator=operator, **options)
        linear, matrix = plan.linear_operator(), plan.matrix()
        assert (linear.shape, linear.dtype) == (matrix.shape, np.float64)
        x, y = rng.normal(size=matrix.shape[1]), rng.normal(size=matrix.shape[0])
        scale = np.abs(matrix).max() * 10
        for got, wanted in (
            (linear @ x, matrix @ x),
            (linear.matvec(x[:, None]), (matrix @ x)[:, None]),
            (linear.H @ y, matrix.T @ y),
            (linear.T @ y, matrix.T @ y),
            (linear @ np.stack([x, 2 * x], 1), matrix @ np.stack([x, 2 * x], 1)),
            (linear.rmatmat(np.stack([y, -y], 1)), matrix.T @ np.stack([y, -y], 1)),
            (linear @ (x + 2j * x), matrix @ (x + 2j * x)),
            (linear.rmatvec(y - 1j * y), matrix.T @ (y - 1j * y)),
        ):
            assert got.shape == wanted.shape
            assert np.abs(got - wanted).max() < 1e-13 * scale

    def test_values_at_masked_samples_are_not_read(self, rng):
        where = rng.random(SHAPE) < 0.9
        plan = gpugrad.plan(SHAPE, operator="laplacian", where=where, boundary=1.0)
        f = np.where(where, rng.normal(size=SHAPE), np.nan).ravel()
        got, wanted = plan.linear_operator() @ f, plan.matrix() @ np.nan_to_num(f)
        assert np.isfinite(got).all()
        assert np.abs(got - wanted).max() < 1e-13

    @pytest.mark.parametrize(
        ("dtype", "result"), [("int16", "f8"), ("float32", "f4"), ("complex64", "c8")]
    )
    def test_their_dtype_is_that_of_results(self, dtype, result, rng):
        plan = gpugrad.plan(SHAPE, 0.5, dtype=dtype, operator="divergence")
        linear = plan.linear_operator()
        assert linear.dtype == result
        x = rng.normal(size=linear.shape[1])
        assert (linear @ x).dtype == result
        assert np.abs(linear @ x - plan.matrix() @ x).max() < 1e-4
        y = rng.normal(size=linear.shape[0]) * 1j
        assert np.abs(linear.rmatvec(y) - plan.matrix().T @ y).max() < 1e-4

    def test_solvers_take_them(self, rng):
        from scipy.sparse.linalg import cg, eigsh, lsqr

        laplacian = gpugrad.plan((9, 8), 0.5, operator="laplacian", boundary=0.0)
        linear, matrix = laplacian.linear_operator(), laplacian.matrix()
        b = rng.normal(size=72)
        x, status = cg(-linear, b, rtol=1e-12)
        assert status == 0
        assert np.abs(matrix @ x + b).max() < 1e-9
        largest = eigsh(-linear, k=3, return_eigenvectors=False)
        np.testing.assert_allclose(
            sorted(largest), np.linalg.eigvalsh(-matrix.toarray())[-3:], rtol=1e-9
        )
        slope = gpugrad.plan((9, 8), 0.5)
        f = rng.normal(size=(9, 8))
        there = np.stack(slope(f)).ravel()
        back = lsqr(slope.linear_operator(), there, atol=1e-14, btol=1e-14)[0]
        back += f.mean() - back.mean()  # the gradient does not know the mean
        assert np.abs(back - f.ravel()).max() < 1e-6

    def test_what_is_not_linear_or_of_another_library_is_refused(self, monkeypatch):
        with pytest.raises(TypeError, match="must be linear to have a linear operator"):
            gpugrad.plan(SHAPE, operator="gradient_norm").linear_operator()
        strict = pytest.importorskip("array_api_strict")
        with pytest.raises(TypeError, match=r"got one of array-api-strict\. Make the plan without"):
            gpugrad.plan(5, like=strict).linear_operator()
        monkeypatch.setitem(sys.modules, "scipy.sparse", None)
        with pytest.raises(ImportError, match=r'pip install "gpugrad\[science\]"'):
            gpugrad.plan(5).linear_operator()


def test_plans_are_made_by_the_function_alone():
    with pytest.raises(TypeError, match=r"must be made by `gpugrad\.plan`"):
        gpugrad.Plan()


@pytest.mark.parametrize("dtype", ["float32", np.float32, np.dtype("f4"), "f8", float])
def test_a_dtype_among_the_spacings_is_told_its_keyword(dtype):
    for spacings in ((dtype,), (0.5, dtype), (dtype, 0.5)):
        with pytest.raises(TypeError, match=r'as in `dtype="float32"`'):
            gpugrad.plan(9, *spacings)


def test_dtypes_of_other_libraries_among_the_spacings():
    strict = pytest.importorskip("array_api_strict")
    with pytest.raises(TypeError, match=r"got array_api_strict\.float32"):
        gpugrad.plan(9, strict.float32)


def test_spacings_by_keyword(rng):
    f, x = rng.normal(size=(9, 8)), rng.normal(size=9).cumsum() + np.arange(9) * 9
    for spacing, given in ((0.5, (0.5,)), ((x, 2.0), (x, 2.0)), ({0: x}, (x, 1.0))):
        plan = gpugrad.plan((9, 8), spacing=spacing)
        for got, wanted in zip(plan(f), gpugrad.gradient(f, *given), strict=True):
            assert_same_bits(got, wanted)


def test_a_plan_has_no_skipna():
    with pytest.raises(TypeError, match="takes no `skipna`: which samples are NaN differs"):
        gpugrad.plan(9, skipna=True)
    with pytest.raises(TypeError, match=r"`plan` takes no `mask`\. Pass `where`"):
        gpugrad.plan(9, mask=None)


@pytest.mark.parametrize("operator", ["gradient", "derivative", "divergence", "curl", "jacobian"])
def test_edge_order_is_that_of_the_call(operator, rng):
    f = draw(operator, rng)
    spacing = (0.5,)
    plan = gpugrad.plan(SHAPE, *spacing, operator=operator, edge_order=2)
    expected = getattr(gpugrad, operator)(f, 0.5, edge_order=2)
    assert_same_bits(flatten(plan(f)), flatten(expected))
    with pytest.raises(ValueError, match="`edge_order` must be 1"):
        gpugrad.plan(SHAPE, operator=operator, edge_order=3)


def test_integers_have_a_plan_and_an_adjoint_for_floats():
    plan = gpugrad.plan(6, 0.5, dtype="int32")
    assert_same_bits(plan(np.arange(6, dtype="int32")), np.full(6, 2.0))
    assert plan.adjoint().dtype == np.float64
    assert plan.adjoint()(np.ones(6)).sum() == 0


def test_plans_are_pickled_and_shared_by_threads(rng):
    f = rng.normal(size=SHAPE)
    plan = gpugrad.plan(SHAPE, *uneven(rng), operator="laplacian", accuracy=4)
    expected = plan(f)
    assert_same_bits(pickle.loads(pickle.dumps(plan))(f), expected)
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(plan, [f] * 16):
            assert_same_bits(result, expected)


@pytest.mark.parametrize(
    ("field", "error", "words"),
    [
        (np.zeros((7, 6)), ValueError, r"shape \(7, 6, 8\), as planned; got \(7, 6\)"),
        (np.zeros(SHAPE, "float32"), TypeError, "dtype float64, as planned; got float32"),
        (np.float64(1.0), ValueError, "at least one axis"),
    ],
)
def test_other_fields_are_refused(field, error, words):
    with pytest.raises(error, match=words):
        gpugrad.plan(SHAPE)(field)


def test_another_library_is_refused():
    strict = pytest.importorskip("array_api_strict")
    with pytest.raises(TypeError, match="library NumPy, as planned; got array-api-strict"):
        gpugrad.plan(4)(strict.zeros(4))
    assert gpugrad.plan(4, like=strict)(strict.zeros(4)).shape == (4,)


def test_a_wrong_number_of_components_is_refused():
    with pytest.raises(ValueError, match="must have 3 components"):
        gpugrad.plan(SHAPE, operator="divergence")(np.zeros((2, *SHAPE)))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"operator": "grad"}, ValueError, "`operator` must be one of gradient"),
        ({"operator": "laplacian", "stagger": "left"}, TypeError, "`stagger` does not go with"),
        ({"order": 2}, TypeError, "`order` does not go with a plan of gradient"),
        ({"operator": "hessian", "boundary": 1.0}, ValueError, "mixed derivatives"),
        ({"operator": "derivative", "axis": (0, 1)}, TypeError, "one integer"),
        ({"like": 3}, TypeError, "`like` must be"),
        ({"axis": ()}, ValueError, "at least one axis"),
        ({"backend": "fast"}, ValueError, "`backend` must be"),
        ({"accuracy": 12}, ValueError, "must have at least"),
    ],
)
def test_what_cannot_be_planned_is_refused(options, error, words):
    with pytest.raises(error, match=words):
        gpugrad.plan(SHAPE, **options)


def test_without_scipy_a_matrix_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    with pytest.raises(ImportError, match=r'pip install "gpugrad\[science\]"'):
        gpugrad.plan(5).matrix()


def test_formats_of_matrices_are_scipys():
    pytest.importorskip("scipy")
    for format in ("csr", "csc", "coo"):
        matrix = gpugrad.plan(5).matrix(format)
        assert matrix.format == format
        assert matrix.nnz == 10


def test_a_plan_tells_what_it_is():
    plan = gpugrad.plan((4, 3), dtype="float32", operator="divergence")
    assert repr(plan) == "<plan: divergence of 2 fields of shape (4, 3), float32, NumPy>"
    assert "adjoint of divergence of a field" in repr(plan.adjoint())


@pytest.mark.parametrize("dtype", ["float32", "complex128", "int16"])
def test_a_plan_of_a_length_is_not_linear_and_says_so(dtype):
    rng = np.random.default_rng(5)
    f = (100 * rng.normal(size=(7, 8))).astype(dtype)
    plan = gpugrad.plan((7, 8), 0.5, dtype=dtype, operator="gradient_norm", boundary="periodic")
    expected = gpugrad.gradient_norm(f, 0.5, boundary="periodic")
    assert plan(f).tobytes() == expected.tobytes()
    out = np.empty_like(expected)
    assert plan(f, out=out) is out
    assert out.tobytes() == expected.tobytes()
    with pytest.raises(TypeError, match="must be linear to have a matrix"):
        plan.matrix()
    with pytest.raises(TypeError, match="must be linear to have an adjoint"):
        plan.adjoint()
