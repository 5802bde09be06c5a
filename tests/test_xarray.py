"""Fields of xarray: axes by name, coordinates as spacings, labels and units of the results."""

import numpy as np
import pytest

import gpugrad

xarray = pytest.importorskip("xarray")

import gpugrad.xarray  # noqa: E402


@pytest.fixture
def temperature():
    rng = np.random.default_rng(3)
    times = np.datetime64("2021-05-01T00:00") + np.arange(6) * np.timedelta64(3, "h")
    return xarray.DataArray(
        rng.normal(size=(6, 7, 9)).astype("f4"),
        {
            "time": times,
            "lat": ("lat", np.linspace(-30, 30, 7), {"units": "degrees_north"}),
            "lon": ("lon", np.cumsum(rng.uniform(1, 2, 9)), {"units": "degrees_east"}),
            "height": ("lat", np.arange(7.0)),
        },
        ("time", "lat", "lon"),
        name="T",
        attrs={"units": "K", "standard_name": "air_temperature", "source": "a model"},
    )


def test_axes_go_by_name_and_coordinates_are_spacings(temperature):
    dy, dx = gpugrad.gradient(temperature, axis=("lat", "lon"))
    expected = np.gradient(
        temperature.values, temperature.lat.values, temperature.lon.values, axis=(1, 2)
    )
    np.testing.assert_array_equal(dy.values, expected[0])
    np.testing.assert_array_equal(dx.values, expected[1])
    assert dx.dims == temperature.dims
    assert dx.dtype == temperature.dtype


def test_results_keep_coordinates_and_attributes_and_get_names_and_units(temperature):
    df = gpugrad.gradient(temperature, axis="lon", accuracy=4)
    assert df.name == "dT_dlon"
    xarray.testing.assert_identical(df.height, temperature.height)
    assert df.attrs == {
        "source": "a model",
        "long_name": "derivative of T along lon",
        "units": df.attrs["units"],
    }
    assert df.attrs["units"].startswith("K degree")
    assert df.attrs["units"].endswith("-1")
    second = gpugrad.derivative(temperature, axis="time", order=2, time_unit="h")
    assert (second.name, second.attrs["units"]) == ("d2T_dtime2", "K h-2")
    values = gpugrad.derivative(
        temperature.values, temperature.time.values, axis=0, order=2, time_unit="h"
    )
    np.testing.assert_array_equal(second.values, values)


def test_the_field_itself_is_left_alone(temperature):
    before = temperature.copy(deep=True)
    gpugrad.gradient(temperature)
    xarray.testing.assert_identical(temperature, before)


def test_rates_are_per_second_unless_told(temperature):
    df = gpugrad.gradient(temperature, axis="time")
    expected = gpugrad.gradient(temperature.values, temperature.time.values, axis=0, time_unit="s")
    np.testing.assert_array_equal(df.values, expected)
    assert df.attrs["units"] == "K s-1"


def test_all_axes_by_default_and_numbers_for_axes_without_coordinates():
    f = xarray.DataArray(np.random.default_rng(0).normal(size=(4, 5)), dims=("y", "x"))
    dy, dx = gpugrad.gradient(f)
    expected = np.gradient(f.values)
    np.testing.assert_array_equal(dy.values, expected[0])
    np.testing.assert_array_equal(dx.values, expected[1])
    assert (dy.name, "units" in dy.attrs) == ("df_dy", False)
    np.testing.assert_array_equal(gpugrad.gradient(f, 0.5, axis=-1).values, 2 * expected[1])


def test_a_named_coordinate_may_be_the_spacing(temperature):
    df = gpugrad.gradient(temperature, "height", axis="lat")
    np.testing.assert_array_equal(df.values, np.gradient(temperature.values, axis=1))


def test_coordinates_of_two_dimensions_belong_to_their_lines():
    rng = np.random.default_rng(1)
    z = np.cumsum(rng.uniform(1, 2, (5, 6)), axis=0)
    f = xarray.DataArray(rng.normal(size=(3, 5, 6)), dims=("t", "level", "x"))
    f = f.assign_coords(z=(("level", "x"), z))
    df = gpugrad.gradient(f, "z", axis="level")
    expected = [[np.gradient(f.values[t, :, i], z[:, i]) for i in range(6)] for t in range(3)]
    np.testing.assert_array_equal(df.values, np.swapaxes(expected, 1, 2))


