"""pint's test of `numpy.gradient` on quantities; the test has its results in it."""

from __future__ import annotations

import pytest
from replaced import import_peer, numpy_with, our_gradient, vanish  # noqa: F401

pints = import_peer("pint.testsuite.test_numpy")

pytestmark = pytest.mark.filterwarnings("default")


def replace(monkeypatch, gradient):
    monkeypatch.setattr(pints, "np", numpy_with(gradient))


@pytest.fixture
def its_tests():
    its_class = pints.TestNumpyMathematicalFunctions
    its_class.setup_class()
    yield its_class()
    its_class.teardown_class()


def test_gradient(its_tests):
    its_tests.test_gradient()


def test_a_wrong_gradient_is_seen(its_tests, ours):
    ours.gradient = vanish
    with pytest.raises(AssertionError):
        its_tests.test_gradient()
