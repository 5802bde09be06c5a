"""What libraries do beside giving NumPy's results: types, devices, blocks and traces are kept."""

from __future__ import annotations

import numpy as np
import pytest

import gpugrad
from devices.cases import F, X, Y
from devices.libraries import ROWS, Missing, start

ROWS_BY_NAME = {row.name: row for row in ROWS}


def make_of(name):
    """Return what makes arrays of a library; skip the test where it is missing."""
    try:
        return start(ROWS_BY_NAME[name])
    except Missing as error:
        pytest.skip(str(error))


class TestDpnp:
    def test_results_stay_on_the_queue_and_in_the_kind_of_memory(self):
        make_of("dpnp")
        import dpctl
        import dpnp

        queue = dpctl.SyclQueue("cpu")
        f = dpnp.asarray(F, sycl_queue=queue, usm_type="shared")
        for df in gpugrad.gradient(f, X, 0.3):
            assert df.sycl_queue == queue
            assert df.usm_type == "shared"

    def test_fields_of_two_queues_are_refused(self):
        make_of("dpnp")
        import dpctl
        import dpnp

        v = [dpnp.asarray(F, sycl_queue=dpctl.SyclQueue("cpu")) for _ in range(2)]
        with pytest.raises((TypeError, ValueError), match=r"device|queue"):
            gpugrad.divergence(v, 0.3)

    def test_its_memory_is_never_read(self):
        make = make_of("dpnp")
        with pytest.raises(gpugrad.BackendError, match="bring the field home"):
            gpugrad.gradient(make(F), 0.3, backend="numpy")


class TestCubed:
    @pytest.mark.parametrize("chunks", [(8, 7), (4, 7), (3, 2), (1, 7), (8, 4)])
    def test_chunks_and_specification_are_kept(self, chunks):
        make_of("cubed")
        import cubed
        import cubed.array_api as xp

        spec = cubed.Spec(allowed_mem="50MB")
        f = xp.asarray(F, chunks=chunks, spec=spec)
        for df in gpugrad.gradient(f, X, Y, edge_order=2):
            assert df.chunks == f.chunks
            assert df.spec == spec
        assert gpugrad.gradient(f, X, Y, stack=True).chunks[1:] == f.chunks

    def test_nothing_is_computed_before_it_is_asked_for(self, monkeypatch):
        make = make_of("cubed")
        import cubed

        def refuse(*args, **keywords):
            raise AssertionError("computed")

        monkeypatch.setattr(cubed.Array, "compute", refuse)
        results = gpugrad.gradient(make(F), make(X), 0.3)
        with pytest.raises(AssertionError, match="computed"):
            results[0].compute()


class TestMlx:
    @pytest.fixture
    def mx(self):
        make_of("MLX")
        import mlx.core

        return mlx.core

    def test_gradients_flow_through_it(self, mx):
        f = mx.array(F.astype("f4"))
        flat = mx.ones(f.shape, dtype=mx.float32)
        slope = mx.grad(lambda f: mx.sum(gpugrad.gradient(f, 0.5, axis=0) * flat))(f)
        # The derivatives of a column add up to what its two ends make.
        ends = np.zeros(8)
        ends[:2] += [-3.0, 1.0]
        ends[-2:] += [-1.0, 3.0]
        assert np.allclose(gpugrad.asnumpy(slope), ends[:, None] * np.ones(7))

    def test_its_namespace_has_what_mlx_lacks(self, mx):
        xp = gpugrad.namespace("mlx")
        x = xp.asarray(X)
        assert x.dtype == mx.float64
        assert xp.sin is mx.sin
        assert xp.zeros(3, dtype=xp.bool).dtype == mx.bool_
        assert xp.astype(x, xp.float32, copy=False).dtype == mx.float32
        assert gpugrad.asnumpy(xp.nonzero(x > X[3])[0]).tolist() == [4, 5, 6, 7]
        assert gpugrad.asnumpy(gpugrad.gradient(x)).tolist() == np.gradient(X).tolist()

    def test_it_can_be_compiled_and_mapped(self, mx):
        f = mx.array(F.astype("f4"))
        compiled = mx.compile(lambda f, x: gpugrad.gradient(f, x, axis=0))
        x = mx.array(X.astype("f4"))
        wanted = np.gradient(F.astype("f4"), X.astype("f4"), axis=0)
        assert np.allclose(gpugrad.asnumpy(compiled(f, x)), wanted, rtol=1e-5)
        mapped = mx.vmap(lambda row: gpugrad.gradient(row, 0.5))(f)
        wanted = np.gradient(F.astype("f4"), 0.5, axis=1)
        assert np.array_equal(gpugrad.asnumpy(mapped), wanted)

    def test_functions_have_hessians_there(self, mx):
        x = mx.array(X, dtype=mx.float64)
        hessian = gpugrad.hessian_of(lambda x, y: x * x * y)(x, x)
        assert gpugrad.asnumpy(hessian[0][1]) == pytest.approx(2 * X, rel=1e-6)
        assert type(hessian[0][1]) is mx.array

    def test_traced_arrays_have_no_values_to_bring_home(self, mx):
        f = mx.array(F.astype("f4"))
        with pytest.raises(TypeError, match=r"compiled or differentiated\. Call `asnumpy` outside"):
            mx.compile(lambda f: mx.array(gpugrad.asnumpy(f)))(f)

    def test_bfloat16_is_kept_and_comes_home_as_float32(self, mx):
        f = mx.array([0.0, 1.0, 4.0, 9.0], dtype=mx.bfloat16)
        df = gpugrad.gradient(f)
        assert df.dtype == mx.bfloat16
        assert gpugrad.asnumpy(df).tolist() == [1.0, 2.0, 4.0, 5.0]
        assert gpugrad.asnumpy(df).dtype == np.float32

    def test_without_float64_integers_become_float32(self, mx, monkeypatch):
        class Gpu:  # what MLX says of a graphics processor
            def dtypes(self, *, device=None, kind=None):
                return {"float32": mx.float32}

        monkeypatch.setattr(mx, "__array_namespace_info__", Gpu)
        df = gpugrad.gradient(mx.array([0, 1, 4, 9]), np.array([0.0, 1.0, 3.0, 4.0]))
        assert df.dtype == mx.float32
        assert gpugrad.asnumpy(df).dtype == np.float32


