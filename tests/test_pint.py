"""Fields and spacings with pint's units: each derivative has its own."""

import numpy as np
import pytest

import gpugrad

pint = pytest.importorskip("pint", reason="units are pint's")

UNITS = pint.UnitRegistry()
Q = UNITS.Quantity


def test_each_axis_gives_its_own_unit():
    f = Q(np.random.default_rng(0).normal(size=(5, 6)), "kelvin")
    dt, dx = gpugrad.gradient(f, Q(2.0, "s"), Q(0.5, "m"))
    expected = np.gradient(f.magnitude, 2.0, 0.5)
    assert (dt.units, dx.units) == (UNITS.Unit("K/s"), UNITS.Unit("K/m"))
    np.testing.assert_array_equal(dt.magnitude, expected[0])
    np.testing.assert_array_equal(dx.magnitude, expected[1])


def test_coordinates_have_units_too_and_plain_fields_take_them():
    x = Q(np.array([0.0, 1.0, 3.0]), "km")
    df = gpugrad.gradient(np.array([1.0, 2.0, 4.0]), x)
    assert df.units == UNITS.Unit("1/km")
    np.testing.assert_array_equal(df.magnitude, [1.0, 1.0, 1.0])


def test_without_a_spacing_the_unit_is_that_of_the_field():
    df = gpugrad.gradient(Q(np.array([1.0, 4.0, 9.0]), "m"))
    assert df.units == UNITS.metre


def test_orders_raise_the_unit_of_the_spacing():
    f = Q(np.arange(6.0) ** 3, "m")
    assert gpugrad.derivative(f, Q(1.0, "s"), order=2).units == UNITS.Unit("m/s**2")
    assert gpugrad.derivative(f, spacing=Q(1.0, "s"), order=3).units == UNITS.Unit("m/s**3")


def test_sums_convert_their_spacings():
    f = Q(np.random.default_rng(1).normal(size=(5, 6)), "K")
    result = gpugrad.laplacian(f, Q(1.0, "km"), Q(500.0, "m"))
    assert result.units == UNITS.Unit("K/km**2")
    np.testing.assert_allclose(result.magnitude, gpugrad.laplacian(f.magnitude, 1.0, 0.5))
    with pytest.raises(ValueError, match=r"spacings of all axes .* kilometer and second"):
        gpugrad.laplacian(f, Q(1.0, "km"), Q(1.0, "s"))


def test_components_are_converted_to_one_unit():
    u, v = np.random.default_rng(2).normal(size=(2, 5, 6))
    result = gpugrad.divergence((Q(u, "m/s"), Q(v, "km/s")), Q(1.0, "m"))
    assert result.units == UNITS.Unit("1/s")
    np.testing.assert_allclose(result.magnitude, gpugrad.divergence((u, 1000 * v)))
    with pytest.raises(ValueError, match="components of `v`"):
        gpugrad.divergence((Q(u, "m/s"), Q(v, "K")), Q(1.0, "m"))


def test_jacobian_and_hessian_have_units_entry_by_entry():
    f = np.random.default_rng(3).normal(size=(5, 6))
    rows = gpugrad.hessian(Q(f, "K"), Q(1.0, "m"), Q(1.0, "s"))
    assert [[str(one.units) for one in row] for row in rows] == [
        ["kelvin / meter ** 2", "kelvin / meter / second"],
        ["kelvin / meter / second", "kelvin / second ** 2"],
    ]
    (row,) = gpugrad.jacobian([Q(f, "K")], Q(1.0, "m"), Q(1.0, "s"))
    assert [str(one.units) for one in row] == ["kelvin / meter", "kelvin / second"]


def test_degrees_above_a_zero_become_differences():
    df = gpugrad.gradient(Q(np.array([10.0, 12.0, 15.0]), "degC"), Q(1.0, "m"))
    assert df.units == UNITS.Unit("delta_degC/m")
    assert df.to("K/m").magnitude[0] == 2.0


def test_stacked_derivatives_need_one_unit():
    f = Q(np.ones((4, 4)), "K")
    assert gpugrad.gradient(f, Q(1.0, "m"), Q(1.0, "km"), stack=True).units == UNITS.Unit("K/m")
    with pytest.raises(ValueError, match="spacings of all axes"):
        gpugrad.gradient(f, Q(1.0, "m"), Q(1.0, "s"), stack=True)


def test_quantities_inside_of_xarray_keep_their_units():
    xarray = pytest.importorskip("xarray")
    x = ("x", np.array([0.0, 1.0, 3.0]), {"units": "m"})
    f = xarray.DataArray(Q(np.array([1.0, 2.0, 6.0]), "K"), {"x": x}, ("x",))
    df = gpugrad.gradient(f)
    assert df.data.units == UNITS.Unit("K/m")
    assert "units" not in df.attrs


def test_rates_between_dates_have_the_unit_of_time():
    f = Q(np.array([1.0, 4.0, 9.0, 7.0]), "m")
    dates = np.datetime64("2021-05-01") + np.arange(4) * np.timedelta64(1, "D")
    assert gpugrad.gradient(f, dates, time_unit="D").units == UNITS.Unit("m/day")
    assert gpugrad.derivative(f, dates, order=2, time_unit="m").units == UNITS.Unit("m/min**2")


