"""Coordinates of every kind, in every function that takes some: converted, or refused in words."""

from __future__ import annotations

import datetime
from decimal import Decimal

import numpy as np
import pytest

import gpugrad

F = np.random.default_rng(3).normal(size=12).cumsum()
FIELD = np.add.outer(np.sin(np.arange(7.0)), np.cos(np.arange(12.0)))
HOURS = np.cumsum([0, 5, 1, 2, 4, 3, 7, 1, 1, 2, 6, 9])
EVEN = np.arange(12)

ALONG = {
    "gradient": gpugrad.gradient,
    "derivative": lambda f, x, **options: gpugrad.derivative(f, x, order=2, **options),
    "gradient_norm": gpugrad.gradient_norm,
    "divergence": lambda f, x, **options: gpugrad.divergence((f,), x, **options),
    "laplacian": gpugrad.laplacian,
    "vector_laplacian": lambda f, x, **options: gpugrad.vector_laplacian((f,), x, **options)[0],
    "hessian": lambda f, x, **options: gpugrad.hessian(f, x, **options)[0][0],
    "jacobian": lambda f, x, **options: gpugrad.jacobian((f,), x, **options)[0][0],
    "error_estimate": gpugrad.error_estimate,
    "smooth_derivative": lambda f, x, **options: gpugrad.smooth_derivative(
        f, x, lam=1.0, **options
    ),
    "plan": lambda f, x, **options: gpugrad.plan(f.shape, x, **options)(f),
    "inflection_points": lambda f, x, **options: gpugrad.inflection_points(f, x, **options).slope,
}
"""Functions of a field, its coordinates along one axis, and `time_unit`."""


def cftimes(calendar):
    cftime = pytest.importorskip("cftime")
    start = cftime.datetime(2019, 2, 28, 18, calendar=calendar)
    return [start + datetime.timedelta(hours=int(h)) for h in HOURS]


def datetimes(zone=None):
    start = datetime.datetime(2024, 2, 28, 18, tzinfo=zone)
    return [start + datetime.timedelta(hours=int(h)) for h in HOURS]


def pandas_index(make):
    return make(pytest.importorskip("pandas"))


def dates_of_cftime_index(calendar):
    pytest.importorskip("cftime")
    return pytest.importorskip("xarray").CFTimeIndex(cftimes(calendar))


BERLIN = "Europe/Berlin"
DATES = {
    "datetime64": lambda: np.datetime64("2024-02-28T18") + HOURS,
    "list of datetime64": lambda: list(np.datetime64("2024-02-28T18") + HOURS),
    "list of datetime": datetimes,
    "tuple of datetime": lambda: tuple(datetimes()),
    "array of datetime": lambda: np.array(datetimes(), dtype=object),
    "with a time zone": lambda: datetimes(datetime.timezone(datetime.timedelta(hours=2))),
    "DatetimeIndex": lambda: pandas_index(lambda pd: pd.DatetimeIndex(datetimes())),
    "DatetimeIndex with a time zone": lambda: pandas_index(
        lambda pd: pd.DatetimeIndex(datetimes()).tz_localize(BERLIN)
    ),
    "Series with a time zone": lambda: pandas_index(
        lambda pd: pd.Series(pd.DatetimeIndex(datetimes()).tz_localize(BERLIN))
    ),
    "list of Timestamp": lambda: pandas_index(lambda pd: list(pd.DatetimeIndex(datetimes()))),
    "PeriodIndex": lambda: pandas_index(lambda pd: pd.PeriodIndex(datetimes(), freq="h")),
    "list of Period": lambda: pandas_index(lambda pd: list(pd.PeriodIndex(datetimes(), freq="h"))),
    "column of polars": lambda: pytest.importorskip("polars").Series(datetimes()),
    "360 days": lambda: cftimes("360_day"),
    "no leap years": lambda: np.array(cftimes("noleap"), dtype=object),
    "all leap years": lambda: tuple(cftimes("all_leap")),
    "Julian": lambda: cftimes("julian"),
    "CFTimeIndex": lambda: dates_of_cftime_index("360_day"),
    "list of timedelta": lambda: [datetime.timedelta(hours=int(h)) for h in HOURS],
    "array of timedelta": lambda: np.array([datetime.timedelta(hours=int(h)) for h in HOURS]),
    "list of Timedelta": lambda: pandas_index(
        lambda pd: [pd.Timedelta(hours=int(h)) for h in HOURS]
    ),
}
"""The same hours, as dates or as spans of time."""