@pytest.mark.parametrize("operator", ["laplacian", "hessian", "gradient"])
def test_the_accessor_calls_the_functions(temperature, operator):
    ours = getattr(temperature.gpugrad, operator)("lat", "lon", boundary="nearest")
    function = getattr(gpugrad, operator)
    expected = function(
        temperature.values, temperature.lat.values, temperature.lon.values, axis=(1, 2),
        boundary="nearest",
    )  # fmt: skip
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(expected))


def test_the_accessor_takes_one_dimension(temperature):
    assert isinstance(temperature.gpugrad.gradient("lat"), xarray.DataArray)
    assert temperature.gpugrad.derivative("lon", order=3).name == "d3T_dlon3"


@pytest.fixture
def flow():
    rng = np.random.default_rng(8)
    return xarray.Dataset(
        {
            "u": (("lat", "lon"), rng.normal(size=(6, 8)), {"units": "m s-1"}),
            "v": (("lat", "lon"), rng.normal(size=(6, 8)), {"units": "m s-1"}),
        },
        {
            "lat": ("lat", np.arange(6.0), {"units": "m"}),
            "lon": ("lon", np.arange(8.0) * 2, {"units": "m"}),
        },
    )


def test_components_know_their_directions(flow):
    expected = gpugrad.divergence((flow.u.values, flow.v.values), 2.0, 1.0, axis=(1, 0))
    for result in (
        flow.gpugrad.divergence(u="u", v="v"),
        flow.gpugrad.divergence("u", "v", axis=("lon", "lat")),
        flow.gpugrad.divergence(lon="u", lat="v"),
        gpugrad.divergence((flow.u, flow.v.transpose("lon", "lat")), axis=("lon", "lat")),
    ):
        np.testing.assert_allclose(result.values, expected, rtol=1e-14)
        assert result.name == "divergence"
    vorticity = flow.gpugrad.curl(v="v", u="u")
    np.testing.assert_allclose(
        -vorticity.values, gpugrad.curl((flow.u.values, flow.v.values), 2.0, 1.0, axis=(1, 0))
    )


def test_units_are_cancelled_where_pint_is_there(flow):
    pytest.importorskip("pint")
    assert flow.gpugrad.divergence(u="u", v="v").attrs["units"] == "s-1"


def test_units_of_unlike_terms_are_not_made_up(flow):
    flow["v"].attrs["units"] = "km"
    assert "units" not in flow.gpugrad.divergence(u="u", v="v").attrs


def test_stacked_results_have_a_new_dimension(temperature):
    stacked = gpugrad.gradient(temperature, axis=("lat", "lon"), stack=True)
    assert stacked.dims == ("component", "time", "lat", "lon")
    xarray.testing.assert_equal(
        stacked.sel(component="lon", drop=True), gpugrad.gradient(temperature, axis="lon")
    )
    hessian = gpugrad.hessian(temperature, axis=("lat", "lon"), stack=True)
    assert hessian.dims == ("component", "along", "time", "lat", "lon")


def test_dask_stays_lazy(temperature):
    pytest.importorskip("dask")
    lazy = temperature.chunk(time=2, lat=3)
    for df, expected in zip(
        gpugrad.gradient(lazy, time_unit="h"),
        gpugrad.gradient(temperature, time_unit="h"),
        strict=True,
    ):
        assert df.chunks == lazy.chunks
        xarray.testing.assert_identical(df.compute(), expected)


def test_a_plain_field_takes_coordinates_of_xarray(temperature):
    df = gpugrad.gradient(temperature.values, temperature.lat, axis=1)
    np.testing.assert_array_equal(
        df, np.gradient(temperature.values, temperature.lat.values, axis=1)
    )


def test_dates_of_other_calendars_are_understood():
    cftime = pytest.importorskip("cftime", reason="other calendars are cftime's")
    dates = [
        cftime.DatetimeNoLeap(2001, 2, 28 + i) if i == 0 else cftime.DatetimeNoLeap(2001, 3, i)
        for i in range(4)
    ]
    f = xarray.DataArray([0.0, 1.0, 4.0, 9.0], {"time": dates}, ("time",))
    np.testing.assert_allclose(gpugrad.gradient(f, time_unit="D"), np.gradient(f.values))


# Errors


