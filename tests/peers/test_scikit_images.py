"""scikit-image's tests of what takes slopes by `numpy.gradient`: Hessians, contours, optical flow.

They are in its wheels up to 0.25.
"""

from __future__ import annotations

import numpy as np
import pytest
from replaced import import_peer, numpy_with, our_gradient, vanish  # noqa: F401

callers = [
    import_peer(f"skimage.{name}")
    for name in (
        "feature._basic_features",
        "feature.corner",
        "feature.sift",
        "registration._optical_flow",
        "segmentation.morphsnakes",
    )
]
corners = import_peer("skimage.feature.tests.test_corner")
sift = import_peer("skimage.feature.tests.test_sift")
features = import_peer("skimage.feature.tests.test_basic_features")
snakes = import_peer("skimage.segmentation.tests.test_morphsnakes")
flow = import_peer("skimage.registration.tests.test_ilk")
other_flow = import_peer("skimage.registration.tests.test_tvl1")

pytestmark = pytest.mark.filterwarnings("default")

test_hessian_matrix = corners.test_hessian_matrix
test_hessian_matrix_3d = corners.test_hessian_matrix_3d
test_hessian_matrix_eigvals = corners.test_hessian_matrix_eigvals
test_shape_index = corners.test_shape_index
test_keypoints_sift = sift.test_keypoints_sift
test_descriptor_sift = sift.test_descriptor_sift
test_features_channel_axis = features.test_multiscale_basic_features_channel_axis
test_morphsnakes_black = snakes.test_morphsnakes_black
test_morphsnakes_chan_vese = snakes.test_morphsnakes_simple_shape_chan_vese
test_morphsnakes_geodesic = snakes.test_morphsnakes_simple_shape_geodesic_active_contour
test_morphsnakes_3d = snakes.test_morphsnakes_3d
test_flow_2d = flow.test_2d_motion
test_no_flow_2d = flow.test_no_motion_2d
test_flow_dtype = flow.test_optical_flow_dtype
test_other_flow_2d = other_flow.test_2d_motion
test_other_flow_dtype = other_flow.test_optical_flow_dtype


def replace(monkeypatch, gradient):
    for module in callers:
        monkeypatch.setattr(module, "np", numpy_with(gradient))


@pytest.mark.parametrize(
    "test",
    [
        corners.test_hessian_matrix_3d,
        corners.test_shape_index,
        sift.test_descriptor_sift,
        lambda: flow.test_2d_motion(np.float64, False, False),
    ],
)
def test_a_wrong_gradient_is_seen(ours, test):
    ours.gradient = vanish
    with np.errstate(all="ignore"), pytest.raises(AssertionError):  # it divides by zeros
        test()