SPANS = {
    "timedelta64": lambda: HOURS.astype("m8[h]"),
    "TimedeltaIndex": lambda: pandas_index(lambda pd: pd.TimedeltaIndex(HOURS.astype("m8[h]"))),
}
"""Spans that have a unit, which NumPy takes as numbers."""


@pytest.mark.sampled
@pytest.mark.parametrize("function", ALONG)
@pytest.mark.parametrize("kind", DATES | SPANS)
def test_dates_of_every_library_are_converted(kind, function):
    x = (DATES | SPANS)[kind]()
    expected = ALONG[function](F, HOURS.astype(float))
    np.testing.assert_allclose(
        ALONG[function](F, x, time_unit="h"), expected, rtol=1e-9, atol=1e-12
    )
    if kind in DATES:
        with pytest.raises(TypeError, match=r'dates with a `time_unit`; .* `time_unit="s"`'):
            ALONG[function](F, x)


@pytest.mark.parametrize("kind", DATES | SPANS)
def test_positions_are_dates_of_the_same_calendar(kind):
    x = (DATES | SPANS)[kind]()
    points = gpugrad.turning_points(F, x)
    expected = gpugrad.turning_points(F, HOURS.astype(float))
    first = x[0]
    if hasattr(first, "start_time"):
        first = first.start_time
    if getattr(first, "tzinfo", None) is not None:  # positions are in universal time
        first = first.astimezone(datetime.UTC).replace(tzinfo=None)
    hour = datetime.timedelta(hours=1)
    if getattr(getattr(points.position, "dtype", None), "kind", "") in "mM":
        first, hour = np.asarray(first, points.position.dtype), np.timedelta64(1, "h")
    hours = [float((position - first) / hour) for position in points.position]
    np.testing.assert_allclose(hours, expected.position, atol=1e-6)
    assert points.extent.dtype.kind == "m"
    if hasattr(first, "calendar"):
        assert {date.calendar for date in points.position} == {first.calendar}


def test_days_that_numpys_calendar_does_not_have_keep_their_distance():
    cftime = pytest.importorskip("cftime")
    leap = [cftime.datetime(2019, 2, day, calendar="all_leap") for day in (27, 28, 29)]
    months = [cftime.datetime(2019, 2, day, calendar="360_day") for day in (28, 29, 30)]
    for dates in (leap, months):
        np.testing.assert_array_equal(gpugrad.gradient([0.0, 1.0, 2.0], dates, time_unit="D"), 1.0)


def test_dates_of_labelled_fields_are_those_of_xarrays_own_derivative():
    pytest.importorskip("cftime")
    xarray = pytest.importorskip("xarray")
    f = xarray.DataArray(F, {"time": dates_of_cftime_index("360_day")}, ("time",), name="T")
    slope = gpugrad.gradient(f, time_unit="h", edge_order=1)
    expected = f.differentiate("time", datetime_unit="h")
    np.testing.assert_allclose(slope.data, expected.data)
    np.testing.assert_allclose(gpugrad.gradient(f).data * 3600, slope.data)
    position = gpugrad.turning_points(f).position
    assert position.values[0].calendar == "360_day"


@pytest.mark.parametrize(
    ("dates", "message"),
    [
        (lambda: [*datetimes()[:11], datetimes(datetime.UTC)[11]], "some with a time zone"),
        (lambda: [*cftimes("noleap")[:11], cftimes("360_day")[11]], "all dates of one calendar"),
        (lambda: [*cftimes("noleap")[:11], datetimes()[11]], "all dates of one calendar"),
        (
            lambda: [*datetimes()[:11], datetime.timedelta(1)],
            "all dates of one calendar, or all spans of time",
        ),
        (
            lambda: [datetime.timedelta(1), *datetimes()[1:]],
            "all dates of one calendar, or all spans of time",
        ),
        (lambda: [1.0, *datetimes()[1:]], "all dates of one calendar, or all spans of time"),
    ],
)
def test_dates_of_several_kinds_are_refused(dates, message):
    for call in (gpugrad.gradient, gpugrad.turning_points):
        options = {"time_unit": "h"} if call is gpugrad.gradient else {}
        with pytest.raises(TypeError, match=message):
            call(F, dates(), **options)


