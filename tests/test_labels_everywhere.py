"""Every public function with fields of xarray and pint: labelled results, or a clear error."""

from __future__ import annotations

import numpy as np
import pytest

import gpugrad

xarray = pytest.importorskip("xarray")
pint = pytest.importorskip("pint", reason="units are pint's")

UNITS = pint.UnitRegistry()
PLACE = (np.linspace(-60, 60, 9), np.arange(0.0, 360.0, 36.0))


def make_curved_grid(f):
    """Return a curved grid, with labels if the field has some."""
    y, x = np.meshgrid(np.arange(9.0), np.arange(10.0) ** 1.2, indexing="ij")
    xs = y + 0.1 * x, x
    if isinstance(f, xarray.DataArray):
        xs = [xarray.DataArray(w, dims=("y", "x"), attrs={"units": "m"}) for w in xs]
    return gpugrad.CurvilinearGrid(*xs)


LABELLED = {
    "gradient": lambda f: gpugrad.gradient(f)[0],
    "derivative": gpugrad.derivative,
    "gradient_norm": gpugrad.gradient_norm,
    "laplacian": gpugrad.laplacian,
    "vector_laplacian": lambda f: gpugrad.vector_laplacian((f, f))[1],
    "hessian": lambda f: gpugrad.hessian(f)[0][1],
    "divergence": lambda f: gpugrad.divergence((f, f)),
    "curl": lambda f: gpugrad.curl((f, f)),
    "jacobian": lambda f: gpugrad.jacobian((f, f))[0][1],
    "error_estimate": gpugrad.error_estimate,
    "noise_level": gpugrad.noise_level,
    "smooth_derivative": gpugrad.smooth_derivative,
    "turning_points": lambda f: gpugrad.turning_points(f).value,
    "inflection_points": lambda f: gpugrad.inflection_points(f).value,
    "critical_points": lambda f: gpugrad.critical_points(f).value,
    "Sphere": lambda f: gpugrad.Sphere(*PLACE).gradient(f).east,
    "SphereGradient": lambda f: gpugrad.Sphere(*PLACE).curl(u=f, v=f),
    "CurvilinearGrid": lambda f: make_curved_grid(f).gradient(f)[1],
}
"""How a field is passed to each function, for a result that must have names and units."""

REFUSED = {
    "plan": lambda f: gpugrad.plan(f.shape)(f),
    "Plan": lambda f: gpugrad.plan(f.shape, operator="laplacian")(f),
    "gradient_of": lambda f: gpugrad.gradient_of(lambda x: x**2)(f),
    "derivative_of": lambda f: gpugrad.derivative_of(lambda x: x**2)(f),
    "jacobian_of": lambda f: gpugrad.jacobian_of(lambda x: (x, x))(f),
    "hessian_of": lambda f: gpugrad.hessian_of(lambda x: x**2)(f),
    "divergence_of": lambda f: gpugrad.divergence_of(lambda x: (x,))(f),
    "curl_of": lambda f: gpugrad.curl_of(lambda x, y: (y, x))(f, f),
    "laplacian_of": lambda f: gpugrad.laplacian_of(lambda x: x**2)(f),
    "tabulate": lambda f: gpugrad.tabulate(lambda x: x, f[0]),
    "symbolic.gradient": lambda f: gpugrad.symbolic.gradient("x**2")(f),
    "symbolic.derivative": lambda f: gpugrad.symbolic.derivative("x**2")(f),
    "symbolic.hessian": lambda f: gpugrad.symbolic.hessian("x**2")(f),
    "symbolic.laplacian": lambda f: gpugrad.symbolic.laplacian("x**2")(f),
    "symbolic.jacobian": lambda f: gpugrad.symbolic.jacobian(("x", "x**2"))(f),
    "symbolic.divergence": lambda f: gpugrad.symbolic.divergence(("x", "y"))(f, f),
    "symbolic.curl": lambda f: gpugrad.symbolic.curl(("y", "x"))(f, f),
}
"""Functions whose results would have no names: they say that they take plain arrays."""

