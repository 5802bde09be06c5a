"""Fields of xarray: axes by name, coordinates as spacings, labels and units of the results."""

import itertools
import warnings

import numpy as np
import pytest

import gpugrad

xarray = pytest.importorskip("xarray")

import gpugrad.xarray  # noqa: E402
from gpugrad._labels import cf_units  # noqa: E402


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


@pytest.mark.filterwarnings("ignore:.*adds derivatives per degree")
@pytest.mark.parametrize("operator", ["laplacian", "hessian", "gradient"])
def test_the_accessor_calls_the_functions(temperature, operator):
    ours = getattr(temperature.gpugrad, operator)("lat", "lon", boundary="edge")
    function = getattr(gpugrad, operator)
    expected = function(
        temperature.values, temperature.lat.values, temperature.lon.values, axis=(1, 2),
        boundary="edge",
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
        vorticity.values, gpugrad.curl((flow.u.values, flow.v.values), 2.0, 1.0, axis=(1, 0))
    )


def test_common_units_are_cancelled_without_pint(flow, monkeypatch):
    monkeypatch.setattr("gpugrad._labels.cf_units._cancel_with_pint", None)
    assert flow.gpugrad.divergence(u="u", v="v").attrs["units"] == "s-1"


def test_common_units_are_written_as_pint_writes_them():
    pytest.importorskip("pint")
    texts = ["1", "m s-1", "kg m-1 s^-2", "W m-2", "K2", *cf_units._SYMBOLS]
    for units, by, power in itertools.product(texts, texts, (1, 2)):
        if "degrees" not in units + by:  # which pint knows with cf-xarray alone
            found = cf_units._cancel_with_pint(units, by, power)
            assert cf_units.per(units, by, power) == found


def test_units_of_unlike_terms_are_not_made_up(flow):
    flow["v"].attrs["units"] = "km"
    with pytest.warns(gpugrad.GpugradWarning, match="m s-1 per m along 'lon', and km"):
        result = flow.gpugrad.divergence(u="u", v="v")
    assert "units" not in result.attrs


def mixed_flow(**units):
    """Return a flow u, v over x and y, with units given by name."""
    x, y = np.arange(6.0) * 2, np.arange(5.0) * 3
    coords = {"y": ("y", y, {"units": units["y"]}), "x": ("x", x, {"units": units["x"]})}
    values = y[:, None] ** 2 + x**2
    return xarray.Dataset(
        {
            name: xarray.DataArray(values, coords, ("y", "x"), attrs={"units": units[name]})
            for name in ("u", "v")
        }
    )


@pytest.mark.parametrize("operator", ["gradient_norm", "laplacian", "divergence", "curl"])
def test_sums_of_derivatives_of_different_units_are_warned_of(operator):
    flow = mixed_flow(u="m s-1", v="m s-1", x="m", y="km")
    is_field = operator in ("gradient_norm", "laplacian")
    call = getattr(flow["u"].gpugrad if is_field else flow.gpugrad, operator)
    names = {} if is_field else {"u": "u", "v": "v"}
    with pytest.warns(gpugrad.GpugradWarning, match="different units: .* per km along") as caught:
        call(**names)
    assert caught[0].filename == __file__
    assert len(caught) == 1


@pytest.mark.parametrize(
    "units",
    [
        {"u": "m s-1", "v": "Pa s-1", "x": "m", "y": "Pa"},
        {"u": "m s-1", "v": "m/s", "x": "m", "y": "metres"},
        {"u": "K", "v": "K", "x": "degrees_east", "y": "degree"},
        {"u": "unheard of", "v": "m s-1", "x": "m", "y": "m"},
    ],
)
def test_sums_of_derivatives_whose_units_go_together_are_not_warned_of(units):
    pytest.importorskip("pint")
    if units["x"].startswith("degree"):
        flow = mixed_flow(**units).rename(x="a", y="b")
        with pytest.warns(gpugrad.GpugradWarning, match="per degree along") as caught:
            flow.gpugrad.divergence("u", "v", axis=("a", "b"))
        assert len(caught) == 1
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error", gpugrad.GpugradWarning)
        mixed_flow(**units).gpugrad.divergence(u="u", v="v")