def test_dates_that_are_missing_are_refused():
    for missing in (None, np.datetime64("NaT", "s")):
        dates = [*datetimes()[:11], missing]
        with pytest.raises(ValueError, match=r"must be finite; got .* NaT at positions 10 and 11"):
            gpugrad.gradient(F, dates, time_unit="h")


def test_one_date_is_no_distance_and_one_span_is():
    hour = datetime.timedelta(hours=2)
    for span in (hour, np.timedelta64(2, "h"), np.timedelta64(120, "m")):
        np.testing.assert_array_equal(gpugrad.gradient(F, span, time_unit="h"), np.gradient(F, 2.0))
    position = gpugrad.turning_points(F, hour).position
    assert position.dtype.kind == "m"
    np.testing.assert_allclose(
        position / np.timedelta64(1, "h"), gpugrad.turning_points(F, 2.0).position, atol=1e-6
    )
    with pytest.raises(TypeError, match="must be a length, not a date"):
        gpugrad.gradient(F, datetimes()[0], time_unit="h")
    with pytest.raises(TypeError, match=r'dates with a `time_unit`; got spans of time. .*="s"'):
        gpugrad.gradient(F, hour)


@pytest.mark.parametrize("period", [np.timedelta64(2, "D"), datetime.timedelta(days=2)])
def test_periods_beside_dates_are_spans_of_time(period):
    dates = np.datetime64("2024-02-28T18") + HOURS
    expected = gpugrad.gradient(F, HOURS.astype(float), boundary="periodic", period=48.0)
    for given in (period, {0: period}):
        slope = gpugrad.gradient(F, dates, boundary="periodic", period=given, time_unit="h")
        np.testing.assert_allclose(slope, expected)
    with pytest.raises(TypeError, match="`period` must be a number, or a span of time"):
        gpugrad.gradient(F, HOURS.astype(float), boundary="periodic", period=period)


def test_where_dates_have_no_place_numbers_are_asked_for():
    dates, span = datetimes(), datetime.timedelta(hours=1)
    even = [dates[0] + i * span for i in range(12)]
    for x in (even, span, np.timedelta64(1, "h"), np.array(even, "M8[us]")):
        with pytest.raises(TypeError, match="must be a number, or numbers; got times or dates"):
            gpugrad.recommended_spacing(F, x)
        with pytest.raises(TypeError, match=r"axis 1 must be numbers.*got dates"):
            gpugrad.critical_points(FIELD, 1.0, x)
    for call in (
        lambda: gpugrad.Sphere(dates, EVEN),
        lambda: gpugrad.Sphere(EVEN, dates),
        lambda: gpugrad.CurvilinearGrid(dates),
        lambda: gpugrad.tabulate(np.sin, dates),
    ):
        with pytest.raises(TypeError, match="must hold real numbers; got datetime64"):
            call()


# Masks, and numbers of other kinds

GRID = np.meshgrid(np.arange(7.0), np.arange(12.0) ** 1.1, indexing="ij")

PLACES = {
    **{name: lambda x, call=call: call(F, x) for name, call in ALONG.items()},
    "turning_points": lambda x: gpugrad.turning_points(F, x).position,
    "critical_points": lambda x: gpugrad.critical_points(FIELD, 1.0, x).position,
    "recommended_spacing": lambda x: gpugrad.recommended_spacing(F, x, noise=1e-3)[:2],
    "Sphere, latitude": lambda x: gpugrad.Sphere(x, [1.0, 2.0, 4.0]).gradient(FIELD.T[:, :3]).north,
    "Sphere, longitude": lambda x: gpugrad.Sphere([1.0, 2.0, 4.0], x).gradient(FIELD[:3]).east,
    "CurvilinearGrid": lambda x: gpugrad.CurvilinearGrid(x).gradient(F),
    "tabulate": lambda x: gpugrad.tabulate(np.sin, x).field,
    "derivative_of": lambda x: gpugrad.derivative_of(np.sin)(x),
}
"""What takes coordinates of 12 samples. They are even, as `recommended_spacing` asks for."""


