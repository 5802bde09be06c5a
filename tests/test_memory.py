"""Memory of results that have died is used again, and never while anybody can see it."""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import gpugrad
from conftest import assert_same_bits
from gpugrad._arrays import memory

pytestmark = pytest.mark.skipif(
    not memory._CAN_LIE_IDLE, reason="this system cannot take idle pages back"
)
LARGE = (memory.RECYCLED_BYTES // 8,)
F8 = np.dtype("f8")


@pytest.fixture(autouse=True, scope="module")
def others_frozen():
    """Look through what other tests have loaded once, not at each collection."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def nothing_idle(monkeypatch):
    monkeypatch.delenv("GPUGRAD_RECYCLE_BYTES", raising=False)
    gc.collect()
    gpugrad.free_memory()
    yield
    gc.collect()
    gpugrad.free_memory()


def address_of(array):
    return array.__array_interface__["data"][0]


def test_memory_of_a_dead_result_is_used_again():
    first = memory.empty(LARGE, F8)
    there = address_of(first)
    del first
    second = memory.empty(LARGE, F8)
    assert address_of(second) == there


def test_a_gradient_without_out_uses_memory_again():
    f = np.random.default_rng(0).normal(size=(96, 96, 96))
    expected = np.gradient(f)
    seen = set()
    for backend in ("numpy", "auto", "compiled"):
        for _ in range(3):
            results = gpugrad.gradient(f, backend=backend)
            seen |= {address_of(result) for result in results}
            for got, wanted in zip(results, expected, strict=True):
                assert_same_bits(got, wanted)
            del results, got
    assert len(seen) == 3


def test_stacked_results_use_memory_again():
    f = np.zeros((96, 96, 96))
    there = address_of(gpugrad.gradient(f, stack=True))
    assert address_of(gpugrad.gradient(f, stack=True)) == there


KEEPERS = {
    "a view": lambda a: a[3:5],
    "a view of a view": lambda a: a[3:].reshape(-1)[::2][1:4],
    "another dtype": lambda a: a.view("u1")[8:16],
    "a transpose": lambda a: a.T,
    "a memoryview": lambda a: memoryview(a)[4:9],
    "an iterator": lambda a: iter(a),
    "a flat iterator": lambda a: a.flat,
    "an element's buffer": lambda a: np.frombuffer(a, "f8", 3, 16),
    "an array subclass": lambda a: a.view(np.matrix),
    "a masked array": lambda a: np.ma.array(a, copy=False),
    "DLPack": lambda a: np.from_dlpack(a),
    "a capsule": lambda a: a.__dlpack__(),
    "ctypes": lambda a: a.ctypes.data_as(__import__("ctypes").c_void_p),
    "a closure": lambda a: lambda: a[0],
    "its base": lambda a: a.base,
}


@pytest.mark.parametrize("name", KEEPERS)
def test_memory_that_anybody_sees_is_not_used_again(name):
    result = memory.empty(LARGE, F8)
    there, keeper = address_of(result), KEEPERS[name](result)
    del result
    gc.collect()
    assert address_of(memory.empty(LARGE, F8)) != there
    del keeper
    gc.collect()
    gpugrad.free_memory()


def test_memory_that_torch_sees_is_not_used_again():
    torch = pytest.importorskip("torch")
    result = memory.empty(LARGE, F8)
    there, tensor = address_of(result), torch.from_numpy(result)[5:]
    del result
    assert address_of(memory.empty(LARGE, F8)) != there
    assert tensor.data_ptr() == there + 40


def test_results_of_random_programs_never_share_memory(rng):
    """Results are kept, viewed and dropped at random; all that live keep what was in them."""
    alive = {}
    for i in range(400):
        if alive and rng.random() < 0.5:
            del alive[rng.choice([*alive])]
        else:
            array = memory.empty((LARGE[0] + int(rng.integers(0, 9)) * 1000,), F8)
            array[::4096] = i
            alive[i] = array[4096 * int(rng.integers(0, 9)) :] if rng.random() < 0.5 else array
        assert all((kept[::4096] == number).all() for number, kept in alive.items())
    for a, b in itertools.combinations(alive.values(), 2):
        assert not np.shares_memory(a, b)


def test_many_threads_get_memory_of_their_own():
    def use(i):
        for k in range(30):
            array = memory.empty(LARGE, F8)
            array[::512] = i * 1000 + k
            assert (array[::512] == i * 1000 + k).all()
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(8)))


def test_a_result_may_die_on_another_thread():
    result = [memory.empty(LARGE, F8)]
    there = address_of(result[0])
    thread = threading.Thread(target=result.clear)
    thread.start()
    thread.join()
    assert address_of(memory.empty(LARGE, F8)) == there


def test_a_result_in_a_cycle_is_returned_by_the_garbage_collector():
    box = [memory.empty(LARGE, F8)]
    there = address_of(box[0])
    box.append(box)
    del box
    gc.collect()
    assert address_of(memory.empty(LARGE, F8)) == there


def test_results_can_be_watched_and_copied_like_any_array():
    result = memory.empty(LARGE, F8)
    result[:] = 2.0
    watch = weakref.ref(result)
    copy = pickle.loads(pickle.dumps(result))
    assert copy.flags.owndata or copy.base is not result.base
    assert result.flags.writeable
    assert result.flags.aligned
    del result
    assert watch() is None
    assert (copy == 2.0).all()


def test_idle_memory_is_bounded(monkeypatch):
    monkeypatch.setenv("GPUGRAD_RECYCLE_BYTES", str(3 * memory.RECYCLED_BYTES))
    arrays = [memory.empty(LARGE, F8) for _ in range(8)]
    del arrays
    assert gpugrad.free_memory() == 3 * memory.RECYCLED_BYTES
    assert gpugrad.free_memory() == 0


def test_the_longest_idle_goes_first(monkeypatch):
    monkeypatch.setenv("GPUGRAD_RECYCLE_BYTES", str(2 * memory.RECYCLED_BYTES))
    arrays = [memory.empty(LARGE, F8) for _ in range(3)]
    addresses = [address_of(array) for array in arrays]
    while arrays:
        del arrays[0]
    again = [memory.empty(LARGE, F8) for _ in range(2)]
    assert [address_of(array) for array in again] == addresses[:0:-1]


def test_the_setting_switches_it_off(monkeypatch):
    monkeypatch.setenv("GPUGRAD_RECYCLE_BYTES", "0")
    result = gpugrad.gradient(np.zeros(LARGE))
    assert result.base is None
    del result
    assert gpugrad.free_memory() == 0


def test_a_setting_that_is_no_number_is_named(monkeypatch):
    monkeypatch.setenv("GPUGRAD_RECYCLE_BYTES", "much")
    with pytest.raises(ValueError, match=r"`GPUGRAD_RECYCLE_BYTES` must be a whole number.*'much'"):
        gpugrad.gradient(np.zeros(LARGE))


def test_small_results_are_numpys_own():
    assert gpugrad.gradient(np.zeros(1000)).base is None


def test_memory_that_is_much_too_large_is_left_alone():
    large = memory.empty((2 * LARGE[0],), F8)
    there = address_of(large)
    del large
    assert address_of(memory.empty(LARGE, F8)) != there


def test_no_memory_is_numpys_error(monkeypatch):
    class NoMemory:
        def __init__(self, size):
            raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(memory, "_Memory", NoMemory)
    assert memory.empty(LARGE, F8).base is None  # NumPy had some after all
    with pytest.raises(MemoryError, match=r"Unable to allocate"):
        memory.empty((1 << 58,), F8)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_the_memory_order_is_that_of_numpy(order, axes):
    f = np.zeros((96, 90, 80), "f4", order=order).transpose(axes)[:, ::-1]
    ours, numpys = memory.empty_like(f, F8), np.empty_like(f, F8)
    assert isinstance(ours.base, memory._Lease)
    assert ours.strides == numpys.strides


def _use_in_child(queue):
    array = memory.empty(LARGE, F8)
    array[:] = 7.0
    queue.put(float(array.sum()))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork.*:RuntimeWarning")
def test_a_forked_child_cannot_write_to_its_parents_results():
    kept, dropped = memory.empty(LARGE, F8), memory.empty(LARGE, F8)
    kept[:] = 3.0
    there = address_of(dropped)
    del dropped
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    with memory._lock:  # as a thread of the parent might hold it at that moment
        child = context.Process(target=_use_in_child, args=[queue])
        child.start()
    assert queue.get(timeout=60) == 7.0 * LARGE[0]
    child.join(60)
    assert child.exitcode == 0
    again = memory.empty(LARGE, F8)
    assert address_of(again) == there
    assert not (again == 7.0).any()
    assert (kept == 3.0).all()


def test_results_that_live_to_the_end_of_the_process_are_no_trouble():
    code = (
        "import numpy as np, gpugrad\n"
        "f = np.zeros(1 << 20)\n"
        "kept = gpugrad.gradient(f)\n"
        "class Cycle: pass\n"
        "cycle = Cycle(); cycle.me = cycle; cycle.result = gpugrad.gradient(f)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stderr == ""


def test_small_results_need_no_large_memory(monkeypatch):
    monkeypatch.setattr(memory, "_LARGE_TEMPORARY", 1 << 60)  # more than there is
    memory.keep_freed_memory.cache_clear()
    f = np.arange(1e5)
    assert_same_bits(gpugrad.gradient(f), np.gradient(f))
