"""unyt's test of `numpy.gradient` on arrays with units."""

from __future__ import annotations

import pytest
from replaced import import_peer, our_gradient  # noqa: F401

import gpugrad

unyts = import_peer("unyt.tests.test_array_functions")

pytestmark = pytest.mark.filterwarnings("default")


def replace(monkeypatch, gradient):
    """Replace nothing: unyt's test takes the function as an argument."""


@pytest.mark.parametrize(
    ("given", "expected"), [(unyts.cm, unyts.cm), (unyts.K, unyts.delta_degC)], ids=str
)
def test_deltas(ours, given, expected):
    unyts.test_deltas(ours, given, expected)


def test_a_wrong_gradient_is_seen(ours):
    ours.gradient = lambda x: gpugrad.gradient(x) ** 2
    with pytest.raises(AssertionError):
        unyts.test_deltas(ours, unyts.cm, unyts.cm)
