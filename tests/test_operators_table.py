"""The table of operators: a row works wherever operators do; what all rows promise."""

from __future__ import annotations

import importlib
import inspect
import pickle
from pathlib import Path

import numpy as np
import pytest

import gpugrad
from conftest import assert_same_bits
from internals import OPERATORS, FileRequest, run

STEPS = (0.5, 0.25)
WHERE = np.ones((9, 10), bool)
WHERE[4, 5] = False


@pytest.fixture
def v(rng):
    return [*rng.normal(size=(2, 9, 10))]


class TestVectorLaplacian:
    """A row of the table and a function of a line: all else reads the row."""

    @pytest.fixture
    def expected(self, v):
        return [gpugrad.laplacian(f, *STEPS, accuracy=4) for f in v]

    def test_arrays_and_stacks_and_where_to_write(self, v, expected):
        calls = ((v, {}), (np.stack(v), {"stack": True}), (v, {"backend": "slices"}))
        for given, options in calls:
            results = gpugrad.vector_laplacian(given, *STEPS, accuracy=4, **options)
            for got, wanted in zip(results, expected, strict=True):
                assert_same_bits(got, wanted)
        out = tuple(np.empty_like(f) for f in v)
        assert gpugrad.vector_laplacian(v, *STEPS, accuracy=4, out=out)[0] is out[0]
        assert_same_bits(out[1], expected[1])

    def test_masks(self, v):
        results = gpugrad.vector_laplacian(v, *STEPS, where=WHERE)
        for f, got in zip(v, results, strict=True):
            assert_same_bits(got, gpugrad.laplacian(f, *STEPS, where=WHERE))

    def test_plans_their_matrices_and_transposes(self, v, expected):
        pytest.importorskip("scipy", reason="SciPy is not installed")
        plan = gpugrad.plan((9, 10), *STEPS, operator="vector_laplacian", accuracy=4)
        for got, wanted in zip(plan(v), expected, strict=True):
            assert_same_bits(got, wanted)
        flat = plan.matrix() @ np.ravel(v)
        np.testing.assert_allclose(flat, np.ravel(expected), rtol=1e-9, atol=1e-9)
        back = plan.adjoint()(expected)
        np.testing.assert_allclose(np.ravel(back), plan.matrix().T @ np.ravel(expected), rtol=1e-9)
        assert_same_bits(pickle.loads(pickle.dumps(plan))(v)[1], expected[1])

    def test_lazy_arrays(self, v, expected):
        da = pytest.importorskip("dask.array", reason="Dask is not installed")
        lazy = [da.from_array(f, chunks=(4, 5)) for f in v]
        for got, wanted in zip(gpugrad.vector_laplacian(lazy, *STEPS, accuracy=4), expected,
                               strict=True):  # fmt: skip
            assert_same_bits(got.compute(), wanted)

    def test_names_and_units(self, v, expected):
        xarray = pytest.importorskip("xarray", reason="xarray is not installed")
        importlib.import_module("gpugrad.xarray")  # registers the accessor

        coordinates = {
            name: (name, np.arange(n) * h, {"units": "m"})
            for name, n, h in zip("yx", (9, 10), STEPS, strict=True)
        }
        data = xarray.Dataset({
            name: (("y", "x"), f, {"units": "m s-1"}) for name, f in zip("uv", v, strict=True)
        }).assign_coords(coordinates)  # fmt: skip
        results = data.gpugrad.vector_laplacian("u", "v", accuracy=4)
        for got, wanted, name in zip(results, expected, "uv", strict=True):
            assert got.name == f"laplacian_{name}"
            assert got.attrs["units"] == "m-1 s-1"
            np.testing.assert_allclose(got, wanted, rtol=1e-12)

    def test_quantities(self, v, expected):
        pint = pytest.importorskip("pint", reason="pint is not installed")
        unit = pint.UnitRegistry()
        results = gpugrad.vector_laplacian(
            [f * unit("m/s") for f in v], *(h * unit("km") for h in STEPS), accuracy=4
        )
        assert results[1].units == unit("m/s/km**2").units
        assert_same_bits(results[1].magnitude, expected[1])

    def test_files(self, v, expected, tmp_path):
        np.save(tmp_path / "v.npy", np.stack(v))
        request = FileRequest(operator="vector_laplacian", spacing=STEPS, accuracy=4)
        run.differentiate(tmp_path / "v.npy", tmp_path / "out.npy", request=request)
        assert_same_bits(np.load(tmp_path / "out.npy"), np.stack(expected))


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_rows_agree_with_the_signatures_of_their_functions(name):
    row = OPERATORS[name]
    parameters = inspect.signature(getattr(gpugrad, name)).parameters
    optional = {"edge_order", "order", "stagger", "stack"}
    assert row.options & optional == optional & {*parameters}
    assert {"axis", "accuracy", "boundary", "edge_accuracy", "where", "out"} <= {*parameters}
    assert ("v" if row.takes != "field" else "f") == next(iter(parameters))


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_results_lie_as_the_row_says(name, v):
    row = OPERATORS[name]
    f = v[0] if row.takes == "field" else v
    results = getattr(gpugrad, name)(f)
    axes = 1 if name == "derivative" else 2
    shape = row.shape_of_results(2 if row.takes != "field" else 1, axes)
    for count in shape:
        assert isinstance(results, tuple)
        assert len(results) == count
        results = results[0]
    assert results.shape == (9, 10)


