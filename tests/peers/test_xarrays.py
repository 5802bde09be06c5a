"""xarray's tests of `differentiate`, on NumPy and Dask, with our gradient beneath it."""

from __future__ import annotations

import pytest
from replaced import import_peer, our_gradient, unless_plain, vanish  # noqa: F401

operations = import_peer("xarray.core.duck_array_ops")
datasets = import_peer("xarray.tests.test_dataset")
of_operations = import_peer("xarray.tests.test_duck_array_ops")

pytestmark = pytest.mark.filterwarnings("default")

test_differentiate = datasets.test_differentiate
test_differentiate_datetime = datasets.test_differentiate_datetime
test_differentiate_cftime = datasets.test_differentiate_cftime
test_dask_gradient = of_operations.test_dask_gradient


def replace(monkeypatch, gradient):
    monkeypatch.setattr(operations, "gradient", gradient)
    # Both sides of the comparison call this one.
    monkeypatch.setattr(of_operations, "gradient", unless_plain(gradient))


@pytest.fixture(params=[False, True])
def use_dask(request):
    return request.param


@pytest.mark.parametrize("is_lazy", [False, True])
def test_a_wrong_gradient_is_seen(ours, is_lazy):
    ours.gradient = vanish
    with pytest.raises(AssertionError):
        datasets.test_differentiate(is_lazy, 1)
    with pytest.raises(AssertionError):
        of_operations.test_dask_gradient(0, 1)