OTHERS = {
    "BackendError", "CriticalPoint", "CriticalPoints", "DerivativeEstimate", "Explanation",
    "FunctionDerivative", "GpugradWarning", "Info", "InflectionPoint", "InflectionPoints",
    "NotAnalytic", "RecommendedSpacing", "Stencil", "Table", "TruncationError", "TurningPoint",
    "TurningPoints", "asnumpy", "explain", "free_memory", "info", "namespace", "patch_numpy",
    "plot", "recommended_spacing", "stencil", "symbolic", "symbolic.SymbolicFunction",
    "use_backend",
}  # fmt: skip
"""What takes no field, gives numbers of it or draws it, and `asnumpy`, which strips it."""

NEED_VALUES = ("turning_points", "inflection_points", "critical_points")


def values():
    rng = np.random.default_rng(11)
    return rng.normal(size=(9, 10)).cumsum(axis=1)


@pytest.fixture
def labelled():
    y = ("y", np.arange(9.0), {"units": "m"})
    x = ("x", np.arange(10.0) * 2, {"units": "m"})
    return xarray.DataArray(
        values(), {"y": y, "x": x, "run": 3}, ("y", "x"), name="T", attrs={"units": "K"}
    )


def test_no_public_function_is_forgotten():
    formulas = {f"symbolic.{name}" for name in gpugrad.symbolic.__all__}
    assert {*LABELLED, *REFUSED, *OTHERS} == {*gpugrad.__all__} | formulas


@pytest.mark.parametrize("name", LABELLED)
def test_labels_and_units_of_xarray_live_on(labelled, name):
    result = LABELLED[name](labelled)
    assert isinstance(result, xarray.DataArray)
    assert result.run == 3
    assert result.attrs["units"].startswith("K")
    plain = LABELLED[name](labelled.data)
    if (
        "Sphere" not in name
        and name != "CurvilinearGrid"
        and "points" not in name
        and name != "noise_level"
    ):
        return  # plain arrays have other spacings; the other tests compare these
    np.testing.assert_array_equal(result.data, plain)


