"""Every library of units with every operator: the same physics in any unit, or a clear error."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from test_labels_everywhere import LABELLED, OTHERS, REFUSED

import gpugrad
from internals import cf_units

LIBRARIES = ("pint", "pint's application registry", "astropy", "unyt")


@cache
def make_quantities(library):
    """Return what makes a quantity of values and the name of a unit."""
    module = pytest.importorskip(library.partition("'")[0])
    if library == "pint":
        return module.UnitRegistry().Quantity
    if library == "astropy":
        return pytest.importorskip("astropy.units").Quantity
    if library == "unyt":
        return lambda values, unit: (
            module.unyt_array(values, unit)
            if np.ndim(values)
            else module.unyt_quantity(values, unit)
        )
    return module.Quantity


@pytest.fixture(params=LIBRARIES)
def quantity(request):
    return make_quantities(request.param)


def is_astropys(quantity):
    return quantity.__module__.startswith("astropy")


def values_in(x, unit):
    """Return the values of a quantity in a unit."""
    return np.asarray(x.m_as(unit) if hasattr(x, "m_as") else x.to_value(unit))


F = np.random.default_rng(0).normal(size=(9, 10)).cumsum(axis=1)
Y, X = np.arange(9.0) ** 1.1, np.arange(10.0) * 0.5
LATITUDE, LONGITUDE = np.linspace(-60, 60, 9), np.arange(0.0, 360.0, 36.0)
GRID = np.meshgrid(np.arange(9.0), np.arange(10.0) ** 1.2, indexing="ij")
GRID = GRID[0] + 0.1 * GRID[1], GRID[1]


def curved(step):
    return gpugrad.CurvilinearGrid(*(step * x for x in GRID))


def sphere(radius):
    return gpugrad.Sphere(LATITUDE, LONGITUDE, radius=radius)


CASES = {
    "gradient": ("K/km", lambda f, y, x, h: gpugrad.gradient(f, y, x)),
    "gradient, one step": ("K/km", lambda f, y, x, h: gpugrad.gradient(f, h)),
    "gradient, stacked": ("K/km", lambda f, y, x, h: gpugrad.gradient(f, y, x, stack=True)),
    "gradient, masked": ("K/km", lambda f, y, x, h: gpugrad.gradient(f, h, skipna=True)),
    "gradient, boundary": (
        "K/km",
        lambda f, y, x, h: gpugrad.gradient(f, h, boundary=(f[0, 0], {"normal": f[0, 1] / h})),
    ),
    "gradient, period": (
        "K/km",
        lambda f, y, x, h: gpugrad.gradient(f, y, x, boundary="periodic", period=20 * h),
    ),
    "derivative": ("K/km**2", lambda f, y, x, h: gpugrad.derivative(f, x, order=2)),
    "gradient_norm": ("K/km", lambda f, y, x, h: gpugrad.gradient_norm(f, y, x)),
    "laplacian": ("K/km**2", lambda f, y, x, h: gpugrad.laplacian(f, y, x)),
    "vector_laplacian": ("K/km**2", lambda f, y, x, h: gpugrad.vector_laplacian((f, f), y, x)),
    "hessian": ("K/km**2", lambda f, y, x, h: gpugrad.hessian(f, y, x)),
    "divergence": ("K/km", lambda f, y, x, h: gpugrad.divergence((f, f), y, x)),
    "curl": ("K/km", lambda f, y, x, h: gpugrad.curl((f, f), y, x)),
    "jacobian": ("K/km", lambda f, y, x, h: gpugrad.jacobian((f, f), y, x)),
    "error_estimate": ("K/km", lambda f, y, x, h: gpugrad.error_estimate(f, x)),
    "noise_level": ("K", lambda f, y, x, h: gpugrad.noise_level(f)),
    "smooth_derivative": (
        "K/km",
        lambda f, y, x, h: gpugrad.smooth_derivative(f, x, lam=0.1 * h * h * h),
    ),
    "smooth_derivative, filter": (
        "K/km",
        lambda f, y, x, h: gpugrad.smooth_derivative(f, h, window_length=5, polyorder=2),
    ),
    "turning_points": ("km", lambda f, y, x, h: gpugrad.turning_points(f, x).position),
    "turning_points, value": (
        "K",
        lambda f, y, x, h: gpugrad.turning_points(f, x, prominence=abs(f[0, 0])).value,
    ),
    "turning_points, extent": ("km", lambda f, y, x, h: gpugrad.turning_points(f, x).extent),
    "turning_points, selected": (
        "K",
        lambda f, y, x, h: (
            gpugrad.turning_points(f, x, prominence=0 * f[0, 0])
            .select(prominence=abs(f[0, 0]))
            .value
        ),
    ),
    "inflection_points": ("K/km", lambda f, y, x, h: gpugrad.inflection_points(f, x).slope),
    "critical_points": ("km", lambda f, y, x, h: gpugrad.critical_points(f, y, x).position),
    "critical_points, period": (
        "K/km**2",
        lambda f, y, x, h: (
            gpugrad.critical_points(f, h, boundary={1: "periodic"}, period={1: 10 * h}).eigenvalues
        ),
    ),
    "recommended_spacing": ("km", lambda f, y, x, h: gpugrad.recommended_spacing(f[0], x).spacing),
    "recommended_spacing, noise": (
        "K/km",
        lambda f, y, x, h: (
            gpugrad.recommended_spacing(
                f[0], h, noise=abs(f[0, 0]), magnitude=abs(f[0, 0]) / h / h / h
            ).error
        ),
    ),
    "Sphere": ("K/km", lambda f, y, x, h: sphere(h).gradient(f)),
    "Sphere, laplacian": ("K/km**2", lambda f, y, x, h: sphere(h).laplacian(f)),
    "SphereGradient": ("K/km", lambda f, y, x, h: sphere(h).curl(u=f, v=f)),
    "CurvilinearGrid": ("K/km", lambda f, y, x, h: curved(h).gradient(f)),
    "CurvilinearGrid, laplacian": ("K/km**2", lambda f, y, x, h: curved(h).laplacian(f)),
    "CurvilinearGrid, jacobian": ("K/km", lambda f, y, x, h: curved(h).jacobian((f, f))),
}
"""The unit of a result, and how a field, coordinates and a step are passed for it."""


def flatten(result):
    return [x for part in result for x in flatten(part)] if isinstance(result, tuple) else [result]


def test_no_public_function_is_forgotten():
    named = {case.partition(",")[0] for case in CASES}
    assert named - {"recommended_spacing"} == {*LABELLED}
    assert named <= {*LABELLED, *OTHERS}


@pytest.mark.sampled
@pytest.mark.parametrize("case", CASES)
def test_results_are_the_same_in_other_units_and_without_units(quantity, case):
    unit, call = CASES[case]
    plain = flatten(call(F, Y, X, 2.0))
    same = flatten(
        call(quantity(F, "K"), quantity(Y, "km"), quantity(X, "km"), quantity(2.0, "km"))
    )
    other = flatten(
        call(
            quantity(1000 * F, "mK"),
            quantity(1000 * Y, "m"),
            quantity(1000 * X, "m"),
            quantity(2000.0, "m"),
        )
    )
    assert len(plain) == len(same) == len(other)
    for expected, ours, others in zip(plain, same, other, strict=True):
        # The bits are those of plain numbers, but where an option of other units was converted.
        compare = np.testing.assert_allclose if "," in case else np.testing.assert_array_equal
        compare(values_in(ours, unit), expected)
        tolerance = 1e-9 * np.nanmax(np.abs(expected), initial=0)
        np.testing.assert_allclose(values_in(others, unit), expected, rtol=1e-9, atol=tolerance)


@pytest.mark.sampled
@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("library", ["astropy", "unyt"])
def test_what_would_lose_units_is_refused(library, name):
    if name.startswith("symbolic"):
        pytest.importorskip("sympy", reason="formulas are SymPy's")
    f = make_quantities(library)(F, "K")
    with pytest.raises(TypeError, match=rf"without labels or units .* of {library}, .*`\.value`"):
        REFUSED[name](f)


# Fields and spacings


def test_bare_numbers_beside_units_have_none(quantity):
    slope = gpugrad.derivative(F[0], quantity(X, "s"))
    np.testing.assert_array_equal(values_in(slope, "1/s"), gpugrad.derivative(F[0], X))
    slope = gpugrad.derivative(quantity(F[0], "K"), X)
    np.testing.assert_array_equal(values_in(slope, "K"), gpugrad.derivative(F[0], X))


def test_magnitudes_take_the_engine_and_the_precision_of_plain_arrays(quantity):
    f = quantity(F.astype(np.float32), "K")
    assert gpugrad.explain(f, quantity(2.0, "s")).backend == gpugrad.explain(F, 2.0).backend
    for slope in gpugrad.gradient(f, quantity(2.0, "s")):
        assert slope.dtype == np.float32
        assert slope.shape == f.shape


def test_a_sequence_of_quantities_is_one(quantity):
    f, x = ([quantity(value, unit) for value in (1.0, 4.0, 9.0)] for unit in ("m", "s"))
    x[1] = quantity(4000.0, "ms")
    np.testing.assert_allclose(values_in(gpugrad.gradient(f, x), "m/s"), 1.0)


def test_a_unit_stands_for_one_of_it(quantity):
    unit = getattr(quantity(1.0, "s"), "units", None) or quantity(1.0, "s").unit
    np.testing.assert_array_equal(
        values_in(gpugrad.derivative(F[0], unit), "1/s"), np.gradient(F[0])
    )


def test_rates_between_dates_are_per_time_unit(quantity):
    dates = np.datetime64("2021-05-01T00") + np.arange(10)
    f = quantity(F[0], "K")
    expected = gpugrad.derivative(F[0], dates, time_unit="s")
    for time_unit in ("ns", "ms", "s", "m", "h", "D", "W"):
        slope = gpugrad.derivative(f, dates, time_unit=time_unit)
        np.testing.assert_allclose(values_in(slope, "K/s"), expected)
    with pytest.raises(ValueError, match=r"one unit where derivatives are added.*`time_unit`"):
        gpugrad.laplacian(quantity(F, "K"), quantity(1.0, "s"), dates, time_unit="h")


def test_degrees_above_a_zero_become_differences(quantity):
    name = "deg_C" if is_astropys(quantity) else "degC"
    slope = gpugrad.derivative(quantity(F[0], name), quantity(2.0, "m"))
    expected = gpugrad.derivative(F[0], 2.0)
    if name == "deg_C":  # astropy has no unit of differences, so that it is as from NumPy
        np.testing.assert_array_equal(values_in(slope, "deg_C/m"), expected)
        return
    np.testing.assert_allclose(values_in(slope, "K/m"), expected)
    inverse = gpugrad.derivative(F[0], quantity(X + 20, name))
    np.testing.assert_allclose(values_in(inverse, "1/K"), gpugrad.derivative(F[0], X + 20))


def test_units_that_do_not_fit_are_refused(quantity):
    f, h, second = quantity(F, "K"), quantity(1.0, "km"), quantity(1.0, "s")
    with pytest.raises(ValueError, match="spacings of all axes must have units that can be added"):
        gpugrad.laplacian(f, h, second)
    with pytest.raises(ValueError, match="components of `v` must have units that can be added"):
        gpugrad.divergence((f, quantity(F, "m")), h)
    with pytest.raises(ValueError, match="`boundary` and the field must have units"):
        gpugrad.gradient(f, h, boundary=second)
    with pytest.raises(ValueError, match="`boundary` and the field must have units"):
        gpugrad.gradient(F, boundary=second)
    with pytest.raises(ValueError, match="`period` and the spacing must have units"):
        gpugrad.gradient(f, h, boundary="periodic", period=second)
    with pytest.raises(ValueError, match="`period` must be a dict where spacings have several"):
        gpugrad.gradient(f, h, second, boundary="periodic", period=second)
    with pytest.raises(ValueError, match="`boundary` must be a dict by axis where slopes have"):
        gpugrad.gradient(f, h, second, boundary={"normal": f[0, 0] / h})
    with pytest.raises(ValueError, match="`lam` and the field must have units"):
        gpugrad.smooth_derivative(f, h, lam=h)
    with pytest.raises(ValueError, match="`noise` and `f` must have units"):
        gpugrad.recommended_spacing(f[0], h, noise=h)
    with pytest.raises(ValueError, match="`prominence` and `f` must have units"):
        gpugrad.turning_points(f, prominence=h)
    with pytest.raises(ValueError, match="`period` and `f` must have units"):
        gpugrad.critical_points(f, h, boundary="periodic", period=second)
    with pytest.raises(TypeError, match="`accuracy` must be without units"):
        gpugrad.gradient(f, accuracy=h)
    with pytest.raises(TypeError, match="`boundary` must be one number with a unit"):
        gpugrad.gradient(f, boundary=f)
    with pytest.raises(TypeError, match=r"`noise` and `magnitude` must be without units"):
        gpugrad.recommended_spacing(noise=h, magnitude=h)
    with pytest.raises(ValueError, match="what is compared must have units"):
        gpugrad.turning_points(f, prominence=0).select(prominence=h)


@pytest.mark.parametrize(("first", "second"), [("astropy", "pint"), ("unyt", "astropy")])
def test_quantities_of_two_libraries_are_refused(first, second):
    f, h = make_quantities(first)(F, "K"), make_quantities(second)(2.0, "m")
    for call in (gpugrad.gradient, gpugrad.critical_points, gpugrad.divergence):
        with pytest.raises(TypeError, match=f"one library .* {first} and some of {second}"):
            call((f, f) if call is gpugrad.divergence else f, h)
    with pytest.raises(TypeError, match=f"one library .* {first} and some of {second}"):
        sphere(h).gradient(f)
    with pytest.raises(TypeError, match="one library"):
        gpugrad.CurvilinearGrid(f, make_quantities(second)(F, "m"))


def test_pints_own_registry_is_one_in_all_its_disguises():
    pint = pytest.importorskip("pint")
    known = pint.get_application_registry()
    f = pint.Quantity(np.arange(10.0), "m")
    for registry in (known, known.get(), pint.application_registry):
        slope = gpugrad.gradient(f, registry.Quantity(2.0, "s"))
        assert slope.units == known.Unit("m/s")
        slope = gpugrad.gradient(registry.Quantity(f.magnitude, "m"), pint.Quantity(2.0, "s"))
        assert isinstance(slope, pint.Quantity)
    with pytest.raises(ValueError, match="one registry of units"):
        gpugrad.gradient(f, pint.UnitRegistry().Quantity(2.0, "s"))


# Where results are written


def test_results_are_written_in_the_units_of_out(quantity):
    f, h = quantity(F, "K"), quantity(2.0, "km")
    out = quantity(np.zeros_like(F), "K/m"), quantity(np.zeros_like(F), "mK/m")
    result = gpugrad.gradient(f, h, out=out)
    assert result is out
    for written, expected in zip(out, gpugrad.gradient(F, 2000.0), strict=True):
        np.testing.assert_allclose(values_in(written, "K/m"), expected)
    out = quantity(np.zeros((2, 9, 10)), "K/m")
    sphere(quantity(2.0, "km")).gradient(f, out=out, stack=True)
    expected = sphere(2000.0).gradient(F, stack=True)
    np.testing.assert_allclose(values_in(out, "K/m"), expected)
    before = values_in(out, "K/m").copy()
    with pytest.raises(ValueError, match="`out` and the results must have units"):
        gpugrad.gradient(f, out=out, stack=True)
    with pytest.raises(TypeError, match="`out` must have units, as results have"):
        gpugrad.gradient(f, h, out=(np.zeros_like(F), np.zeros_like(F)))
    np.testing.assert_array_equal(values_in(out, "K/m"), before)
    with pytest.raises(TypeError, match="`out` must be an array without labels or units"):
        gpugrad.plan((9,), operator="derivative")(F[:, 0], out=quantity(F[:, 0], "K"))


# Grids


@pytest.mark.parametrize("unit", ["radian", "degree", "arcmin"])
def test_angles_are_converted(quantity, unit):
    factor = {"radian": np.pi / 180, "degree": 1.0, "arcmin": 60.0}[unit]
    if is_astropys(quantity):
        unit = {"radian": "rad", "degree": "deg"}.get(unit, unit)
    grid = gpugrad.Sphere(
        quantity(factor * LATITUDE, unit), quantity(factor * LONGITUDE, unit), radius=1.0
    )
    expected = sphere(1.0).gradient(F)
    np.testing.assert_allclose(grid.gradient(F).east, expected.east, rtol=1e-12)
    np.testing.assert_allclose(grid.gradient(F).north, expected.north, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("unit", ["", "m"])
def test_what_is_no_angle_is_refused_as_one(quantity, unit):
    # Bare numbers may be degrees or radians, and pint takes them for radians.
    with pytest.raises(ValueError, match="`latitude` must be in degrees, radians or another unit"):
        gpugrad.Sphere(quantity(LATITUDE, unit), LONGITUDE)
    with pytest.raises(ValueError, match="`longitude` must be in degrees, radians or another"):
        gpugrad.Sphere(LATITUDE, quantity(LONGITUDE, unit))


def test_the_radius_of_the_earth_is_in_metres(quantity):
    north = gpugrad.Sphere(LATITUDE, LONGITUDE).gradient(quantity(F, "K")).north
    expected = gpugrad.Sphere(LATITUDE, LONGITUDE).gradient(F).north
    np.testing.assert_array_equal(values_in(north, "K/m"), expected)
    with pytest.raises(TypeError, match="`radius` must be one number"):
        sphere(quantity(np.ones(2), "m"))
    with pytest.raises(ValueError, match="`radius` must be positive"):
        sphere(quantity(-1.0, "m"))


def test_curved_grids_convert_coordinates_and_periods(quantity):
    degree = "deg" if is_astropys(quantity) else "degree"
    radian = "rad" if degree == "deg" else "radian"
    y, x = np.meshgrid(np.arange(5.0), np.arange(8) * 45.0, indexing="ij")
    f = np.sin(np.radians(x)) + y
    options = {"boundary": {1: "periodic"}}
    plain = gpugrad.CurvilinearGrid(y, x, period={1: (0.0, 360.0)}, **options)
    grid = gpugrad.CurvilinearGrid(
        quantity(y, "m"),
        quantity(x, degree),
        period={1: (quantity(0.0, "m"), quantity(2 * np.pi, radian))},
        **options,
    )
    slope = grid.gradient(quantity(f, "K"))[1]
    np.testing.assert_allclose(values_in(slope, f"K/{degree}"), plain.gradient(f)[1], atol=1e-15)
    with pytest.raises(ValueError, match="`period` and the coordinate must have units"):
        gpugrad.CurvilinearGrid(
            quantity(y, "m"), quantity(x, degree), period={1: (0.0, quantity(1.0, "s"))}, **options
        )
    with pytest.raises(ValueError, match="`period` must have as many numbers as there are coord"):
        gpugrad.CurvilinearGrid(y, x, period={1: (0.0, quantity(1.0, degree))}, **options)
    with pytest.raises(TypeError, match="`period` must have a finite number for each coordinate"):
        gpugrad.CurvilinearGrid(y, x, period={1: (0.0, "360")}, **options)
    with pytest.raises(ValueError, match="coordinates must all have units, or none"):
        gpugrad.CurvilinearGrid(quantity(y, "m"), x)


# What one library has alone


def test_results_keep_the_class_that_astropys_arithmetic_gives():
    u = pytest.importorskip("astropy.units")
    from astropy.coordinates import Angle, Latitude, Longitude

    class Speed(u.Quantity):
        pass

    for f, plain, beside in (
        (F[0] * u.deg, u.Quantity, u.Quantity),
        (Angle(F[0], "deg"), Angle, u.Quantity),
        (Longitude(abs(F[0]), "deg"), Angle, u.Quantity),
        (Latitude(F[0], "deg"), Angle, u.Quantity),
        (Speed(F[0], "deg"), Speed, Speed),
    ):
        assert type(gpugrad.gradient(f)) is plain
        assert type(gpugrad.gradient(f, 2.0 * u.s)) is beside
        np.testing.assert_array_equal(gpugrad.gradient(f).value, np.gradient(f.value))
    east = gpugrad.gradient(Longitude([3.0, 2.0, 1.0], "deg"))
    assert (east.value == -1.0).all()  # a Longitude would be 359


@pytest.mark.parametrize(("name", "unit"), [("Magnitude", "mag(Jy)"), ("Dex", "dex(m / s2)")])
def test_differences_of_logarithms_are_ratios(name, unit):
    u = pytest.importorskip("astropy.units")
    cls, step = getattr(u, name), u.Unit(unit.partition("(")[0])
    f = cls(F[0], u.Unit(unit))
    slope = gpugrad.gradient(f)
    assert type(slope) is cls
    assert slope.unit == step
    np.testing.assert_array_equal(slope.value, np.gradient(f).value)
    assert gpugrad.gradient(f, 2 * u.s).unit == step / u.s
    assert gpugrad.noise_level(f).unit == step
    found = gpugrad.critical_points(cls(F, u.Unit(unit)))
    assert found.value.unit == f.unit
    assert found.eigenvalues.unit == step


def test_longitudes_go_on_beyond_360_degrees():
    u = pytest.importorskip("astropy.units")
    from astropy.coordinates import Longitude

    x = Longitude([340.0, 350.0, 0.0, 10.0, 20.0], "deg")
    slope = gpugrad.gradient(np.arange(5.0), x)
    np.testing.assert_allclose(slope.to_value(1 / u.rad), 0.1 * 180 / np.pi)
    position = gpugrad.turning_points([0.0, 1.0, 2.0, 1.0, 0.0], x).position
    np.testing.assert_allclose(position.to_value("deg"), 360.0)


def test_longitudes_of_curved_grids_go_on_beyond_360_degrees():
    u = pytest.importorskip("astropy.units")
    from astropy.coordinates import Longitude

    y, x = np.meshgrid(np.arange(5.0), np.arange(330.0, 400.0, 10.0), indexing="ij")
    x = x + 3 * y
    grid = gpugrad.CurvilinearGrid(y * u.deg, Longitude(x, "deg"))
    for slope, expected in zip(grid.gradient(2 * x + y), (1.0, 2.0), strict=True):
        np.testing.assert_allclose(slope.to_value("1/deg"), expected)


def test_the_format_of_pints_texts_does_not_matter():
    pint = pytest.importorskip("pint")
    registry = pint.UnitRegistry()
    registry.formatter.default_format = "~P"
    slope = gpugrad.gradient(registry.Quantity(F[0], "degC"), registry.Quantity(2.0, "m"))
    assert slope.units == registry.Unit("delta_degC/m")
    grid = gpugrad.Sphere(registry.Quantity(LATITUDE, "degree"), LONGITUDE, radius=1.0)
    np.testing.assert_array_equal(grid.gradient(F).north, sphere(1.0).gradient(F).north)


def test_masked_quantities_keep_their_masks():
    u = pytest.importorskip("astropy.units")
    from astropy.utils.masked import Masked

    mask = np.arange(10) == 4
    f = Masked(F[0] * u.K, mask=mask)
    slope = gpugrad.gradient(f, 2.0 * u.s)
    expected = np.gradient(f, 2.0 * u.s)
    assert isinstance(slope, Masked(u.Quantity))
    assert slope.unit == expected.unit
    np.testing.assert_array_equal(slope.mask, expected.mask)
    np.testing.assert_array_equal(slope[~slope.mask].unmasked, expected[~slope.mask].unmasked)
    skipping = gpugrad.gradient(f, skipna=True)
    np.testing.assert_array_equal(
        skipping.mask, gpugrad.gradient(np.ma.array(F[0], mask=mask), skipna=True).mask
    )
    with pytest.raises(TypeError, match="`out` must have no mask beside units"):
        gpugrad.gradient(f, out=f.copy())


def test_columns_of_tables_have_their_units_and_masks():
    pytest.importorskip("astropy.units")
    from astropy.table import Column, MaskedColumn

    slope = gpugrad.gradient(Column(F[0], unit="m"), Column(X, unit="s"))
    assert slope.unit == "m / s"
    np.testing.assert_array_equal(slope.value, np.gradient(F[0], X))
    np.testing.assert_array_equal(gpugrad.gradient(F[0], Column(X)), np.gradient(F[0], X))
    masked = MaskedColumn(F[0], unit="m", mask=np.arange(10) == 4)
    assert gpugrad.gradient(masked).mask[[3, 5]].all()
    with pytest.raises(ValueError, match="`spacing` for axis 0 must have no masked values; got 1"):
        gpugrad.gradient(F[0], masked)


def test_pictures_with_units_keep_unit_and_mask():
    nddata = pytest.importorskip("astropy.nddata")
    picture = nddata.CCDData(F, unit="adu", mask=F > 1)
    slope = gpugrad.gradient(picture, axis=1)
    assert slope.unit == "adu"
    np.testing.assert_array_equal(slope.mask, np.gradient(np.ma.array(F, mask=F > 1), axis=1).mask)


def test_constants_are_quantities():
    constants = pytest.importorskip("astropy.constants")
    north = sphere(constants.R_earth).gradient(F).north
    expected = sphere(constants.R_earth.value).gradient(F).north
    np.testing.assert_array_equal(north.to_value("1/m"), expected)


@pytest.mark.parametrize("library", ["astropy", "unyt"])
def test_libraries_of_numpys_arrays_refuse_others(library):
    da = pytest.importorskip("dask.array")
    with pytest.raises(TypeError, match=f"NumPy's beside quantities of {library}.* array of Dask"):
        gpugrad.gradient(da.from_array(F[0]), make_quantities(library)(2.0, "s"))


def test_distances_may_become_smaller():
    pytest.importorskip("astropy.units")
    from astropy.coordinates import Distance

    slope = gpugrad.gradient(Distance([3.0, 2.0, 1.0], "kpc"))
    assert (slope.value == -1.0).all()


def test_structures_with_several_units_are_refused():
    u = pytest.importorskip("astropy.units")
    f = u.Quantity(np.zeros(5, [("a", "f8"), ("b", "f8")]), "m, s")
    for call in (lambda: gpugrad.gradient(f), lambda: gpugrad.gradient(np.arange(5.0), f)):
        with pytest.raises(TypeError, match=r"must have one unit; got one with the fields a, b"):
            call()


def test_units_of_unyts_own_registries_live_on():
    unyt = pytest.importorskip("unyt")
    from unyt.unit_registry import UnitRegistry

    registry = UnitRegistry()
    registry.add("code_length", base_value=3.0, dimensions=unyt.dimensions.length)

    class Snapshot(unyt.unyt_array):
        pass

    f, x = Snapshot(F[0], "K"), unyt.unyt_array(X, "code_length", registry=registry)
    slope = gpugrad.gradient(f, x)
    assert type(slope) is Snapshot
    np.testing.assert_allclose(slope.to_value("K/m"), np.gradient(F[0], X) / 3)
    result = gpugrad.laplacian(unyt.unyt_array(F, "K"), x[1], unyt.unyt_quantity(1.5, "m"))
    expected = gpugrad.laplacian(F, 1.5, 1.5)
    np.testing.assert_allclose(result.to_value("K/m**2"), expected)


def test_labels_of_xarray_name_units_of_any_library(quantity):
    xarray = pytest.importorskip("xarray")
    f = xarray.DataArray(F[0], {"x": X}, ("x",), name="T", attrs={"units": "K"})
    slope = gpugrad.gradient(f, quantity(X, "km"))
    assert slope.attrs["units"] == "K km-1"
    np.testing.assert_array_equal(slope.data, np.gradient(F[0], X))
    plain = gpugrad.gradient(quantity(F[0], "K"), f.x)
    np.testing.assert_array_equal(values_in(plain, "K"), np.gradient(F[0], X))
    field = xarray.DataArray(F, {"lat": LATITUDE, "lon": LONGITUDE}, ("lat", "lon"), attrs=f.attrs)
    north = gpugrad.Sphere(radius=quantity(2.0, "km")).gradient(field).north
    assert north.attrs["units"] == "K km-1"


def test_the_radius_of_a_dataarray_has_its_unit():
    xarray = pytest.importorskip("xarray")
    radius = xarray.DataArray(2.0, attrs={"units": "km"})
    field = xarray.DataArray(
        F, {"lat": LATITUDE, "lon": LONGITUDE}, ("lat", "lon"), attrs={"units": "K"}
    )
    north = gpugrad.Sphere(radius=radius).gradient(field).north
    assert north.attrs["units"] == "K km-1"
    np.testing.assert_array_equal(north.data, sphere(2.0).gradient(F).north)


@pytest.mark.parametrize("library", ["pint", "astropy", "unyt"])
@pytest.mark.parametrize(("text", "unit"), [("degrees_east", "1/deg"), ("m s-1", "s/m")])
def test_units_of_coordinates_are_read_for_every_library(library, text, unit):
    xarray = pytest.importorskip("xarray")
    f = xarray.DataArray(make_quantities(library)(F[0], "K"), {"x": X}, ("x",))
    if type(f.data) is np.ndarray:
        pytest.skip("this xarray drops units of subclasses")
    f.x.attrs["units"] = text
    unit = unit.replace("deg", "deg" if library == "astropy" else "degree")
    np.testing.assert_array_equal(
        values_in(gpugrad.gradient(f).data, f"K*{unit}".replace("*1", "")), np.gradient(F[0], X)
    )
    f.x.attrs["units"] = "wingspans"
    with pytest.raises(ValueError, match=r"units of coordinates must be known .* 'wingspans'"):
        gpugrad.gradient(f)


def test_units_in_words_have_degrees_whole_in_any_registry(monkeypatch):
    pint = pytest.importorskip("pint")
    registry = pint.UnitRegistry()
    # As MetPy and cf-xarray have them: with symbols of which each has others.
    registry.define("degrees_north = degree = degrees_N = degreesN")
    registry.define("degrees_east = degree = degrees_E = degreesE")
    for known in (pint.UnitRegistry(), registry):
        monkeypatch.setattr(cf_units, "_find_registry", lambda known=known: known)
        assert cf_units.per("K", "degrees_east") == "K degrees_east-1"
        assert cf_units.per("m s-1", "degrees_north", 2).endswith("degrees_north-2")
        assert cf_units.per("degC", "m") == "degree_Celsius m-1"
        assert cf_units.per("m s-1", "m") == "s-1"


def test_noise_of_labelled_quantities_is_labelled():
    xarray = pytest.importorskip("xarray")
    quantity = make_quantities("pint")
    f = xarray.DataArray(quantity(F, "m"), dims=("y", "x"))
    np.testing.assert_array_equal(gpugrad.noise_level(f).data.m, gpugrad.noise_level(F))
    assert str(gpugrad.noise_level(f[0]).data.units) == "meter"


def test_wrong_arguments_beside_units_have_the_usual_answers(quantity):
    f = quantity(F[0], "K")
    with pytest.raises(TypeError, match="`order` must be an integer; got 'a'"):
        gpugrad.derivative(f, order="a")
    with pytest.raises(TypeError, match="`order` must be an integer; got 'a'"):
        gpugrad.recommended_spacing(f, order="a")
    with pytest.raises(TypeError, match="`noise_level` takes 1 argument by position; got 2"):
        gpugrad.noise_level(f, f)
    objects = np.empty(10, object)
    for i in range(10):
        objects[i] = quantity(float(i), "m")
    with pytest.raises(TypeError, match="must be one quantity, or a sequence of them"):
        gpugrad.gradient(F[0], objects)


def test_tables_of_points_say_their_units(quantity):
    pytest.importorskip("pandas")
    points = gpugrad.turning_points(quantity(F[0], "m"), quantity(X, "s"))
    named = {name.partition(" [")[0]: name for name in points.to_dataframe().columns}
    assert named["position"].startswith("position [s")
    assert named["value"].startswith("value [m")
    assert "[" not in named["index"]
    assert "value [m" in repr(points)
    np.testing.assert_array_equal(
        values_in(points[0].position, "s"), values_in(points.position, "s")[0]
    )
