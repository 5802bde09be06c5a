"""NumPy arrays on the GPU engine, without a GPU: slabs, copies and launches, in any order.

A stand-in for the device (`lazy_device`) does what it is given late, in a random order that
streams and events allow, and runs the kernel that g++ has compiled.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest

import gpugrad
from conftest import as_tuple, assert_same_bits
from gpugrad import _devices
from gpugrad._axes import plan_axes
from gpugrad._devices import Gpu
from gpugrad._options import Options
from gpugrad._plan import Term

pytest.importorskip("cupy", reason="CuPy is not installed")
import cupy
from kernels_on_host import SANITIZE, running_on_host
from lazy_device import LazyCuda, LazyDevice

from gpugrad._engines import gpu_stream, slabs

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture
def cuda(folder, monkeypatch):
    monkeypatch.setattr(_devices, "find_gpu", lambda: Gpu(devices=("host",)))
    options = SANITIZE if "SANITIZE_KERNELS" in os.environ else ()
    with running_on_host(LazyCuda(folder, options, eager=True)) as stand_in:
        yield stand_in


@pytest.fixture
def use(cuda, monkeypatch):
    """Return a function that puts a lazy device in place, with slabs of few bytes."""

    def use(seed=0, budget=4096, **options):
        device = cuda.device = LazyDevice(np.random.default_rng(seed), **options)
        monkeypatch.setattr(gpu_stream, "device", device)
        monkeypatch.setattr(slabs, "LEAST_SLAB_BYTES", 1)
        monkeypatch.setenv("GPUGRAD_STREAM_BYTES", str(budget))
        return device

    return use


def assert_like_slices(call, f, **keywords):
    results = as_tuple(call(f, backend="cupy", **keywords))
    with np.errstate(all="ignore"):
        expected = as_tuple(call(f, backend="slices", **keywords))
    for got, wanted in zip(results, expected, strict=True):
        assert type(got) is np.ndarray
        assert_same_bits(got, wanted)


BOUNDARIES = [
    "one-sided",
    "periodic",
    ("antisymmetric", "half-symmetric"),
    (2.5, {"normal": 1.0}),
]


class TestBits:
    @pytest.mark.parametrize("boundary", BOUNDARIES)
    @pytest.mark.parametrize(("order", "accuracy"), [(1, 2), (2, 6)])
    @pytest.mark.parametrize("uneven", [False, True])
    def test_every_scheme_in_any_order_of_work(self, use, rng, boundary, order, accuracy, uneven):
        f = rng.normal(size=(43, 6)).astype("f4")
        spacing = np.cumsum(rng.uniform(0.5, 1.5, 43)) if uneven else 0.3
        options = {"order": order, "accuracy": accuracy, "boundary": boundary, "axis": 0}
        for seed in range(5):
            device = use(seed, budget=2400)
            assert_like_slices(lambda f, **o: gpugrad.derivative(f, spacing, **options, **o), f)
            assert len(device.streams) == 1 + gpu_stream.PLACES
            assert device.steps > 20
            assert not device.let_go_of_too_early

    @pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "c8", "c16", "i1", "i8", "u4"])
    def test_every_dtype(self, use, rng, dtype):
        f = (rng.normal(size=(30, 5, 4)) * 99).astype(dtype)
        use(budget=30000)
        assert_like_slices(lambda f, **o: gpugrad.gradient(f, 0.3, edge_order=2, **o), f)
        x = [np.cumsum(rng.uniform(0.1, 1, n)) for n in f.shape]
        assert_like_slices(lambda f, **o: gpugrad.gradient(f, *x, **o), f)

    @pytest.mark.parametrize("shape", [(500,), (2,), (40, 1), (1, 40), (1, 3, 30), (5, 4, 3, 6)])
    def test_every_shape(self, use, rng, shape):
        f = rng.normal(size=shape)
        axes = tuple(i for i, n in enumerate(shape) if n > 1)
        for budget in (22000, 1 << 20) if f.size > 300 and f.ndim > 1 else (5000, 1 << 20):
            device = use(budget=budget)
            assert_like_slices(lambda f, **o: gpugrad.gradient(f, 0.3, axis=axes, **o), f)
            assert device.most_used <= budget

    def test_every_layout(self, use, rng):
        whole = rng.normal(size=(24, 10, 12))
        f = whole[:12, :5, :6].copy()
        records = np.zeros(f.shape, [("flag", "u1"), ("value", "f8")])
        records["value"] = f
        fields = [
            f,
            np.asfortranarray(f),
            f.transpose(1, 2, 0),
            whole[::2, ::2, ::2],
            f[::-1, ::-1],
        ]
        for g in (*fields, np.broadcast_to(f[:, :, :1], f.shape), records["value"]):
            use(budget=12000)
            assert_like_slices(lambda f, **o: gpugrad.gradient(f, 0.3, **o), g)

    def test_results_have_the_order_of_the_field(self, use, rng):
        f = np.asfortranarray(rng.normal(size=(5, 6, 20)))
        use(budget=10000)
        for result in gpugrad.gradient(f, backend="cupy"):
            assert result.strides == f.strides

    def test_slabs_are_cut_from_the_slowest_axis_in_memory(self, use, rng):
        f = rng.normal(size=(4, 6, 30))
        for field, slowest in ((f, 0), (f.T, 2), (np.asfortranarray(f), 2), (f.swapaxes(0, 1), 1)):
            layout, _ = slabs.cut(_outputs(field), 32, 3, 1 << 20)
            assert layout.axes[0] == slowest

    def test_a_slowest_axis_of_large_planes_gives_way_to_the_next(self, use, rng):
        f = rng.normal(size=(3, 200))
        device = use(budget=4000)
        assert_like_slices(lambda f, **o: gpugrad.gradient(f, 0.3, **o), f)
        assert device.most_used <= 4000 < 3 * 4 * f.nbytes

    def test_an_axis_whose_rows_are_read_twice_gives_way_to_the_next(self):
        f = np.broadcast_to(0.0, (100, 1000, 1000))
        f = np.lib.stride_tricks.as_strided(f, strides=(8000000, 8000, 8))
        for budget, slowest in ((1 << 32, 0), (3 << 27, 1)):
            layout, cuts = slabs.cut(_outputs(f), 32, 3, budget)
            assert layout.axes[0] == slowest
            assert max(slab.length for slab in cuts) * layout.row * 32 * 3 <= budget
            assert sum(slab.length for slab in cuts) <= 1.25 * f.shape[slowest]

    def test_operators_of_several_fields_and_terms(self, use, rng):
        v = rng.normal(size=(3, 20, 5, 4))
        for operator in (gpugrad.divergence, gpugrad.curl, gpugrad.jacobian):
            use(budget=30000)
            results, expected = (
                operator(v, 0.3, boundary="periodic", backend=name) for name in ("cupy", "slices")
            )
            assert_same_bits(np.stack([*np.ravel(results)]), np.stack([*np.ravel(expected)]))
        use(budget=30000)
        f = v[0].repeat(2, 1).repeat(2, 2)
        assert_like_slices(lambda f, **o: gpugrad.laplacian(f, 0.3, accuracy=4, **o), f)

    def test_fields_of_several_layouts(self, use, rng):
        v = [rng.normal(size=(20, 6)), np.asfortranarray(rng.normal(size=(20, 6)))]
        use()
        assert_same_bits(
            gpugrad.divergence(v, backend="cupy"), gpugrad.divergence(v, backend="slices")
        )


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="preloads a sanitizer, on Linux")
def test_kernels_stay_inside_of_their_slabs_under_sanitizers():
    library = subprocess.run(
        ["g++", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not os.path.isabs(library):
        pytest.skip("g++ has no address sanitizer")
    some = "every_scheme and periodic-1 or every_shape or several_layouts or files"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", __file__, "-qxs", "-k", some, "-p", "no:cacheprovider"],
        capture_output=True, text=True, check=False,
        env={
            **os.environ, "SANITIZE_KERNELS": "1", "LD_PRELOAD": library, "PYTHONMALLOC": "malloc",
            "ASAN_OPTIONS": "detect_leaks=0",
        },
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
    assert " passed" in done.stdout


class TestWhereResultsGo:
    def test_out_is_written_in_place(self, use, rng):
        f = rng.normal(size=(30, 6))
        use()
        out = np.zeros((30, 6)), np.zeros((6, 30), "f4").T
        results = gpugrad.gradient(f, 0.3, out=out, backend="cupy")
        assert results[0] is out[0]
        for got, wanted in zip(out, np.gradient(f, 0.3), strict=True):
            assert_same_bits(got, wanted.astype(got.dtype))

    def test_out_may_be_the_field(self, use, rng):
        f = rng.normal(size=(30, 6))
        expected = np.gradient(f, axis=0)
        use()
        gpugrad.gradient(f, axis=0, out=f, backend="cupy")
        assert_same_bits(f, expected)

    def test_results_are_stacked_in_place(self, use, rng):
        f = rng.normal(size=(30, 6))
        use()
        stacked = gpugrad.gradient(f, stack=True, backend="cupy")
        assert_same_bits(stacked, np.stack(np.gradient(f)))

    def test_files_are_read_and_written(self, use, rng, tmp_path):
        f = np.memmap(tmp_path / "f", "f4", "w+", shape=(40, 7))
        out = np.memmap(tmp_path / "out", "f4", "w+", shape=(2, 40, 7))
        f[...] = rng.normal(size=f.shape)
        use()
        assert gpugrad.gradient(f, 0.3, out=out, stack=True, backend="cupy") is out
        out.flush()
        assert_same_bits(np.fromfile(tmp_path / "out", "f4").reshape(2, 40, 7),
                         np.stack(np.gradient(np.asarray(f), 0.3)))  # fmt: skip

    def test_tensors_and_sequences_keep_their_library(self, use):
        use()
        assert gpugrad.gradient([1.0, 2.0, 4.0], backend="cupy").tolist() == [1.0, 1.5, 2.0]
        torch = pytest.importorskip("torch", reason="PyTorch is not installed")
        result = gpugrad.gradient(torch.asarray([1.0, 2.0, 4.0]), backend="cupy")
        assert type(result) is torch.Tensor
        assert result.tolist() == [1.0, 1.5, 2.0]

    def test_blocks_of_lazy_arrays_take_turns(self, use, rng):
        da = pytest.importorskip("dask.array", reason="Dask is not installed")
        f = rng.normal(size=(40, 6))
        device = use()
        results = gpugrad.gradient(da.from_array(f, chunks=(10, 6)), backend="cupy")
        for got, wanted in zip(results, np.gradient(f), strict=True):
            assert_same_bits(got.compute(), wanted)
        assert 0 < device.most_used <= 4096

    def test_empty_fields_move_nothing(self, use):
        device = use()
        assert gpugrad.gradient(np.zeros((4, 0)), axis=0, backend="cupy").shape == (4, 0)
        assert device.sent == 0


class TestMemory:
    def test_every_sample_is_sent_once_and_a_neighbour_twice(self, use, rng):
        f = rng.normal(size=(64, 5))
        device = use(budget=7200)
        gpugrad.gradient(f, backend="cupy")
        again = device.sent - f.nbytes
        assert 0 < again <= 0.5 * f.nbytes
        assert device.fetched == 2 * f.nbytes

    def test_no_more_memory_is_taken_than_the_budget(self, use, rng):
        f = rng.normal(size=(64, 5))
        for budget in (2000, 5000, 20000):
            device = use(budget=budget)
            assert_like_slices(lambda f, **o: gpugrad.gradient(f, boundary="periodic", **o), f)
            assert device.most_used <= budget
            assert device.used_pinned <= budget
            assert device.used == 0

    def test_the_budget_is_part_of_what_is_free(self, use, rng, monkeypatch):
        device = use(capacity=10000)
        monkeypatch.delenv("GPUGRAD_STREAM_BYTES")
        gpugrad.gradient(rng.normal(size=(64, 5)), backend="cupy")
        assert 2500 < device.most_used <= 5000

    def test_pinned_arrays_are_copied_by_the_device_itself(self, use, rng, monkeypatch):
        f = rng.normal(size=(40, 6))
        out = np.zeros((40, 6)), np.zeros((6, 40)).T  # the second lies the other way
        copied = []

        def copy(target, source, layout):
            copied.append(target)
            np.copyto(target, source)

        monkeypatch.setattr(gpu_stream, "_copy", copy)
        for seed in range(20):
            use(seed, pinned=(f, *out))
            gpugrad.gradient(f, 0.3, out=out, backend="cupy")
            for got, wanted in zip(out, np.gradient(f, 0.3), strict=True):
                assert_same_bits(got, wanted)
        assert copied
        assert all(np.shares_memory(target, out[1]) for target in copied)

    def test_the_same_call_again_plans_nothing_anew(self, use, rng, monkeypatch):
        from gpugrad._engines import cupy_gpu

        f = rng.normal(size=(60, 6))
        use()
        gpugrad.gradient(f, 0.3, backend="cupy")
        monkeypatch.setattr(cupy_gpu, "make_program", None)
        for got, wanted in zip(
            gpugrad.gradient(f, 0.3, backend="cupy"), np.gradient(f, 0.3), strict=True
        ):
            assert_same_bits(got, wanted)

    def test_calls_on_several_threads_take_turns(self, use, rng):
        f = rng.normal(size=(40, 6))
        device = use()
        results = []

        def call():
            results.append(gpugrad.gradient(f, backend="cupy"))

        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert device.most_used <= 4096
        for result in results:
            assert_same_bits(np.stack(result), np.stack(np.gradient(f)))
        assert len(results) == 4


def _outputs(f):
    plans = plan_axes(f, (), None, None, Options(1, 2, 1, "one-sided", None))
    return [[Term(1, f, plan)] for plan in plans]


class TestErrors:
    def test_a_gpu_that_is_full_is_named_with_what_is_needed(self, use, rng):
        f, out = rng.normal(size=(40, 6)), np.zeros((2, 40, 6))
        use(capacity=3000)
        message = r"needs [\d,]+ bytes on the GPU and .* GPUGRAD_STREAM_BYTES.*CUDA says"
        with pytest.raises(MemoryError, match=message):
            gpugrad.gradient(f, out=out, stack=True, backend="cupy")
        assert not out.any()

    def test_missing_pinned_memory_is_the_same_error(self, use, rng, monkeypatch):
        device = use()

        def refuse(size):
            raise MemoryError("out of memory")

        monkeypatch.setattr(device, "allocate_pinned", refuse)
        with pytest.raises(MemoryError, match="pinned memory on the host"):
            gpugrad.gradient(rng.normal(size=(40, 6)), backend="cupy")

    def test_a_budget_too_small_for_three_rows_says_how_much_is_needed(self, use, rng):
        f = rng.normal(size=(40, 50))
        use(budget=100)
        with pytest.raises(
            MemoryError, match=r"needs [\d,]+ bytes on the GPU at least, and has 100"
        ) as raised:
            gpugrad.gradient(f, backend="cupy")
        needed = int(str(raised.value).split(" bytes")[0].split()[-1].replace(",", ""))
        use(budget=needed)
        assert_like_slices(gpugrad.gradient, f)

    @pytest.mark.parametrize("told", ["much", "0", "-1", "1e9"])
    def test_a_budget_is_a_number_of_bytes(self, use, told, monkeypatch):
        use(budget=told)
        with pytest.raises(ValueError, match="`GPUGRAD_STREAM_BYTES` must be"):
            gpugrad.gradient(np.zeros(5), backend="cupy")

    @pytest.mark.parametrize("method", ["send", "fetch", "wait"])
    def test_an_error_midway_leaves_no_copy_under_way(self, use, rng, method, monkeypatch):
        f, out = rng.normal(size=(60, 6)), np.zeros((2, 60, 6))
        for seed in range(10):
            device = use(seed)
            original, calls = getattr(device, method), []

            def fail(*arguments, original=original, calls=calls):
                calls.append(1)
                if len(calls) == 5:
                    raise KeyboardInterrupt
                return original(*arguments)

            monkeypatch.setattr(device, method, fail)
            with pytest.raises(KeyboardInterrupt) as raised:
                gpugrad.gradient(f, out=out, stack=True, backend="cupy")
            assert "written to `out`" in raised.value.__notes__[0]
            raised = None
            assert not any(stream.work for stream in device.streams[1:])
            assert not device.let_go_of_too_early

    @pytest.mark.parametrize(
        ("f", "message"),
        [
            (np.zeros(4, "g"), "`f` is float128|`f` is longdouble"),
            (np.zeros(4, ">f8"), "byte order, and `f` is >f8"),
            (np.zeros(4, "M8[s]"), "datetime64"),
            (np.zeros(4, "O"), "`f` is object"),
            (np.ma.zeros(4), "plain arrays, and `f` is a MaskedArray"),
        ],
    )
    def test_what_the_kernel_cannot_take_is_named(self, use, f, message):
        use()
        with pytest.raises(gpugrad.BackendError, match=f"cannot run this: .*{message}"):
            gpugrad.gradient(f, backend="cupy")

    def test_auto_never_sends_anything(self, use, rng):
        device = use()
        gpugrad.gradient(rng.normal(size=(400, 300)))
        assert device.sent == 0


class TestTheRaceDetector:
    """What would go wrong without the order that the engine asks for does go wrong here."""

    def find_mistakes(self, use, rng, spoil, **options):
        f = rng.normal(size=(200, 6))
        mistakes = 0
        for seed in range(20):
            device = use(seed, budget=6000, **options)
            spoil(device)
            got = gpugrad.gradient(f, axis=0, backend="cupy")
            device.streams.sort(key=lambda stream: stream is device.callers)
            mistakes += got.tobytes() != np.gradient(f, axis=0).tobytes()
        return mistakes

    def test_it_finds_nothing_as_things_are(self, use, rng):
        assert self.find_mistakes(use, rng, lambda device: None) == 0

    def test_it_finds_memory_that_is_still_in_use_elsewhere(self, use, rng):
        def spoil(device):
            make = device.make_stream

            def make_at_once():
                stream = make()
                stream.work.clear()
                return stream

            device.make_stream = make_at_once

        assert self.find_mistakes(use, rng, spoil) > 0

    def test_it_finds_a_place_that_is_used_again_too_early(self, use, rng):
        def spoil(device):
            wait, calls = device.wait, []

            def wait_seldom(stream):
                calls.append(1)
                if len(calls) > 3:
                    wait(stream)

            device.wait = wait_seldom

        assert self.find_mistakes(use, rng, spoil) > 0

    def test_it_finds_copies_on_another_stream_than_the_kernel(self, use, rng):
        def spoil(device):
            fetch = device.fetch

            def fetch_elsewhere(target, memory):
                with device.on(device.streams[1]):
                    fetch(target, memory)

            device.fetch = fetch_elsewhere

        assert self.find_mistakes(use, rng, spoil) > 0

    def test_it_finds_memory_that_is_let_go_of_too_early(self, use, rng, monkeypatch):
        device = use()
        outputs = _outputs(rng.normal(size=(40, 6)))
        ring = gpu_stream._Ring(outputs, [np.dtype("f8")] * len(outputs))
        targets = [np.zeros((40, 6)) for _ in outputs]
        ring._start(ring.places[0], ring.slabs[0], targets, [False] * 3)
        del ring
        assert device.let_go_of_too_early
        assert cupy is not None