@pytest.mark.parametrize("name", LABELLED)
def test_lazy_fields_of_xarray_stay_lazy_or_are_refused(labelled, name):
    pytest.importorskip("dask")
    lazy = labelled.chunk(y=3)
    if name in NEED_VALUES:
        with pytest.raises(TypeError, match=r"Dask array, not computed yet.*\.compute\(\)"):
            LABELLED[name](lazy)
        return
    result = LABELLED[name](lazy)
    if name != "noise_level":  # documented to compute
        assert result.chunks is not None
    np.testing.assert_allclose(result.compute(), LABELLED[name](labelled), rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize("name", LABELLED)
def test_units_of_pint_live_on(name):
    result = LABELLED[name](UNITS.Quantity(values(), "kelvin"))
    assert isinstance(result, UNITS.Quantity)
    assert result.dimensionality["[temperature]"] == 1
    np.testing.assert_array_equal(result.magnitude, LABELLED[name](values()))


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_lose_labels_is_refused(labelled, name):
    if name.startswith("symbolic"):
        pytest.importorskip("sympy", reason="formulas are SymPy's")
    with pytest.raises(TypeError, match=r"without labels or units .* Pass its `\.data`"):
        REFUSED[name](labelled)
    with pytest.raises(TypeError, match=r"without labels or units .* Pass its `\.magnitude`"):
        REFUSED[name](UNITS.Quantity(values(), "kelvin"))


def test_a_namespace_is_asked_for_by_name(labelled):
    with pytest.raises(ValueError, match="`name` must be auto"):
        gpugrad.namespace(labelled)


# Points


def test_points_of_curves_lie_at_coordinates_and_know_their_curve(labelled):
    f = labelled.assign_coords(place=("y", [*"abcdefghi"]), area=(("y", "x"), values()))
    points = gpugrad.turning_points(f, axis="x", prominence=0.1)
    plain = gpugrad.turning_points(values(), f.x.data, prominence=0.1)
    np.testing.assert_array_equal(points.position.data, plain.position)
    np.testing.assert_array_equal(points.position.y, f.y.data[plain.curve])
    np.testing.assert_array_equal(points.value.place, f.place.data[plain.curve])
    assert points.position.attrs["units"] == points.extent.attrs["units"] == "m"
    assert points.prominence.attrs["units"] == "K"
    assert "area" not in points.value.coords
    maxima = points.maxima
    assert 0 < len(maxima) < len(points)
    assert (maxima.kind == "maximum").all()
    along = gpugrad.turning_points(f, axis="y")
    assert {*along.position.coords} == {"x", "run"}


def test_points_of_a_curve_in_time_are_dates():
    dates = np.datetime64("2021-05-01", "ns") + np.arange(6) * np.timedelta64(1, "h")
    f = xarray.DataArray([0.0, 2, 4, 3, 1, 0.5], {"time": dates}, ("time",), attrs={"units": "K"})
    points = gpugrad.turning_points(f)
    assert points.position.dtype.kind == "M"
    assert dates[1] < points.position.values[0] < dates[3]
    bends = gpugrad.inflection_points(f, time_unit="h")
    assert bends.slope.attrs["units"] == "K h-1"
    per_second = gpugrad.inflection_points(f)
    np.testing.assert_allclose(per_second.slope * 3600, bends.slope)


def test_critical_points_know_their_axes():
    y, x = np.linspace(-2, 2, 41), np.linspace(-2, 2, 51)
    f = xarray.DataArray(
        y[:, None] ** 3 - 3 * y[:, None] + x**2,
        {"y": ("y", y, {"units": "m"}), "x": ("x", x, {"units": "m"})},
        ("y", "x"),
        attrs={"units": "K"},
    )
    points = gpugrad.critical_points(f)
    assert [*points.kind.values] == ["saddle", "minimum"]
    np.testing.assert_allclose(points.position.sel(axis="y"), [-1, 1], atol=1e-2)
    np.testing.assert_allclose(points.value.y, [-1, 1], atol=1e-2)
    assert points.eigenvalues.attrs["units"] == "K m-2"
    wrapped = gpugrad.critical_points(f, boundary={"x": "periodic"})
    assert len(wrapped) >= 2
    plain = gpugrad.critical_points(f.data)
    unlabelled = gpugrad.critical_points(f.drop_vars(["x", "y"]))
    np.testing.assert_array_equal(unlabelled.position, plain.position)


def test_points_have_the_units_of_their_samples():
    x = UNITS.Quantity(np.linspace(0, 6, 25), "km")
    y = UNITS.Quantity(np.sin(x.magnitude), "degC")
    turns = gpugrad.turning_points(y, x, prominence=UNITS.Quantity(0.1, "delta_degC"), ends=True)
    assert turns.position.units == UNITS.km
    assert turns.value.units == UNITS.degC
    assert turns.prominence.units == UNITS.delta_degC
    assert len(turns.maxima.position) == len(turns.maxima)
    bends = gpugrad.inflection_points(y, x)
    assert bends.slope.units == UNITS.Unit("delta_degC/km")
    with pytest.raises(ValueError, match="`prominence` and `f` must have units"):
        gpugrad.turning_points(y, x, prominence=UNITS.Quantity(1.0, "m"))
    f = UNITS.Quantity(np.add.outer(x.magnitude**2, (x.magnitude - 3) ** 2), "K")
    found = gpugrad.critical_points(f, x - x[10], x.to("m"))
    assert (found.position.units, found.eigenvalues.units) == (UNITS.km, UNITS.Unit("K/km**2"))
    with pytest.raises(ValueError, match="coordinates of all axes must have units"):
        gpugrad.critical_points(f, x, UNITS.Quantity(1.0, "s"))


def test_noise_is_in_the_units_of_the_samples(labelled):
    level = gpugrad.noise_level(labelled, axis="x")
    assert (level.dims, level.attrs["units"], level.name) == (("y",), "K", "noise_T")
    one = gpugrad.noise_level(UNITS.Quantity(values()[0], "degC"))
    assert one.units == UNITS.delta_degC


def test_errors_are_labelled_as_what_they_are_of(labelled):
    result = gpugrad.error_estimate(labelled, axis="y")
    assert (result.name, result.attrs["units"]) == ("error_dT_dy", "K m-1")
    expected = gpugrad.error_estimate(labelled.data, labelled.y.data, axis=0)
    np.testing.assert_array_equal(result.data, expected)


def test_plain_curves_take_coordinates_of_xarray(labelled):
    points = gpugrad.turning_points(labelled.data, labelled.x)
    expected = gpugrad.turning_points(labelled.data, labelled.x.data)
    np.testing.assert_array_equal(points.position, expected.position)
    found = gpugrad.critical_points(labelled.data, labelled.y, labelled.x)
    expected = gpugrad.critical_points(labelled.data, labelled.y.data, labelled.x.data)
    np.testing.assert_array_equal(found.position, expected.position)
