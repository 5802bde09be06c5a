"""astropy's tests of `numpy.gradient` on its quantities and on its masked arrays."""

from __future__ import annotations

import pytest
from replaced import import_peer, numpy_with, our_gradient, unless_plain, vanish  # noqa: F401

quantities = import_peer("astropy.units.tests.test_quantity_non_ufuncs")
masked = import_peer("astropy.utils.masked.tests.test_function_helpers")

pytestmark = pytest.mark.filterwarnings("default")

_quantities = quantities.TestIntDiffFunctions


def replace(monkeypatch, gradient):
    for module in (quantities, masked):
        monkeypatch.setattr(module, "np", numpy_with(unless_plain(gradient)))


class TestQuantities:
    test_gradient = _quantities.test_gradient
    test_gradient_spacing = _quantities.test_gradient_spacing


class TestMasked:
    def test_gradient(self):
        tests = masked.TestIntDiffFunctions()
        tests.setup_class()
        tests.test_gradient()


@pytest.mark.parametrize("known", [_quantities, masked.TestIntDiffFunctions])
def test_a_wrong_gradient_is_seen(ours, known):
    ours.gradient = vanish
    tests = known()
    if known is not _quantities:
        tests.setup_class()
    with pytest.raises(AssertionError):
        tests.test_gradient()