def test_sums_of_derivatives_per_sample_are_warned_of_where_places_are_known():
    lat, lon = np.meshgrid(np.arange(40.0, 45), np.arange(10.0, 16), indexing="ij")
    coords = {
        "lat": (("y", "x"), lat, {"units": "degrees_north"}),
        "lon": (("y", "x"), lon, {"units": "degrees_east"}),
    }
    f = xarray.DataArray(lat * lon, coords, ("y", "x"), name="T")
    message = r"per sample along y, x, while lat, lon say.*Sphere\(\)\.gradient_norm\(f\)"
    with pytest.warns(gpugrad.GpugradWarning, match=message):
        f.gpugrad.gradient_norm()


def test_the_sphere_that_a_warning_names_takes_rotated_coordinates():
    coords = {
        "rlat": ("rlat", np.arange(-4.0, 5), {"standard_name": "grid_latitude"}),
        "rlon": ("rlon", np.arange(-5.0, 6), {"standard_name": "grid_longitude"}),
    }
    f = xarray.DataArray(np.ones((9, 11)), coords, ("rlat", "rlon"), name="T")
    with pytest.warns(gpugrad.GpugradWarning, match=r"Sphere\('rlat', 'rlon'\)\.laplacian\(f\)"):
        gpugrad.laplacian(f)
    assert gpugrad.Sphere("rlat", "rlon").laplacian(f).shape == (9, 11)


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
    dx, dy = gpugrad.CurvilinearGrid("x", "y").gradient(curved)
    np.testing.assert_allclose(dx[0], 3.0)
    np.testing.assert_allclose(dy[0], -5.0)
    np.testing.assert_allclose(dx[1], 1.0)
    assert (dx.name, dy.name, dx.attrs["units"]) == ("dT_dx", "dT_dy", "K m-1")
    grid = gpugrad.CurvilinearGrid(curved.x.data, curved.y.data.T)
    expected = grid.gradient(curved.data)
    np.testing.assert_array_equal(dx.data, expected[0])
    xarray.testing.assert_identical(curved.gpugrad.curvilinear("x", "y").gradient()[1], dy)


def test_a_curved_grid_must_have_the_dimensions_of_space(curved):
    with pytest.raises(ValueError, match="of the grid must name coordinates of `f`: x, y; got"):
        gpugrad.CurvilinearGrid("x", "z").gradient(curved)
    with pytest.raises(ValueError, match=r"must have the dimensions to differentiate along"):
        gpugrad.CurvilinearGrid("x", "y", axis=("time", "j")).gradient(curved)
    with pytest.raises(TypeError, match=r"names of coordinates or DataArrays"):
        gpugrad.CurvilinearGrid(curved.x.data, curved.y.data.T).gradient(curved)


# What lies beside the field


@pytest.mark.filterwarnings("ignore:.*adds derivatives per degree")
def test_masks_and_spacings_must_lie_at_the_points_of_the_field(temperature):
    valid = temperature.isel(time=0, drop=True) > -9
    assert gpugrad.gradient(temperature, axis="lat", where=valid).notnull().all()
    shifted = valid.assign_coords(lat=valid.lat + 5)
    with pytest.raises(ValueError, match=r"`where` .*: 'lat' of `f` has -30.0 at position 0; got"):
        gpugrad.gradient(temperature, axis="lat", where=shifted)
    for wrong in (valid[1:], valid[:, :1]):
        with pytest.raises(ValueError, match=r"`where` must have the coordinates of `f`: `f` has"):
            gpugrad.laplacian(temperature, axis=("lat", "lon"), where=wrong)
    with pytest.raises(ValueError, match=r"no other dimensions than `f`, .* select along level"):
        gpugrad.gradient(temperature, axis="lat", where=valid.expand_dims(level=2))
    with pytest.raises(ValueError, match=r"`spacing` must have the coordinates of `f`: 'lat'"):
        gpugrad.gradient(temperature, shifted.lat, axis="lat")
    with pytest.raises(ValueError, match=r"`spacing` must lie along 'lat'.* along 'lon'"):
        gpugrad.gradient(temperature, "lon", axis="lat")