def test_periods_of_axes_without_a_spacing_are_kept():
    f = np.arange(12.0).reshape(3, 4) ** 2
    options = {"boundary": "periodic", "period": {0: 3.0}}
    for got, expected in zip(
        gpugrad.gradient(Q(f, "K"), **options), gpugrad.gradient(f, **options), strict=True
    ):
        assert str(got.units) == "kelvin"
        assert np.array_equal(got.magnitude, expected)


def test_a_period_is_converted_to_the_unit_of_the_spacing():
    angle = np.arange(5) * 60.0
    f = Q(np.sin(np.radians(angle)), "K")
    options = {"boundary": "periodic", "accuracy": 4}
    df = gpugrad.derivative(f, Q(angle, "degree"), period=Q(2 * np.pi, "radian"), **options)
    expected = gpugrad.derivative(f.magnitude, angle, period=360.0, **options)
    np.testing.assert_allclose(df.magnitude, expected)
    lists = gpugrad.gradient(f, Q(angle, "degree"), period={0: Q(1.0, "turn")}, **options)
    np.testing.assert_allclose(lists.magnitude, expected)
    with pytest.raises(ValueError, match="`period` and the spacing must have units"):
        gpugrad.derivative(f, Q(angle, "degree"), period=Q(1.0, "s"), **options)


def test_a_spacing_by_name_of_the_argument_keeps_its_unit():
    df = gpugrad.derivative(np.array([1.0, 2.0, 4.0]), spacing=Q(2.0, "m"))
    assert df.units == UNITS.Unit("1/m")


def test_named_spacings_beside_quantities_in_xarray_have_units():
    xarray = pytest.importorskip("xarray")
    f = xarray.DataArray(Q(np.array([1.0, 2.0, 6.0]), "K"), dims="x")
    f = f.assign_coords(h=("x", np.array([0.0, 1.0, 3.0]), {"units": "km"}))
    assert gpugrad.gradient(f, "h").data.units == UNITS.Unit("K/km")
    assert gpugrad.gradient(f, Q(1.0, "m")).data.units == UNITS.Unit("K/m")
    time = np.datetime64("2021-05-01", "ns") + np.arange(3) * np.timedelta64(1, "h")
    f = f.drop_vars("h").assign_coords(x=time)
    assert gpugrad.gradient(f).data.units == UNITS.Unit("K/s")


def test_numbers_of_boundaries_have_the_unit_of_the_field_or_of_its_slope():
    f = np.random.default_rng(4).normal(size=(5, 6))
    x = Q(2.0, "m")
    boundary = {0: Q(300.0, "cK"), 1: ({"normal": Q(1.0, "K/km")}, "edge")}
    dy, dx = gpugrad.gradient(Q(f, "K"), x, boundary=boundary)
    expected = gpugrad.gradient(f, 2.0, boundary={0: 3.0, 1: ({"normal": 0.001}, "edge")})
    np.testing.assert_allclose(dy.magnitude, expected[0])
    np.testing.assert_allclose(dx.magnitude, expected[1])
    with pytest.raises(ValueError, match="`boundary` and the field must have units"):
        gpugrad.gradient(Q(f, "K"), x, boundary=x)


def test_what_can_have_no_units_is_refused_with_them():
    f = Q(np.ones(5), "K")
    with pytest.raises(TypeError, match="`where` must be without units"):
        gpugrad.gradient(f, where=0 * f)


@pytest.mark.parametrize(
    ("text", "unit"), [("degrees_east", "1/degree"), ("m s-1", "s/m"), ("m**2", "1/m**2")]
)
def test_units_of_coordinates_are_read_as_the_cf_conventions_write_them(text, unit):
    xarray = pytest.importorskip("xarray")
    x = ("x", np.array([0.0, 1.0, 3.0]), {"units": text})
    f = xarray.DataArray(Q(np.array([1.0, 2.0, 6.0]), "K"), {"x": x}, ("x",))
    assert gpugrad.gradient(f).data.units == UNITS.Unit("K") * UNITS.Unit(unit)
    f.x.attrs["units"] = "wingspans"
    with pytest.raises(ValueError, match=r"units of coordinates must be known .* 'wingspans'"):
        gpugrad.gradient(f)


def test_spacings_in_degrees_above_a_zero_become_differences():
    f = UNITS.Quantity(np.arange(4.0) ** 2, "K")
    for spacing in (UNITS.Quantity(2.0 * np.arange(4.0) + 9, "degC"), UNITS.Quantity(2.0, "degC")):
        found = gpugrad.gradient(f, spacing)
        assert found.units == UNITS.Unit("kelvin / delta_degree_Celsius")
        np.testing.assert_allclose(found.to("K/K").magnitude, [0.5, 1.0, 2.0, 2.5])


def test_logarithms_and_units_of_other_registries_are_refused():
    with pytest.raises(ValueError, match="decibelmilliwatt, which is a logarithm"):
        gpugrad.gradient(UNITS.Quantity(np.array([1.0, 2.0, 4.0]), "dBm"))
    other = pint.UnitRegistry()
    with pytest.raises(ValueError, match="one registry of units"):
        gpugrad.gradient(UNITS.Quantity(np.arange(4.0), "K"), other.Quantity(2.0, "m"))