@pytest.mark.parametrize("name", ["jacobian", "hessian"])
class TestRowsOfResults:
    """`out` of operators whose results are rows of arrays."""

    def call(self, name, v, **options):
        return getattr(gpugrad, name)(v if name == "jacobian" else v[0], *STEPS, **options)

    def test_results_go_where_they_are_told(self, name, v):
        expected = self.call(name, v)
        out = tuple(tuple(np.empty((9, 10)) for _ in range(2)) for _ in range(2))
        assert self.call(name, v, out=out) is out
        stacked = np.empty((2, 2, 9, 10))
        assert self.call(name, v, out=stacked, stack=True) is stacked
        for i in range(2):
            for j in range(2):
                assert_same_bits(out[i][j], expected[i][j])
                assert_same_bits(stacked[i, j], expected[i][j])

    def test_they_may_lie_over_the_field(self, name, v):
        expected = self.call(name, v, stack=True)
        whole = np.empty((2, 2, 9, 10))
        whole[0, 0], whole[0, 1] = v
        got = self.call(name, [whole[0, 0], whole[0, 1]], out=whole, stack=True)
        assert_same_bits(got, expected)

    @pytest.mark.parametrize(
        "out",
        [np.empty((2, 2, 9, 10)), (np.empty((9, 10)),) * 4, ((np.empty((9, 10)),) * 2,) * 2, 3],
    )
    def test_what_does_not_fit_is_refused(self, name, v, out):
        with pytest.raises((TypeError, ValueError), match="`out"):
            self.call(name, v, out=out)

    def test_a_stack_of_another_shape_is_refused(self, name, v):
        with pytest.raises(ValueError, match=r"shape \(2, 2, 9, 10\).*\(2, 9, 10\)"):
            self.call(name, v, out=np.empty((2, 9, 10)), stack=True)

    def test_masked_results_need_masked_arrays(self, name, v):
        masked = [np.ma.array(f, mask=~WHERE) for f in v]
        with pytest.raises(TypeError, match="must be a masked array"):
            self.call(name, masked, out=np.empty((2, 2, 9, 10)), stack=True, where=WHERE)

    def test_curved_grids_too(self, name, v):
        if name == "hessian":
            return
        y, x = np.meshgrid(np.arange(9.0), np.arange(10.0) ** 1.1, indexing="ij")
        grid = gpugrad.CurvilinearGrid(y, x)
        out = np.empty((2, 2, 9, 10))
        assert grid.jacobian(v, out=out, stack=True) is out
        assert_same_bits(out, grid.jacobian(v, stack=True))


def test_the_page_of_operators_is_what_is_written_today(monkeypatch):
    root = Path(__file__).parents[1]
    page = root / "docs" / "reference" / "operators.md"
    if not page.is_file() or not (root / "tools").is_dir():
        pytest.skip("the documentation or its tools are not here")
    pytest.importorskip("xarray", reason="xarray is not installed")
    monkeypatch.syspath_prepend(root / "tools")
    written = importlib.import_module("operator_coverage").page()
    cure = "python tools/operator_coverage.py docs/reference/operators.md"
    assert written == page.read_text(encoding="utf-8"), f"run `{cure}`"


def test_a_hole_without_a_reason_is_found(monkeypatch):
    root = Path(__file__).parents[1]
    if not (root / "tools").is_dir():
        pytest.skip("the tools are not here")
    pytest.importorskip("xarray", reason="xarray is not installed")
    monkeypatch.syspath_prepend(root / "tools")
    tool = importlib.import_module("operator_coverage")
    right = tool.REASONS
    for wrong in ({("sphere", "hessian"): None}, {("file", "curl"): "none"}):
        reasons = {k: v for k, v in (right | wrong).items() if v}
        monkeypatch.setattr(tool, "REASONS", reasons)
        with pytest.raises(SystemExit, match="Mend REASONS"):
            tool.page()