class TestNdonnx:
    def test_graphs_of_unknown_values_are_built(self):
        make_of("ndonnx")
        import ndonnx as ndx

        f = ndx.argument(shape=("n", 7), dtype=ndx.float64)
        with pytest.raises((TypeError, ValueError), match=r"length|shape|samples"):
            gpugrad.gradient(f, 0.3, axis=0)  # the ends of an axis must be known
        f = ndx.argument(shape=(8, 7), dtype=ndx.float64)
        df = gpugrad.gradient(f, X, axis=0)
        with pytest.raises(TypeError, match=r"not yet known\. Run its graph"):
            gpugrad.asnumpy(df)


class TestSparse:
    def test_coordinates_must_be_dense(self):
        make = make_of("sparse")
        with pytest.raises(TypeError, match=r"must be dense.*todense"):
            gpugrad.gradient(make(F), make(X), 0.3)

    def test_what_is_left_out_stays_left_out(self):
        make = make_of("sparse")
        f = np.zeros((100, 90))
        f[40, 40] = 1.0
        for df in gpugrad.gradient(make(f), 0.3):
            assert df.nnz == 2


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
class TestEveryLibrary:
    """Calls that go wrong, or nearly so, on each library."""

    def test_lists_of_arrays_come_home(self, row):
        make = make_of(row.name)
        home = gpugrad.asnumpy((make(X), make(X)))
        assert home.tolist() == [X.tolist()] * 2

    def test_lists_of_arrays_are_fields_of_numpy_or_refused(self, row):
        make = make_of(row.name)
        try:
            df = gpugrad.gradient([make(X), make(X)], 0.3, axis=1)
        except TypeError as error:
            if "Join them with the function `stack` of" not in str(error):
                raise
        else:
            assert df.tolist() == np.gradient([X, X], 0.3, axis=1).tolist()

    def test_plans_take_the_library_that_they_were_made_for(self, row):
        plan = gpugrad.plan((8, 7), 0.3, like=make_of(row.name)(F))
        if row.name == "NumPy":
            plan(F)
            return
        with pytest.raises(TypeError, match=r"must be of library .*, as planned; got NumPy"):
            plan(F)


def test_libraries_that_follow_the_array_api_need_no_row():
    from internals import libraries

    class Unknown:
        __module__ = "someones.arrays"

    assert libraries.row_of(Unknown()).name == "someones"
    assert libraries.row_of(Unknown()).is_writable


def test_arrays_of_old_releases_do_not_become_numpys_in_silence():
    class Array:
        __module__ = "mlx.core"

        def __array__(self, dtype=None, copy=None):
            return np.ones(3)

    with pytest.raises(TypeError, match=r"got Array of MLX\. Pass an array, of the newest release"):
        gpugrad.gradient(Array())


def test_subclasses_of_tensors_are_of_their_library():
    torch = pytest.importorskip("torch")
    from internals import libraries

    class Mine(torch.Tensor):
        __module__ = "someones.tensors"

    assert libraries.library_of(torch.ones(3).as_subclass(Mine)) == "PyTorch"