def astropys_masked(values, mask):
    return pytest.importorskip("astropy.utils.masked").Masked(values, mask=mask)


def masked_list(values, mask):
    return [np.ma.masked if m else v for v, m in zip(values, mask, strict=True)]


MASKED = {"numpy": np.ma.array, "astropy": astropys_masked, "list": masked_list}


@pytest.mark.sampled
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("library", MASKED)
def test_masked_coordinates_are_refused_and_unmasked_ones_taken(library, place):
    x = EVEN.astype(float)
    masked = MASKED[library](x, mask=EVEN == 5)
    with pytest.raises(ValueError, match=r"must have no masked values; got 1 of them"):
        PLACES[place](masked)
    np.testing.assert_array_equal(
        PLACES[place](MASKED[library](x, mask=EVEN < 0)), PLACES[place](x)
    )


@pytest.mark.sampled
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ["list", "Decimal", "complex", "Series", "Index", "integers"])
def test_numbers_of_every_kind_are_taken(kind, place):
    x = {
        "list": lambda: [*map(float, EVEN)],
        "Decimal": lambda: [*map(Decimal, EVEN.tolist())],
        "complex": lambda: EVEN + 0j,
        "Series": lambda: pandas_index(lambda pd: pd.Series(EVEN)),
        "Index": lambda: pandas_index(lambda pd: pd.Index(EVEN)),
        "integers": lambda: EVEN.astype(np.int16),
    }[kind]()
    if place == "derivative_of" and kind in ("Decimal", "complex"):
        with pytest.raises(TypeError, match="points must be real numbers"):
            PLACES[place](x)
        return
    np.testing.assert_array_equal(PLACES[place](x), PLACES[place](EVEN.astype(float)))


@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_number_is_refused_in_words(place):
    for x in (["a"] * 12, EVEN * 1j, [object()] * 12, EVEN > 5):
        with pytest.raises(TypeError, match=r"must (be|hold) real numbers"):
            PLACES[place](x)
    with pytest.raises(ValueError, match="must be a regular array"):
        PLACES[place]([[1.0], [1.0, 2.0]])


def test_times_of_astropy_are_told_what_to_do():
    time = pytest.importorskip("astropy.time")
    for x in (time.Time(datetimes()), time.TimeDelta(EVEN, format="jd")):
        with pytest.raises(TypeError, match=r"dates or quantities; got astropy's Time.*to"):
            gpugrad.gradient(F, x)


def test_lazy_coordinates_with_masks_are_refused():
    da = pytest.importorskip("dask.array")
    x = da.ma.masked_array(da.from_array(HOURS.astype(float)), da.from_array(HOURS > 20))
    with pytest.raises(ValueError, match="no masked values"):
        gpugrad.gradient(da.from_array(F), x)


def test_prominences_are_numbers():
    points = gpugrad.turning_points(F, prominence=0)
    for wrong in ("a", [1.0, 2.0], np.ones(3), datetime.timedelta(1), object(), True):
        with pytest.raises(TypeError, match="`prominence` must be a number"):
            points.select(prominence=wrong)
        with pytest.raises(TypeError, match="`prominence` must be a number"):
            gpugrad.turning_points(F, prominence=wrong)


def test_noise_and_magnitude_are_numbers():
    for wrong in ("a", np.ones(3), datetime.timedelta(1)):
        with pytest.raises(TypeError, match="`noise` must be a number"):
            gpugrad.recommended_spacing(noise=wrong, magnitude=1.0)


def test_slopes_at_inflections_have_a_unit_of_time():
    with pytest.raises(TypeError, match="dates with a `time_unit`; got dates, or spans of time"):
        gpugrad.inflection_points(F, HOURS.astype("m8[h]"))