def test_masks_of_components_must_lie_at_their_points(flow):
    where = xarray.ones_like(flow.u, dtype=bool).assign_coords(lat=flow.lat + 1)
    with pytest.raises(ValueError, match="`where` must have the coordinates"):
        gpugrad.divergence((flow.u, flow.v), axis=("lon", "lat"), where=where)


def test_coordinates_of_a_curved_grid_must_lie_at_the_points_of_the_field(curved):
    with pytest.raises(ValueError, match="coordinates of the grid must have the coordinates"):
        gpugrad.CurvilinearGrid(curved.x[1:], curved.y.T[1:]).gradient(curved)


def test_spacings_that_are_named_or_labelled_bring_their_units(temperature):
    height = temperature.height.assign_attrs(units="km")
    for spacing in (height, height.drop_vars("lat")):
        assert gpugrad.gradient(temperature, spacing, axis="lat").attrs["units"] == "K km-1"
    f = temperature.assign_coords(height=height)
    dy, dx = gpugrad.gradient(f, "height", 2.0, axis=("lat", "lon"))
    assert (dy.attrs["units"], "units" in dx.attrs) == ("K km-1", False)


def test_spacings_of_pint_give_their_units_to_a_labelled_field(temperature):
    pint = pytest.importorskip("pint", reason="units are pint's")
    km = pint.UnitRegistry().Quantity(2.0, "km")
    df = gpugrad.gradient(temperature, km, axis="lat")
    assert df.attrs["units"] == "K km-1"
    np.testing.assert_array_equal(df.data, np.gradient(temperature.data, 2.0, axis=1))


@pytest.mark.parametrize(("time_unit", "units"), [("m", "K min-1"), ("h", "K h-1"), ("s", "K s-1")])
def test_minutes_are_no_metres(temperature, time_unit, units):
    assert gpugrad.gradient(temperature, axis="time", time_unit=time_unit).attrs["units"] == units


def test_options_may_be_given_by_dimension(temperature):
    options = {"boundary": {"lon": "periodic", "lat": ("edge", 0.0)}, "period": {"lon": 30.0}}
    dy, dx = gpugrad.gradient(temperature, axis=("lat", "lon"), **options)
    expected = gpugrad.gradient(
        temperature.data, temperature.lat.data, temperature.lon.data, axis=(1, 2),
        boundary={1: ("edge", 0.0), 2: "periodic"}, period={-1: 30.0},
    )  # fmt: skip
    np.testing.assert_array_equal(dy.data, expected[0])
    np.testing.assert_array_equal(dx.data, expected[1])
    one = gpugrad.derivative(temperature, axis="lat", boundary={"lat": "edge"})
    same = gpugrad.derivative(temperature, axis="lat", boundary="edge")
    xarray.testing.assert_identical(one, same)
    sloping = gpugrad.gradient(temperature, axis="lat", boundary={"normal": 1.0})
    np.testing.assert_allclose(sloping.isel(lat=-1), 1.0, rtol=1e-6)
    with pytest.raises(ValueError, match=r"`boundary` must name axes to .* lat, lon; got 'time'"):
        gpugrad.gradient(temperature, axis=("lat", "lon"), boundary={"time": "edge"})


def test_a_variable_without_coordinates_is_refused(temperature):
    with pytest.raises(TypeError, match=r"must be a DataArray .*; got a Variable"):
        gpugrad.gradient(temperature.variable)


# Staggered grids


@pytest.fixture
def cells():
    """A field at the centres of cells, that has coordinates of several kinds."""
    rng = np.random.default_rng(4)
    return xarray.DataArray(
        rng.normal(size=(6, 8)),
        {
            "y": ("y", np.arange(6.0) * 0.1, {"units": "m"}),
            "x": ("x", np.array([0.0, 1, 2, 4, 5, 6, 8, 9]), {"units": "m", "bounds": "x_bnds"}),
            "name": ("x", [*"abcdefgh"]),
            "depth": (("y", "x"), rng.random((6, 8))),
            "run": 7,
        },
        ("y", "x"),
        name="p",
        attrs={"units": "Pa"},
    )


