"""xarray's tests of `differentiate` on pint's quantities, with our gradient beneath it."""

from __future__ import annotations

import numpy as np
import pytest
from replaced import import_peer, our_gradient  # noqa: F401

operations = import_peer("xarray.core.duck_array_ops")
units = import_peer("xarray.tests.test_units")

pytestmark = pytest.mark.filterwarnings("default")


def replace(monkeypatch, gradient):
    monkeypatch.setattr(operations, "gradient", gradient)


@pytest.mark.parametrize("dtype", [float, int])
def test_differentiate_integrate(dtype):
    function = units.method("differentiate", fallback_func=np.gradient)
    units.TestDataArray().test_differentiate_integrate(function, "coords", dtype)


@pytest.mark.parametrize("dtype", [float, int])
@pytest.mark.parametrize("variant", ["data", "coords"])
def test_computation(variant, dtype):
    function = units.method("differentiate", coord="x")
    units.TestDataset().test_computation(function, variant, dtype, None)


def test_a_wrong_unit_is_seen(ours):
    ours.gradient = lambda f, *x, **keywords: f
    function = units.method("differentiate", fallback_func=np.gradient)
    with pytest.raises(AssertionError):
        units.TestDataArray().test_differentiate_integrate(function, "coords", float)
    # Of a whole dataset the test expects what a call without units gives, by the same gradient.
    ours.gradient = lambda f, *x, **keywords: f.magnitude if hasattr(f, "magnitude") else f
    function = units.method("differentiate", coord="x")
    with pytest.raises(AssertionError):
        units.TestDataset().test_computation(function, "data", float, None)
