"""MetPy's tests of its own gradient, and of winds and fronts, which are made of it.

MetPy's formula has three points at the ends as well: `edge_order=2`. The tests are in its source
archive only; `.ci/nightly` unpacks that under ``.venv/peers``.
"""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from replaced import import_peer, load_peer, our_gradient, vanish  # noqa: F401

tools = import_peer("metpy.calc.tools")
kinematics = import_peer("metpy.calc.kinematics")
FOLDER = Path(sys.prefix) / "peers" / f"metpy-{metadata.version('metpy')}"
known = load_peer(FOLDER / "conftest.py")
of_tools = load_peer(FOLDER / "tests/calc/test_calc_tools.py")
of_kinematics = load_peer(FOLDER / "tests/calc/test_kinematics.py")

pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.filterwarnings("ignore:(Horizontal|Vertical) dimension number:UserWarning"),
]

NAMES = [
    "gradient_2d",
    "gradient_4d",
    "gradient_restricted_axes",
    "3d_gradient_3d_data_no_axes",
    "2d_gradient_4d_data_2_axes_3_deltas",
    "2d_gradient_4d_data_2_axes_2_deltas",
    "gradient_xarray",
    "gradient_xarray_implicit_axes",
    "gradient_xarray_implicit_axes_transposed",
    "gradient_xarray_pint_conversion",
    "geospatial_gradient_geographic",
    "geospatial_gradient_return_subset",
    "vector_derivative_return_subset",
    "zero_vorticity",
    "vorticity",
    "vorticity_geographic",
    "vorticity_asym",
    "vorticity_xarray",
    "vorticity_grid_pole",
    "abs_vorticity_geographic",
    "absolute_vorticity_asym",
    "sum_shear_curvature",
    "zero_divergence",
    "divergence",
    "divergence_geographic",
    "horizontal_divergence",
    "divergence_asym",
    "divergence_xarray",
    "shearing_deformation_geographic",
    "shearing_deformation_asym",
    "stretching_deformation_geographic",
    "stretching_deformation_asym",
    "total_deformation_asym",
    "frontogenesis_asym",
    "frontogenesis_nan",
    "advection_uniform",
    "advection_1d_uniform_wind",
    "advection_1d",
    "advection_2d_uniform",
    "advection_2d",
    "advection_z_y",
    "advection_1d_vertical",
    "advection_2d_asym",
    "advection_xarray",
    "geostrophic_wind",
    "geostrophic_wind_asym",
    "geostrophic_geopotential",
    "geostrophic_3d",
    "geostrophic_gempak",
    "no_ageostrophic_geopotential",
    "ageostrophic_geopotential",
    "potential_vorticity_baroclinic_unity_axis0",
    "potential_vorticity_baroclinic_non_unity_derivative",
    "potential_vorticity_baroclinic_isobaric_real_data",
    "potential_vorticity_barotropic",
    "inertial_advective_wind_diffluent",
    "q_vector_without_static_stability",
    "q_vector_with_static_stability",
    "geospatial_laplacian_geographic",
]
for _name in NAMES:
    _home = of_tools if hasattr(of_tools, f"test_{_name}") else of_kinematics
    globals()[f"test_{_name}"] = getattr(_home, f"test_{_name}")


def replace(monkeypatch, gradient):
    def first_derivative(f, axis=None, x=None, delta=None):
        _, axis, delta = tools._process_deriv_args(f, axis, x, delta)
        x = np.cumsum(delta, axis=axis)
        x = np.concatenate([0 * x.take([0], axis=axis), x], axis=axis)
        lines_differ = any(length > 1 for i, length in enumerate(x.shape) if i != axis)
        x = np.broadcast_to(x, f.shape, subok=True) if lines_differ else x.reshape(-1)
        return gradient(f, x, axis=axis, edge_order=2)

    ready = tools.xarray_derivative_wrap(first_derivative)
    monkeypatch.setattr(tools, "first_derivative", ready)
    monkeypatch.setattr(kinematics, "first_derivative", ready)


# Fixtures of its tests.
test_da_lonlat, test_da_xy = known.test_da_lonlat, known.test_da_xy
array_type, geog_data = known.array_type, known.geog_data
deriv_1d_data, deriv_2d_data = of_tools.deriv_1d_data, of_tools.deriv_2d_data
deriv_4d_data, basic_dataset = of_tools.deriv_4d_data, of_kinematics.basic_dataset
pv_data, q_vector_data = of_kinematics.pv_data, of_kinematics.q_vector_data


def test_a_wrong_gradient_is_seen(ours, deriv_2d_data):
    ours.gradient = vanish
    with pytest.raises(AssertionError):
        of_tools.test_gradient_2d(deriv_2d_data)