def test_unknown_names_are_named_with_those_there_are(temperature, flow):
    with pytest.raises(ValueError, match=r"dimensions of `f`: time, lat, lon; got 'depth'"):
        gpugrad.gradient(temperature, axis="depth")
    with pytest.raises(ValueError, match=r"coordinates of `f`: .*; got 'pressure'"):
        gpugrad.gradient(temperature, "pressure", axis="lat")
    with pytest.raises(TypeError, match=r"one variable of a Dataset; got all of them: u, v"):
        gpugrad.gradient(flow)
    with pytest.raises(KeyError, match="no variable 'q'; it has: u, v"):
        flow.gpugrad.divergence(u="q", v="v")
    with pytest.raises(TypeError, match="either in the order of `axis`, or by name"):
        flow.gpugrad.divergence("u", v="v")
    with pytest.raises(ValueError, match="component w must point along one dimension"):
        flow.gpugrad.divergence(u="u", w="v")


def test_components_must_lie_at_the_same_points(flow):
    with pytest.raises(ValueError, match="must have the same coordinates"):
        gpugrad.divergence((flow.u, flow.v.assign_coords(lat=np.arange(6.0) + 0.5)))
    with pytest.raises(ValueError, match="must have the same dimensions"):
        gpugrad.divergence((flow.u, flow.v.isel(lat=0)))


def test_out_is_refused(temperature):
    with pytest.raises(TypeError, match=r"pass its `\.data`"):
        gpugrad.gradient(temperature, axis="lat", out=np.empty(temperature.shape, "f4"))


def test_text_is_no_coordinate():
    f = xarray.DataArray([1.0, 2.0], {"x": ["a", "b"]}, ("x",))
    with pytest.raises(TypeError, match="coordinate 'x' must hold numbers or dates"):
        gpugrad.gradient(f)


def test_a_mask_may_lack_axes_of_the_field_and_have_them_in_another_order():
    rng = np.random.default_rng(2)
    f = xarray.DataArray(rng.normal(size=(4, 7, 6)), dims=("time", "y", "x"))
    where = xarray.DataArray(rng.random((6, 7)) > 0.2, dims=("x", "y"))
    result = gpugrad.gradient(f, axis="y", where=where)
    expected = gpugrad.gradient(f.values, axis=1, where=where.values.T)
    np.testing.assert_array_equal(result.values, expected)
    assert np.isnan(expected).any()
    assert result.dims == f.dims


# Curved grids


@pytest.fixture
def curved():
    """A field on a skewed grid, linear in its coordinates."""
    j, i = np.meshgrid(np.arange(6.0), np.arange(7.0), indexing="ij")
    x, y = i + 0.3 * j + 0.05 * i * j, 2 * j - 0.2 * i
    f = np.stack([3 * x - 5 * y, x + y])
    return xarray.DataArray(
        f,
        {"x": (("j", "i"), x, {"units": "m"}), "y": (("i", "j"), y.T, {"units": "m"})},
        ("time", "j", "i"),
        name="T",
        attrs={"units": "K"},
    )


def test_a_curved_grid_is_named_by_its_coordinates(curved):
    dx, dy = gpugrad.gradient(curved, curvilinear=("x", "y"))
    np.testing.assert_allclose(dx[0], 3.0)
    np.testing.assert_allclose(dy[0], -5.0)
    np.testing.assert_allclose(dx[1], 1.0)
    assert (dx.name, dy.name, dx.attrs["units"]) == ("dT_dx", "dT_dy", "K m-1")
    expected = gpugrad.gradient(
        curved.data, curvilinear=(curved.x.data, curved.y.data.T), axis=(1, 2)
    )
    np.testing.assert_array_equal(dx.data, expected[0])
    xarray.testing.assert_identical(
        curved.gpugrad.gradient("j", "i", curvilinear=("x", "y"))[1], dy
    )


def test_a_curved_grid_must_have_the_dimensions_of_space(curved):
    with pytest.raises(ValueError, match=r"`curvilinear` must name coordinates of `f`: x, y; got"):
        gpugrad.gradient(curved, curvilinear=("x", "z"))
    with pytest.raises(ValueError, match=r"must have the dimensions to differentiate along"):
        gpugrad.gradient(curved, curvilinear=("x", "y"), axis=("time", "j"))
    with pytest.raises(TypeError, match=r"names of coordinates or DataArrays"):
        gpugrad.gradient(curved, curvilinear=(curved.x.data, curved.y.data))