def test_results_between_samples_have_coordinates_there(cells):
    left = gpugrad.derivative(cells, axis="x", stagger="left")
    np.testing.assert_array_equal(left.x, [-0.5, 0.5, 1.5, 3, 4.5, 5.5, 7, 8.5])
    right = gpugrad.gradient(cells, axis="x", stagger="right")
    np.testing.assert_array_equal(right.x, [0.5, 1.5, 3, 4.5, 5.5, 7, 8.5, 9.5])
    assert left.x.attrs == {"units": "m"}
    assert {*left.coords} == {"x", "y", "run"}
    xarray.testing.assert_identical(left.y, cells.y.drop_vars("run").assign_coords(run=7))
    expected = gpugrad.derivative(cells.data, cells.x.data, stagger="left")
    np.testing.assert_array_equal(left.data, expected)


def test_each_derivative_lies_on_its_own_faces(cells):
    dy, dx = gpugrad.gradient(cells, stagger={"x": "left"})
    xarray.testing.assert_equal(dy.coords.to_dataset(), cells.coords.to_dataset())
    assert dx.x[0] == -0.5
    stacked = gpugrad.gradient(cells, stagger="left", stack=True)
    assert {*stacked.coords} == {"run", "component"}
    alone = gpugrad.gradient(cells, axis=("x",), stagger="left", stack=True)
    assert alone.x[0] == -0.5


def test_faces_of_a_periodic_axis_close_the_circle():
    lon = np.arange(0.0, 360.0, 45.0)
    f = xarray.DataArray(np.sin(np.radians(lon)), {"lon": lon}, ("lon",))
    df = gpugrad.derivative(f, axis="lon", boundary="periodic", stagger="left")
    np.testing.assert_array_equal(df.lon, lon - 22.5)
    part = f[[0, 1, 2, 3, 4, 5]]
    df = gpugrad.derivative(part, axis="lon", boundary="periodic", period=360.0, stagger="right")
    np.testing.assert_array_equal(df.lon, [22.5, 67.5, 112.5, 157.5, 202.5, 292.5])


def test_faces_between_dates_are_dates():
    dates = np.datetime64("2021-05-01", "ns") + np.arange(4) * np.timedelta64(6, "h")
    f = xarray.DataArray(np.arange(4.0), {"time": dates}, ("time",))
    df = gpugrad.derivative(f, axis="time", stagger="right", time_unit="h")
    np.testing.assert_array_equal(df.time, dates + np.timedelta64(3, "h"))


def test_the_divergence_of_fluxes_on_faces_is_back_at_the_centres(cells):
    cells = cells.assign_coords(x=np.arange(8.0) * 0.3)
    flux = gpugrad.gradient(cells, axis=("x", "y"), stagger="left")
    result = gpugrad.divergence(flux, axis=("x", "y"), stagger="right")
    compact = gpugrad.laplacian(cells, axis=("x", "y"))
    inside = {"x": slice(1, -1), "y": slice(1, -1)}
    assert result.indexes["x"].equals(cells.indexes["x"])
    assert result.indexes["y"].equals(cells.indexes["y"])
    np.testing.assert_allclose(result.isel(inside), compact.isel(inside), rtol=1e-9)
    spin = gpugrad.curl(flux, axis=("x", "y"), stagger="left")
    assert (spin.x[0], spin.y[0]) == (flux[0].x[0], flux[1].y[0])
    np.testing.assert_allclose(spin.isel(inside), 0.0, atol=1e-9)
    expected = gpugrad.curl([one.data for one in flux], 0.3, 0.1, axis=(1, 0), stagger="left")
    np.testing.assert_allclose(spin.data, expected, atol=1e-9)


def test_a_curl_on_three_axes_lies_on_edges():
    rng = np.random.default_rng(9)
    axis = np.arange(5.0)
    centres = xarray.DataArray(rng.normal(size=(5, 5, 5)), dict.fromkeys("xyz", axis), [*"xyz"])
    flux = gpugrad.gradient(centres, stagger="left")
    curl = gpugrad.curl(flux, stagger="left")
    for k, one in enumerate(curl):
        starts = [float(one[d][0]) for d in "xyz"]
        assert starts == [0.0 if i == k else -0.5 for i in range(3)]
    moved = flux[1].assign_coords(x=axis + 0.25)
    with pytest.raises(ValueError, match="must have the same coordinates along 'x', but for"):
        gpugrad.curl((flux[0], moved, flux[2]), stagger="left")


