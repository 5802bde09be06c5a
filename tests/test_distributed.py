"""Dask arrays on worker processes: the same bits, also when a worker dies in the middle."""

import os
import signal
import time

import numpy as np
import pytest

import gpugrad

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed", reason="worker processes are distributed's")


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            silence_logs=50,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def field():
    return np.random.default_rng(4).normal(size=(24, 18, 20))


OPERATORS = {
    "gradient": lambda f: gpugrad.gradient(f, 0.5, stack=True),
    "periodic": lambda f: gpugrad.gradient(f, accuracy=4, boundary="periodic", stack=True),
    "laplacian": lambda f: gpugrad.laplacian(f, 2.0),
    "divergence": lambda f: gpugrad.divergence((f, f * f, 1 - f)),
    "hessian": lambda f: gpugrad.hessian(f, stack=True),
}


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", OPERATORS)
def test_workers_give_the_bits_of_memory(client, field, name):
    lazy = da.from_array(field, chunks=(7, 9, 20))
    result = client.compute(OPERATORS[name](lazy)).result(timeout=120)
    np.testing.assert_array_equal(result, OPERATORS[name](field))


def linger(block, seconds):
    """Pass a block on, slowly."""
    time.sleep(seconds)
    return block


@pytest.mark.exhaustive
def test_a_worker_that_is_killed_costs_time_alone(client, field):
    lazy = da.from_array(field, chunks=(3, 6, 20)).map_blocks(linger, 0.02, dtype=field.dtype)
    future = client.compute(gpugrad.gradient(lazy, stack=True))
    pids = client.run(os.getpid)
    deadline = time.monotonic() + 60
    while not any(client.run(lambda dask_worker: len(dask_worker.data)).values()):
        assert time.monotonic() < deadline, "no task was done in a minute"
    os.kill(next(iter(pids.values())), signal.SIGKILL)
    np.testing.assert_array_equal(future.result(timeout=120), gpugrad.gradient(field, stack=True))
    client.wait_for_workers(2, timeout=60)
    assert set(client.run(os.getpid).values()) != set(pids.values())
