"""Dask's tests of `dask.array.gradient`; what they expect is NumPy's."""

from __future__ import annotations

import pytest
from replaced import import_peer, our_gradient, vanish  # noqa: F401

dasks = import_peer("dask.array.tests.test_routines")

pytestmark = pytest.mark.filterwarnings("default")

test_gradient = dasks.test_gradient


def replace(monkeypatch, gradient):
    monkeypatch.setattr(dasks.da, "gradient", gradient)


def test_a_wrong_gradient_is_seen(ours):
    ours.gradient = vanish
    with pytest.raises(AssertionError):
        dasks.test_gradient((10, 20), (), None, 1)
