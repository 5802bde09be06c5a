"""The GPU engine without a GPU: its kernel compiled for the host and for GPUs, and its logic.

CuPy's arrays lie in host memory here, and a stand-in for CUDA runs the kernel: see
`kernels_on_host`. What it is asked to do is in `kernel_cases`.
"""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import re
import shutil
import subprocess
import sys
import weakref
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import gpugrad
from conftest import as_tuple, assert_same_bits
from internals import AxisPlan, Formula, Gpu, Store, Term, _devices, dispatch, first_derivative

pytest.importorskip("cupy", reason="CuPy is not installed")
import cupy
import kernel_cases
from kernels_on_host import HostCuda, allocate, home, host_array, running_on_host

from internals import cuda_engine, cuda_program, slices

HERE = Path(__file__).parent
needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")


@needs_compiler
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="preloads a sanitizer, on Linux")
@pytest.mark.parametrize(
    ("options", "least"),
    [((), (700, 80)), pytest.param(("--nightly",), (1500, 300), marks=pytest.mark.nightly)],
)
def test_cases_have_the_reference_engines_bits_under_sanitizers(capsys, options, least):
    library = subprocess.run(
        ["g++", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not os.path.isabs(library):
        pytest.skip("g++ has no address sanitizer")
    environment = {
        **os.environ,
        "LD_PRELOAD": library,
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
    }
    done = subprocess.run(
        [sys.executable, str(HERE / "kernel_cases.py"), *options],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr[:8000]
    with capsys.disabled():
        print(f"\nUnder sanitizers: {done.stdout.strip()}")
    cases, launches, kernels = map(int, re.findall(r"\d+", done.stdout))
    assert cases > least[0]
    assert launches >= cases
    assert kernels > least[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture
def cuda(folder):
    with running_on_host(HostCuda(folder, eager=True)) as stand_in:
        yield stand_in


@needs_compiler
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="sets flags of x86")
@pytest.mark.parametrize("dtype", ["f4", pytest.param("c8", marks=pytest.mark.exhaustive)])
def test_cases_notice_where_small_numbers_are_taken_for_zero(folder, dtype):
    cases = [c for c in kernel_cases.cases() if c.name.startswith(f"{dtype} special values")]
    kernels = [kernel_cases.list_kernels([case]) for case in cases]
    some = [case for case, taken in zip(cases, kernels, strict=True) if taken == kernels[0]]
    assert len(some) > 5
    for options, are_right in [((), True), (("-DTAKES_SMALL_NUMBERS_FOR_ZERO",), False)]:
        cuda = HostCuda(folder, options, eager=True)
        with running_on_host(cuda):
            for case in some:
                results = kernel_cases.run(case, host_array)
                if are_right:
                    kernel_cases.assert_like_slices(case, results, home)
                else:
                    with pytest.raises(AssertionError, match="special values"):
                        kernel_cases.assert_like_slices(case, results, home)


def assert_same_gradient(results, f, *spacing, **keywords):
    for got, wanted in zip(results, np.gradient(f, *spacing, **keywords), strict=True):
        assert type(got) is cupy.ndarray
        assert_same_bits(home(got), wanted)


@needs_compiler
class TestCalls:
    def test_auto_takes_the_engine_for_cupys_arrays(self, cuda, rng):
        f = rng.normal(size=(9, 8))
        g = host_array(f)
        outputs = [[Term(1, g, first_derivative(0, 0.5, 1))]]
        assert dispatch._choose(outputs, None).evaluate is cuda_engine.evaluate
        assert dispatch._choose(outputs, "slices").evaluate is slices.evaluate
        assert_same_gradient(gpugrad.gradient(g, 0.3, edge_order=2), f, 0.3, edge_order=2)

    def test_one_launch_writes_all_outputs(self, cuda, rng):
        f = rng.normal(size=(5, 6, 8)).astype("f4")
        assert_same_gradient(gpugrad.gradient(host_array(f)), f)
        assert cuda.launches == 1

    def test_many_outputs_take_several_launches(self, cuda):
        f = host_array(np.arange(6.0) ** 2)
        outputs = [[Term(1, f, first_derivative(0, 0.5, 1))]] * (cuda_program.MOST_OUTPUTS + 1)
        cuda_engine.evaluate(outputs)
        assert cuda.launches == 2

    def test_results_have_the_order_of_the_field(self, cuda, rng):
        f = np.asfortranarray(rng.normal(size=(5, 6, 8)))
        results = gpugrad.gradient(host_array(f))
        assert all(result.strides == f.strides for result in results)
        assert_same_gradient(results, f)

    def test_out_is_written_in_place(self, cuda, rng):
        f = rng.normal(size=(6, 8))
        out = host_array(np.zeros((6, 8))), host_array(np.zeros((8, 6)).T)
        results = gpugrad.gradient(host_array(f), out=out)
        assert results[0] is out[0]
        assert results[1] is out[1]
        assert_same_gradient(out, f)

    def test_stacked_results_are_written_once(self, cuda, rng):
        f = rng.normal(size=(6, 8)).astype("f4")
        stacked = gpugrad.gradient(host_array(f), stack=True)
        assert cuda.launches == 1
        assert stacked.shape == (2, 6, 8)
        assert_same_bits(home(stacked), np.stack(np.gradient(f)))
        out = host_array(np.zeros((2, 6, 8), "f4"))
        assert gpugrad.gradient(host_array(f), stack=True, out=out) is out
        assert_same_bits(home(out), np.stack(np.gradient(f)))

    def test_empty_fields_need_no_launch(self, cuda):
        result = gpugrad.gradient(cupy.empty((4, 0)), axis=0)
        assert result.shape == (4, 0)
        assert cuda.launches == 0

    def test_wide_indices_take_another_instantiation(self, cuda, rng, monkeypatch):
        f = rng.normal(size=(6, 8))
        assert_same_gradient(gpugrad.gradient(host_array(f)), f)
        monkeypatch.setattr(cuda_program, "_REACH_32", 0)
        assert_same_gradient(gpugrad.gradient(host_array(f.T)), f.T)
        assert sum(", Word, " in kernel for kernel in cuda.wanted) == 1

    @pytest.mark.parametrize(
        "boundary", ["one-sided", "periodic", "odd-reflect", {"constant": 2.0}]
    )
    @pytest.mark.parametrize("accuracy", [2, 8])
    def test_every_scheme_has_the_reference_engines_bits(self, cuda, rng, boundary, accuracy):
        f = rng.normal(size=(6, 20)).astype("f4")
        for order in (1, 2):
            options = {"order": order, "accuracy": accuracy, "boundary": boundary, "axis": 1}
            with np.errstate(all="ignore"):
                expected = gpugrad.derivative(f, 0.3, **options, backend="slices")
            assert_same_bits(home(gpugrad.derivative(host_array(f), 0.3, **options)), expected)

    def test_more_weights_than_registers_are_read_at_each_step(self, cuda, rng, monkeypatch):
        monkeypatch.setattr(cuda_program, "ENOUGH_THREADS", 1)
        f = rng.normal(size=(12, 10, 12))
        x = [np.cumsum(rng.uniform(0.5, 1, n)) for n in f.shape]
        expected = gpugrad.gradient(f, *x, accuracy=8, backend="slices")
        for got, wanted in zip(
            gpugrad.gradient(host_array(f), *x, accuracy=8), expected, strict=True
        ):
            assert_same_bits(home(got), wanted)

    def test_operators_of_vector_calculus_take_one_launch(self, cuda, rng):
        v = rng.normal(size=(3, 5, 6, 8))
        for operator in (gpugrad.divergence, gpugrad.curl):
            cuda.launches = 0
            result = operator(host_array(v), 0.3)
            assert cuda.launches == 1
            results, expected = as_tuple(result), as_tuple(operator(v, 0.3, backend="slices"))
            for got, wanted in zip(results, expected, strict=True):
                assert_same_bits(home(got), wanted)
        assert_same_bits(
            home(gpugrad.laplacian(host_array(v[0]), 0.3)),
            gpugrad.laplacian(v[0], 0.3, backend="slices"),
        )

    @pytest.mark.parametrize("kind", ["full", "broadcast", "transposed", "none", "all"])
    def test_holes_take_one_launch(self, cuda, rng, kind):
        f, x = rng.normal(size=(9, 16)).astype("f4"), np.cumsum(rng.uniform(0.1, 1, 16))
        where = {
            "full": rng.random((9, 16)) < 0.7,
            "broadcast": rng.random(16) < 0.7,
            "transposed": (rng.random((16, 9)) < 0.7).T,
            "none": np.ones((9, 16), bool),
            "all": np.zeros((9, 16), bool),
        }[kind]
        expected = gpugrad.gradient(f, 0.3, x, where=where, backend="slices")
        spoiled = np.where(where, f, np.float32(np.nan))
        results = gpugrad.gradient(host_array(spoiled), 0.3, x, where=host_array(where))
        assert cuda.launches == 1
        for got, wanted in zip(results, expected, strict=True):
            assert_same_bits(home(got), wanted)

    def test_another_mask_at_another_place_is_read(self, cuda, rng):
        f = rng.normal(size=(9, 16))
        for _ in range(3):
            where = rng.random((9, 16)) < 0.7
            expected = gpugrad.derivative(f, 0.3, where=where, backend="slices")
            got = gpugrad.derivative(host_array(f), 0.3, where=host_array(where))
            assert_same_bits(home(got), expected)
        assert len(cuda.wanted) == 1
        assert cuda.launches == 3

    def test_coordinates_on_the_device_are_not_read(self, cuda, rng):
        f, x = rng.normal(size=(6, 8)), np.cumsum(rng.uniform(0.1, 1, 8))
        left, right = np.diff(x)[:-1], np.diff(x)[1:]
        inside = [-right / (left * (left + right)), (right - left) / (left * right)]
        inside.append(left / (right * (left + right)))
        ends = [
            Formula((1, 0), (1, -1), np.diff(x)[:1]),
            Formula((0, -1), (1, -1), np.diff(x)[-1:]),
        ]
        middle = Formula((-1, 0, 1), tuple(inside))

        def on_device(formula):
            weights = [host_array(w) if hasattr(w, "shape") else w for w in formula.weights]
            divisor = None if formula.divisor is None else host_array(formula.divisor)
            return formula._replace(weights=tuple(weights), divisor=divisor)

        lower, upper = map(on_device, ends)
        plan = AxisPlan(1, (lower,), on_device(middle), (upper,), None, False, {})
        (result,) = cuda_engine.evaluate([[Term(1, host_array(f), plan)]])
        assert_same_bits(home(result), np.gradient(f, x, axis=1))
        assert cuda.uploads == 0


@needs_compiler
class TestMemory:
    """What is remembered from call to call, and what that spares."""

    def test_the_same_call_again_only_launches(self, cuda, rng, monkeypatch):
        fields = [host_array(rng.normal(size=(6, 8))) for _ in range(3)]
        gpugrad.gradient(fields[0], 0.3)
        monkeypatch.setattr(cuda_engine, "make_program", None)
        for f in fields:
            assert_same_gradient(gpugrad.gradient(f, 0.3), home(f), 0.3)
        assert cuda.launches == 4

    def test_a_new_spacing_needs_no_new_kernel(self, cuda, rng):
        f = rng.normal(size=(6, 8))
        for h in (0.3, 0.25, 7.0):
            for shape in [(6, 8), (8, 6), (4, 12)]:
                g = f.reshape(shape)
                assert_same_gradient(gpugrad.gradient(host_array(g), h, edge_order=2), g, h,
                                     edge_order=2)  # fmt: skip
        assert len(cuda.wanted) == 1

    @pytest.mark.parametrize(
        ("dtype", "h"),
        [
            ("f4", 1e-40), ("f4", 1e-30), ("f4", 1e37), ("f8", 1e-310), ("f8", 1e-290),
            ("f8", 1e305), ("c8", 1e-46), ("c8", 1e-40), ("c16", 5e-324),
        ],
    )  # fmt: skip
    def test_divisors_of_every_size(self, cuda, dtype, h):
        # Quotients are made of products where exponents leave room; zeros have their sign.
        f = np.array([0, 0, 0, 1, 1, 1, -2, 3, 3, 3, 0, -0.0] * 4, dtype)
        if f.dtype.kind == "c":
            f.imag = np.roll(f.real, 5)
            f[20:24] = np.inf, 1, complex(0, -np.inf), 1
        with np.errstate(all="ignore"):
            wanted = np.gradient(f, h), np.gradient(-f, h)
        assert_same_bits(home(gpugrad.gradient(host_array(f), h)), wanted[0])
        assert_same_bits(home(gpugrad.gradient(host_array(-f), h)), wanted[1])

    @pytest.mark.parametrize("dtype", ["f4", "f8"])
    def test_quotients_of_any_numbers(self, cuda, rng, dtype):
        # Every pattern of bits is a number: all exponents, both signs, infinities and NaN.
        for _ in range(12):
            bits = rng.integers(0, 256, (1 << 14) * np.dtype(dtype).itemsize, "u1")
            f, h = bits.view(dtype), float(2.0 ** rng.integers(-30, 30) * rng.uniform(1, 2))
            with np.errstate(all="ignore"):
                wanted = np.gradient(f, h)
            assert_same_bits(home(gpugrad.gradient(host_array(f), h)), wanted)

    @pytest.mark.parametrize("accuracy", [4, 8])
    @pytest.mark.parametrize(("dtype", "n"), [("f2", 60), ("f4", 30), ("f8", 31), ("f4", 301)])
    def test_rows_that_end_within_a_vector(self, cuda, rng, dtype, n, accuracy):
        # Samples beside a vector are loaded as vectors, of which the last is not whole; and where
        # blocks are narrow, results at the ends reach beyond the last block's own.
        f = rng.normal(size=n).astype(dtype)
        for boundary in ("one-sided", "periodic"):
            options = {"accuracy": accuracy, "boundary": boundary}
            got = gpugrad.gradient(host_array(f), 0.3, **options)
            wanted = gpugrad.gradient(f, 0.3, backend="slices", **options)
            assert_same_bits(home(got), wanted)

    def test_a_field_at_another_address_may_need_another_kernel(self, cuda, rng):
        whole = rng.normal(size=49)
        aligned = whole[whole.ctypes.data % 16 // 8 :][:48].reshape(6, 8)
        shifted = whole[1 - whole.ctypes.data % 16 // 8 :][:48].reshape(6, 8)
        for f in (aligned, shifted):
            assert_same_gradient(gpugrad.gradient(host_array(f)), f)
        assert len(cuda.wanted) == 2

    def test_coordinates_are_uploaded_once(self, cuda, rng):
        f, x = rng.normal(size=(6, 8)), np.cumsum(rng.uniform(0.1, 1, 8))
        for g in (f, f + 1, f[::2]):
            result = gpugrad.gradient(host_array(g), x.copy(), axis=1)
            assert_same_bits(home(result), np.gradient(g, x, axis=1))
        assert cuda.uploads == 3  # three weights for each row
        gpugrad.gradient(host_array(f), x * 2, axis=1)
        assert cuda.uploads == 6

    def test_programs_and_weights_have_a_limit(self, cuda, rng, monkeypatch):
        monkeypatch.setattr(cuda_engine, "uploaded", Store(most=99, most_bytes=200))
        monkeypatch.setattr(cuda_engine, "launches", Store(most=3))
        for n in range(5, 12):
            f, x = rng.normal(size=n), np.cumsum(rng.uniform(0.1, 1, n))
            assert_same_bits(home(gpugrad.gradient(host_array(f), x)), np.gradient(f, x))
        assert len(cuda_engine.launches) == 3
        assert 1 <= len(cuda_engine.uploaded) <= 200 // (3 * 8)

    @pytest.mark.parametrize("is_captured", [False, True])
    def test_weights_in_a_graph_stay(self, cuda, rng, monkeypatch, is_captured):
        monkeypatch.setattr(cuda_engine, "uploaded", Store(most=1))
        monkeypatch.setattr(cuda_engine, "launches", Store(most=1))
        monkeypatch.setattr(cuda, "is_capturing", lambda: is_captured)
        weights = []
        upload = cuda.upload

        def watch(values):
            array = upload(values)
            weights.append(weakref.ref(array))
            return array

        monkeypatch.setattr(cuda, "upload", watch)
        f, x = host_array(rng.normal(size=(6, 8))), np.cumsum(rng.uniform(0.1, 1, 8))
        gpugrad.gradient(f, x, axis=1)
        assert len(weights) == 3
        monkeypatch.setattr(cuda, "is_capturing", lambda: False)
        gpugrad.gradient(f, x**2, axis=1)
        gc.collect()
        assert [weight() is not None for weight in weights[:3]] == [is_captured] * 3

    def test_only_calls_with_weights_ask_for_graphs(self, cuda, rng, monkeypatch):
        asked = []
        monkeypatch.setattr(cuda, "is_capturing", lambda: bool(asked.append(1)))
        f = host_array(rng.normal(size=(6, 8)))
        gpugrad.gradient(f, 0.3)
        assert asked == []
        gpugrad.gradient(f, np.cumsum(rng.uniform(0.1, 1, 8)), axis=1)
        assert asked == [1]


@needs_compiler
class TestCallsThatComeAgain:
    """They find their program again, and whatever is another call does not."""

    @pytest.mark.parametrize("layout", ["C", "F"])
    @pytest.mark.parametrize("shape", [(6, 8), (5, 6, 7), (30,)])
    def test_they_make_no_program_anew(self, cuda, rng, monkeypatch, layout, shape):
        fields = [np.asarray(rng.normal(size=shape), order=layout) for _ in range(3)]
        many = len(shape) > 1
        outs = [
            [host_array(np.empty_like(fields[0])) for _ in shape] if many else
            host_array(np.empty_like(fields[0]))
        ]  # fmt: skip
        outs.append(tuple(outs[0]) if many else outs[0])
        stacked = host_array(np.empty((len(shape), *shape)))
        for i, f in enumerate(fields):
            g = host_array(f)
            expected = as_tuple(np.gradient(f, 0.3))
            found = [gpugrad.gradient(g, 0.3)]
            for out in outs:
                found.append(gpugrad.gradient(g, 0.3, out=out))
                assert found[-1] is out or all(a is b for a, b in zip(found[-1], out, strict=True))
                assert type(found[-1]) is type(found[0])
            for results in found:
                for got, wanted in zip(as_tuple(results), expected, strict=True):
                    assert_same_bits(home(got), wanted)
                    assert got.strides == f.strides
            assert gpugrad.gradient(g, 0.3, out=stacked, stack=True) is stacked
            for got in (stacked, gpugrad.gradient(g, 0.3, stack=True)):
                assert_same_bits(home(got), np.stack(expected))
            assert cuda.launches == 5 * (i + 1)
            if i == 0:
                monkeypatch.setattr(cuda_engine, "make_program", None)

    def test_other_plans_fields_and_signs_are_other_calls(self, cuda, rng):
        f, g = (host_array(rng.normal(size=(6, 8))) for _ in range(2))
        x = np.cumsum(rng.uniform(0.1, 1, 6))
        for _ in range(2):
            for h in (0.3, 0.25, x, 0.3):
                for edge_order in (1, 2):
                    options = {"axis": 0, "edge_order": edge_order}
                    got = gpugrad.gradient(f, h, **options)
                    assert_same_bits(home(got), np.gradient(home(f), h, **options))
            for pair in ((f, g), (g, f), (f, f)):
                for operator in (gpugrad.divergence, gpugrad.curl):
                    expected = operator([home(v) for v in pair], backend="slices")
                    assert_same_bits(home(operator(pair)), expected)

    def test_out_that_overlaps_is_found_again(self, cuda, rng, monkeypatch):
        monkeypatch.setattr(
            dispatch,
            "assign",
            lambda targets, results: [
                copy_on_host(t, r) for t, r in zip(targets, results, strict=True)
            ],
        )

        def copy_on_host(target, result):
            values = home(result)
            view = np.ndarray(
                target.shape,
                target.dtype,
                (ctypes.c_char * target.nbytes).from_address(target.data.ptr),
            )
            view[...] = values

        f = rng.normal(size=(7, 8))
        apart = host_array(np.zeros((6, 8)))
        gpugrad.gradient(host_array(f[:6]), axis=0, out=apart)
        whole = host_array(f.copy())
        for start in (0, 1):
            before = home(whole)[:6]
            gpugrad.gradient(whole[:6], axis=0, out=whole[start : start + 6])
            assert_same_bits(home(whole)[start : start + 6], np.gradient(before, axis=0))

    def test_out_that_does_not_fit_is_refused_as_before(self, cuda, rng):
        f = host_array(rng.normal(size=(6, 8)))
        good = tuple(host_array(np.zeros((6, 8))) for _ in range(2))
        gpugrad.gradient(f, out=good)
        for bad in ((good[0], good[0]), good[:1], (*good, f), (good[0], np.zeros((6, 8))), 3):
            with pytest.raises((ValueError, TypeError), match="`out"):
                gpugrad.gradient(f, out=bad)

    def test_another_backend_is_heard(self, cuda, rng, monkeypatch):
        f = host_array(rng.normal(size=(6, 8)))
        gpugrad.gradient(f)
        asked = []
        monkeypatch.setattr(slices, "evaluate", lambda outputs, out=None: asked.append(1) or (f, f))
        gpugrad.gradient(f, backend="slices")
        with gpugrad.use_backend("slices"):
            gpugrad.gradient(f)
        assert len(asked) == 2

    def test_missing_memory_is_named_again(self, cuda):
        f = host_array(np.zeros((6, 8)))
        gpugrad.gradient(f)

        def refuse(size):
            raise cupy.cuda.memory.OutOfMemoryError(size, 0)

        with (
            cupy.cuda.using_allocator(refuse),
            pytest.raises(MemoryError, match=r"need 768 bytes on .*, 384 for each of 2"),
        ):
            gpugrad.gradient(f)

    def test_memory_at_odd_addresses_is_another_call(self, cuda, rng):
        f = rng.normal(size=(6, 8)).astype("f4")
        gpugrad.gradient(host_array(f))

        def allocate_off(size):
            return allocate(size + 4) + 4

        with cupy.cuda.using_allocator(allocate_off):
            assert_same_gradient(gpugrad.gradient(host_array(f)), f)
            assert_same_gradient(gpugrad.gradient(host_array(f)), f)


class TestErrors:
    def test_missing_memory_is_named_with_its_size(self, cuda, monkeypatch):
        f = host_array(np.zeros((6, 8)))

        def refuse(size):
            raise cupy.cuda.memory.OutOfMemoryError(size, 0)

        message = r"need 768 bytes on .*Device 0.*, 384 for each of 2.*`out=`.*CuPy says"
        with cupy.cuda.using_allocator(refuse):
            with pytest.raises(MemoryError, match=message):
                gpugrad.gradient(f)
            with pytest.raises(MemoryError, match="need 768 bytes"):
                gpugrad.gradient(f, stack=True)
        assert cuda.launches == 0

    @pytest.mark.parametrize(
        "gpu",
        [
            Gpu(problem="CuPy is not installed", cure='pip install "gpugrad[cuda13x]"'),
            Gpu(problem="there is no NVIDIA driver on this machine", cure="install the driver"),
            Gpu(problem="there is no working runtime compiler (NVRTC)", cure="pip install it"),
        ],
    )
    @pytest.mark.parametrize("field", [np.arange(4.0), [1.0, 2.0]])
    def test_a_gpu_that_cannot_be_used_is_an_error_with_its_cure(self, monkeypatch, gpu, field):
        monkeypatch.setattr(_devices, "find_gpu", lambda: gpu)
        with pytest.raises(gpugrad.BackendError) as raised:
            gpugrad.gradient(field, backend="cupy")
        assert gpu.problem in str(raised.value)
        assert gpu.cure in str(raised.value)

    @pytest.mark.parametrize(
        ("field", "given"),
        [
            (np.arange(4.0), "NumPy's ndarray"),
            (np.arange(4.0, dtype="f4")[::-1], "NumPy's ndarray"),
            ([1, 2, 4], "NumPy's ndarray"),
            (np.ma.zeros(4), "NumPy's MaskedArray"),
            (np.array(["2024", "2025"], "M8[D]"), "NumPy's ndarray"),
            (np.zeros(4, "O"), "NumPy's ndarray"),
        ],
    )
    def test_arrays_in_host_memory_are_named_with_the_way_to_the_gpu(
        self, cuda, monkeypatch, field, given
    ):
        monkeypatch.setattr(_devices, "find_gpu", lambda: Gpu(devices=("a GPU",)))
        can_go = isinstance(field, list) or (type(field) is np.ndarray and field.dtype.kind == "f")
        cure = "Pass `cupy.asarray(f)`, or use" if can_go else "Use"
        with pytest.raises(gpugrad.BackendError) as raised:
            gpugrad.gradient(field, backend="cupy")
        assert str(raised.value) == (
            f'backend "cupy" cannot run this: it takes arrays on a GPU, and `f` is {given}. '
            f'{cure} backend="auto".'
        )
        assert cuda.launches == 0

    def test_arrays_of_other_libraries_are_named_with_the_way_to_the_gpu(self, cuda, monkeypatch):
        strict = pytest.importorskip("array_api_strict")
        monkeypatch.setattr(_devices, "find_gpu", lambda: Gpu(devices=("a GPU",)))
        message = r"`f` is array-api-strict's Array\. Pass `cupy\.asarray\(f\)`"
        with pytest.raises(gpugrad.BackendError, match=message):
            gpugrad.gradient(strict.arange(4.0), backend="cupy")

    def test_auto_never_sends_anything(self, cuda, monkeypatch):
        monkeypatch.setattr(_devices, "find_gpu", lambda: Gpu(devices=("a GPU",)))
        f = np.arange(12.0).reshape(3, 4) ** 2
        assert_same_bits(gpugrad.gradient(f, stack=True), np.stack(np.gradient(f)))
        assert cuda.launches == 0
        assert not cuda.wanted

    def test_what_the_kernel_cannot_take_is_named(self, cuda, monkeypatch):
        monkeypatch.setattr(_devices, "find_gpu", lambda: Gpu(devices=("a GPU",)))
        f = host_array(np.zeros((4, 5)))
        plan = first_derivative(0, 0.5, 1)

        def reason(*terms):
            return cuda_engine.unsupported([terms])

        long = plan._replace(dtype=np.dtype("longdouble"), memo={})
        assert "one is" in reason(Term(1, f, long))
        other = host_array(np.zeros((5, 5)))
        assert "one dtype and shape" in reason(Term(1, f, plan), Term(1, other, plan))
        assert "is bool" in reason(Term(1, f.view("?"), plan))
        assert dispatch._choose([[Term(1, f.view("?"), plan)]], None).evaluate is slices.evaluate
        with pytest.raises(gpugrad.BackendError, match=r"cannot run this: .*is bool"):
            dispatch._choose([[Term(1, f.view("?"), plan)]], "cupy")
        ends = (Formula(tuple(range(4)), (0.1,) * 4),) * 400
        assert "more samples" in reason(Term(1, f, plan._replace(lower=ends, memo={})))

    @pytest.mark.parametrize(
        ("facts", "problem"),
        [
            ({}, ""),
            ({"capability": "120"}, ""),
            ({"driver": 12010, "capability": "70"}, ""),
            ({"driver": 0, "capability": None}, ""),
            ({"capability": "61"}, "compute capability 7.0 or higher, and device 0 has 6.1"),
            ({"driver": 12000}, "drivers for CUDA 12.1 or later, and this machine's is for CUDA"),
            ({"is_hip": True}, "GPUs by NVIDIA, and this CuPy is built for those by AMD"),
        ],
    )
    def test_devices_that_cannot_run_the_kernel_are_named(self, monkeypatch, facts, problem):
        facts = {"driver": 13000, "capability": "90", "is_hip": False, **facts}
        runtime = SimpleNamespace(is_hip=facts["is_hip"], driverGetVersion=lambda: facts["driver"])
        monkeypatch.setattr(cupy.cuda, "runtime", runtime)
        device = SimpleNamespace(compute_capability=facts["capability"])
        monkeypatch.setattr(cupy.cuda, "Device", lambda number: device)
        found = cuda_engine.Cuda().find_problem(0)
        assert problem in found
        assert bool(problem) == bool(found)

    def test_a_device_that_cannot_run_the_kernel_takes_slices(self, cuda, monkeypatch):
        monkeypatch.setattr(_devices, "find_gpu", lambda: Gpu(devices=("an old GPU",)))
        asked = []
        monkeypatch.setattr(
            cuda, "find_problem", lambda device: asked.append(device) or "it takes newer GPUs"
        )
        f = host_array(np.zeros((4, 5)))
        outputs = [[Term(1, f, first_derivative(0, 0.5, 1))]]
        for _ in range(2):
            assert dispatch._choose(outputs, None).evaluate is slices.evaluate
            with pytest.raises(gpugrad.BackendError, match=r"cannot run this: it takes newer GPUs"):
                dispatch._choose(outputs, "cupy")
        assert gpugrad.explain(f).rejected["cupy"] == "it takes newer GPUs"
        assert asked == [0]

    def test_fields_on_two_devices_are_named(self, cuda):
        buffer = np.zeros(8)
        memory = cupy.cuda.UnownedMemory(buffer.ctypes.data, buffer.nbytes, buffer, 1)
        other = cupy.ndarray((8,), "f8", memptr=cupy.cuda.MemoryPointer(memory, 0))
        plan = first_derivative(0, 0.5, 1)
        reason = cuda_engine.unsupported(
            [[Term(1, host_array(buffer), plan), Term(1, other, plan)]]
        )
        assert re.search("two devices, .*0.* and .*1", reason)


def test_the_source_is_part_of_the_package():
    assert "__global__" in cuda_engine.read_source()
    assert "OPTIONS" not in cuda_engine.read_source()
    assert "--fmad=false" in cuda_engine.OPTIONS
    assert find_spec(cuda_engine.__name__) is not None
