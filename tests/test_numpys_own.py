"""NumPy's own tests of its gradient, run on ours."""

from __future__ import annotations

import numpy as np
import pytest

import gpugrad

numpys = pytest.importorskip("numpy.lib.tests.test_function_base")


@pytest.mark.filterwarnings("ignore:.*lose their fractions:gpugrad.GpugradWarning")
class TestGradient(numpys.TestGradient):
    @pytest.fixture(autouse=True)
    def replace(self, monkeypatch):
        monkeypatch.setattr(np, "gradient", gpugrad.gradient)
        monkeypatch.setattr(numpys, "gradient", gpugrad.gradient)


def test_numpys_tests_reach_our_gradient(monkeypatch):
    calls = []

    def spy(*args, **keywords):
        calls.append(args)
        return gpugrad.gradient(*args, **keywords)

    monkeypatch.setattr(np, "gradient", spy)
    monkeypatch.setattr(numpys, "gradient", spy)
    numpys.TestGradient().test_masked()
    numpys.TestGradient().test_args()
    assert len(calls) > 8
