"""Matplotlib's tests of shaded relief, which takes slopes by `numpy.gradient`."""

from __future__ import annotations

from pathlib import Path

import pytest
from replaced import import_peer, load_peer, numpy_with, our_gradient, vanish  # noqa: F401

colors = import_peer("matplotlib.colors")
# The package of its tests asks for pictures that are not installed. These tests need none.
matplotlibs = load_peer(Path(colors.__file__).parent / "tests" / "test_colors.py")

pytestmark = pytest.mark.filterwarnings("default")

test_light_source_shading_default = matplotlibs.test_light_source_shading_default
test_light_source_shading_empty_mask = matplotlibs.test_light_source_shading_empty_mask
test_light_source_masked_shading = matplotlibs.test_light_source_masked_shading
test_light_source_hillshading = matplotlibs.test_light_source_hillshading
test_light_source_planar_hillshading = matplotlibs.test_light_source_planar_hillshading


def replace(monkeypatch, gradient):
    monkeypatch.setattr(colors, "np", numpy_with(gradient))


def test_a_wrong_gradient_is_seen(ours):
    ours.gradient = vanish
    with pytest.raises(AssertionError):
        matplotlibs.test_light_source_hillshading()
