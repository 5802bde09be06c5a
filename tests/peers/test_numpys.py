"""NumPy's tests of its gradient, by both ways that take all kinds of arrays, and its examples."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from replaced import import_peer, our_gradient, vanish  # noqa: F401

import gpugrad

numpys = import_peer("numpy.lib.tests.test_function_base")
EXAMPLES = np.gradient.__doc__

pytestmark = pytest.mark.filterwarnings("default")


def replace(monkeypatch, gradient):
    monkeypatch.setattr(np, "gradient", gradient)
    monkeypatch.setattr(numpys, "gradient", gradient)


class TestGradient(numpys.TestGradient):
    @pytest.fixture(autouse=True, params=["auto", "slices"])
    def backend(self, request):
        with gpugrad.use_backend(request.param):
            yield


def test_a_wrong_gradient_is_seen(ours):
    ours.gradient = vanish
    with pytest.raises(AssertionError):
        numpys.TestGradient().test_basic()


def test_the_examples_of_its_docstring():
    test = doctest.DocTestParser().get_doctest(EXAMPLES, {}, "numpy.gradient", None, 0)
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test)
    assert result.attempted > 10
    assert result.failed == 0