def test_terms_that_do_not_meet_are_refused(cells):
    flux = gpugrad.gradient(cells, axis=("x", "y"), stagger="left")
    with pytest.raises(ValueError, match="the terms must meet at one place: along 'x'"):
        gpugrad.divergence(flux, axis=("x", "y"), stagger="left")
    with pytest.raises(ValueError, match="must have the same coordinates"):
        gpugrad.jacobian(flux, axis=("x", "y"), stagger="right")


def test_components_may_lie_along_the_first_dimension(flow):
    together = xarray.concat([flow.u, flow.v], "component")
    result = gpugrad.divergence(together, axis=("lon", "lat"))
    expected = gpugrad.divergence((flow.u, flow.v), axis=("lon", "lat"))
    xarray.testing.assert_identical(result, expected)
    slopes = gpugrad.gradient(flow.u, stack=True)
    rows = gpugrad.jacobian(slopes)
    assert [[one.name for one in row] for row in rows] == [
        ["dlat_dlat", "dlat_dlon"], ["dlon_dlat", "dlon_dlon"]
    ]  # fmt: skip
    with pytest.raises(ValueError, match="components along its first dimension"):
        gpugrad.divergence(flow.lat)


def test_the_accessor_has_every_operator_on_one_field_with_a_line_on_it(temperature):
    import gpugrad.xarray

    accessor = temperature.gpugrad
    there = [name for name in dir(accessor) if not name.startswith("_")]
    assert {"turning_points", "inflection_points", "critical_points", "noise_level"} <= {*there}
    assert all(getattr(accessor, name).__doc__ for name in there)
    wave = xarray.DataArray(
        np.cos(np.linspace(0, 9, 91)), {"x": np.linspace(0, 9, 91)}, ("x",), name="wave"
    )
    np.testing.assert_allclose(
        wave.gpugrad.turning_points("x").minima.position, [np.pi], atol=0.01
    )  # fmt: skip
    for name in ("inflection_points", "noise_level", "error_estimate"):
        expected = getattr(gpugrad, name)(wave, axis="x")
        assert type(getattr(wave.gpugrad, name)("x")) is type(expected)
    both = wave * xarray.DataArray(np.cos(np.arange(20) / 3), {"y": np.arange(20.0)}, ("y",))
    found = both.gpugrad.critical_points()
    assert type(found) is type(gpugrad.critical_points(both))


def test_operators_that_are_not_there_bring_those_that_are(temperature, flow):
    import gpugrad.xarray  # noqa: F401 - it adds the accessor

    with pytest.raises(AttributeError, match=r"no operator 'grad'; it has: .*gradient, gradient_"):
        temperature.gpugrad.grad("x")
    with pytest.raises(
        AttributeError, match=r"no operator 'gradient'; it has: curl, curvilinear, div"
    ):
        temperature.to_dataset(name="T").gpugrad.gradient("x")


def test_the_order_of_named_components_means_nothing(rng):
    x, y, z = np.arange(4.0), np.arange(3.0), np.arange(5.0)
    dims = ("z", "y", "x")
    wind = xarray.Dataset(
        {name: (dims, rng.normal(size=(5, 3, 4))) for name in "uvw"}, {"x": x, "y": y, "z": z}
    )
    flat = wind.isel(z=0, drop=True)
    expected = flat.gpugrad.curl("u", "v", axis=("x", "y"))
    for names in ({"u": "u", "v": "v"}, {"v": "v", "u": "u"}, {"y": "v", "x": "u"}):
        xarray.testing.assert_identical(flat.gpugrad.curl(**names), expected)
    expected = wind.gpugrad.curl(u="u", v="v", w="w")
    for found, wanted in zip(wind.gpugrad.curl(w="w", v="v", u="u"), expected, strict=True):
        xarray.testing.assert_identical(found, wanted)
    unknown = flat.rename(x="a", y="b")
    first, second = unknown.gpugrad.curl(a="u", b="v"), unknown.gpugrad.curl(b="v", a="u")
    np.testing.assert_array_equal(first, -second)
