"""Pictures show the gradient that `gradient` gives, with the names and units that fields have."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import gpugrad
from internals import plot_axes, plot_curves, plot_panels

matplotlib = pytest.importorskip("matplotlib", reason="Matplotlib draws")
from matplotlib import dates  # noqa: E402
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.collections import QuadMesh  # noqa: E402
from matplotlib.quiver import Quiver  # noqa: E402

X, Y = np.linspace(0.0, 6.0, 31), np.linspace(-2.0, 2.0, 25)
HILL = np.exp(-((X - 2) ** 2) - Y[:, None] ** 2) - np.exp(-((X - 4.5) ** 2) - (Y[:, None]) ** 2)


@pytest.fixture(autouse=True)
def _close_figures(monkeypatch):
    plt.switch_backend("agg")
    monkeypatch.setattr(plot_panels, "_draw_streams", lambda *_: None)  # they take long
    yield
    plt.close("all")


def find(axes, kind):
    (found,) = (artist for artist in axes.collections if isinstance(artist, kind))
    return found


def values_of(axes):
    """Return the values that a panel shows, in the shape in which it shows them."""
    mesh = find(axes, QuadMesh)
    return np.ma.filled(mesh.get_array(), np.nan).reshape(
        [n - 1 for n in mesh._coordinates.shape[:2]]
    )


def bar_of(axes):
    return axes.child_axes[0].get_ylabel()


def marks_of(axes):
    """Return the places of what is marked, by kind."""
    lines = (line for line in axes.lines if line.get_label() in plot_points_kinds())
    return {line.get_label(): np.stack(line.get_data(), axis=-1) for line in lines}


def plot_points_kinds():
    return ("maximum", "minimum", "saddle", "degenerate", "inflection")


# Numbers


def test_a_curve_is_drawn_with_its_slope(xp):
    f = np.sin(X)
    curve, slope = gpugrad.plot(xp.asarray(f), X, accuracy=4).axes
    np.testing.assert_array_equal(curve.lines[0].get_data(), (X, f))
    np.testing.assert_allclose(
        slope.lines[0].get_ydata(), gpugrad.gradient(f, X, accuracy=4), rtol=1e-12
    )
    assert (slope.get_xlabel(), curve.get_ylabel(), slope.get_ylabel()) == ("x", "f", "df/dx")


def test_a_field_is_drawn_with_the_length_of_its_gradient(xp):
    field, magnitude = gpugrad.plot(xp.asarray(HILL), Y, X, edge_order=2).axes
    np.testing.assert_array_equal(values_of(field), HILL)
    expected = np.hypot(*gpugrad.gradient(HILL, Y, X, edge_order=2))
    np.testing.assert_allclose(values_of(magnitude), expected, rtol=1e-12)
    assert field.get_aspect() == 1.0


def test_panels_of_axes_show_the_derivatives_along_them():
    first, second = gpugrad.plot(HILL, Y, X, panels=(1, -2)).axes
    np.testing.assert_array_equal(values_of(first), gpugrad.gradient(HILL, Y, X)[1])
    np.testing.assert_array_equal(values_of(second), gpugrad.gradient(HILL, Y, X)[0])
    mesh = find(first, QuadMesh)
    assert mesh.norm.vmin == -mesh.norm.vmax  # so that zero is white
    assert bar_of(first) == "slope along axis 1"


def test_options_are_those_of_gradient():
    angle = np.arange(40) * (2 * np.pi / 40)
    options = {"boundary": "periodic", "accuracy": 8}
    slope = gpugrad.plot(np.sin(angle), spacing=angle, panels="slope", **options).axes[0]
    np.testing.assert_allclose(slope.lines[0].get_ydata(), np.cos(angle), atol=1e-6)
    with pytest.raises(TypeError, match=r"`plot` takes no `dx`\. Pass `spacing`"):
        gpugrad.plot(HILL, dx=1.0)
    with pytest.raises(ValueError, match="`accuracy`"):
        gpugrad.plot(HILL, accuracy=3)


def test_arrows_point_uphill_in_the_picture():
    f = 2.0 * X + 0.01 * (100 * Y[:, None])
    arrows = find(gpugrad.plot(f, Y, X, panels="field").axes[0], Quiver)
    np.testing.assert_allclose(arrows.V / arrows.U, 0.5)
    # Axes of different units: at right angles to the level lines of the picture.
    thin = find(gpugrad.plot(f, 100 * Y, X, panels="field").axes[0], Quiver)
    np.testing.assert_allclose(thin.V / thin.U, (0.01 * np.ptp(100 * Y)) / (2 * np.ptp(X)))


@pytest.mark.parametrize(
    "shape", [(2, 2), (2, 3), (1300, 3), pytest.param((3, 1300), marks=pytest.mark.exhaustive)]
)
def test_narrow_fields_are_drawn(shape):
    f = np.add.outer(np.arange(shape[0]), np.arange(shape[1]))
    figure = gpugrad.plot(f)
    figure.canvas.draw()
    values, length = map(values_of, figure.axes)
    thin = tuple(slice(None, None, -(-n // 1200)) for n in shape)
    np.testing.assert_array_equal(values, f[thin])
    np.testing.assert_allclose(length, np.sqrt(2))


# Samples that are missing


@pytest.mark.parametrize("how", ["NaN", "masked", "where"])
def test_missing_samples_are_grey(how):
    f, is_valid = HILL.copy(), np.ones(HILL.shape, bool)
    is_valid[3:6, 4:9] = False
    if how == "NaN":
        f[~is_valid] = np.nan
        options = {"skipna": True}
    else:
        f = np.ma.array(f, mask=~is_valid) if how == "masked" else f
        options = {"where": is_valid}
    field, magnitude = gpugrad.plot(f, Y, X, **options).axes
    assert field.get_facecolor()[:3] == (0.75,) * 3
    for panel in (field, magnitude):
        np.testing.assert_array_equal(np.isnan(values_of(panel)), ~is_valid)


def test_infinite_samples_are_grey_without_a_warning():
    field = gpugrad.plot(np.where(HILL > 0.9, np.inf, HILL), Y, X).axes[0]
    np.testing.assert_array_equal(np.isnan(values_of(field)), HILL > 0.9)


@pytest.mark.parametrize("value", [np.nan, 3.0])
def test_fields_and_curves_of_one_value_are_drawn(value):
    figure, curve = gpugrad.plot(np.full((5, 6), value)), gpugrad.plot(np.full(5, value))
    figure.canvas.draw()
    curve.canvas.draw()
    values, length = map(values_of, figure.axes)
    np.testing.assert_array_equal(values, np.full((5, 6), value))
    np.testing.assert_array_equal(length, np.full((5, 6), 0 * value))
    np.testing.assert_array_equal(curve.axes[1].lines[0].get_ydata(), np.full(5, 0 * value))


def test_stream_lines_follow_means_of_large_fields(monkeypatch):
    monkeypatch.undo()
    seen = []
    monkeypatch.setattr(matplotlib.axes.Axes, "streamplot", lambda _, *a, **__: seen.append(a))
    x, y = np.linspace(0, 6, 301), np.linspace(-2, 2, 25)
    f = np.add.outer(y, np.where(np.arange(301) % 2, 2.0, 2.1) * x)
    f[:, 100:130] = np.nan
    gpugrad.plot(f, y, x)
    ((even_x, even_y, u, v),) = seen
    assert (even_x.size, even_y.size) == (plot_panels.FINEST, y.size)
    inside = np.s_[1:-1, 1:-1]
    np.testing.assert_allclose(np.ma.median(u[inside]), 2.05, atol=0.02)
    np.testing.assert_allclose(v[inside].compressed(), 1.0)
    assert np.ma.getmaskarray(u).any()


# Names, units and dates


def make_labelled(units="K"):
    xarray = pytest.importorskip("xarray")
    coords = {"z": ("z", Y, {"units": "km"}), "x": ("x", X, {"units": "km", "long_name": "way"})}
    return xarray.DataArray(HILL, coords, ("z", "x"), name="T", attrs={"units": units})


def test_names_and_units_of_xarray_stand_on_axes_and_bars():
    field, magnitude, along = gpugrad.plot(make_labelled(), panels=("field", "magnitude", "z")).axes
    assert (field.get_xlabel(), field.get_ylabel()) == ("way (km)", "z (km)")
    assert bar_of(field) == "T (K)"
    assert bar_of(magnitude) == "magnitude of the gradient\n(K km-1)"
    assert bar_of(along) == "dT/dz (K km-1)"
    np.testing.assert_array_equal(values_of(along), gpugrad.gradient(HILL, Y, X)[0])


def test_the_accessor_draws():
    pytest.importorskip("xarray")
    import gpugrad.xarray

    panel, *_ = make_labelled().gpugrad.plot(panels="z").axes
    np.testing.assert_array_equal(values_of(panel), gpugrad.gradient(HILL, Y, X)[0])
    on_sphere = make_map(LONGITUDE, WAVE).gpugrad.sphere(radius=2.0).plot(panels="lat").axes[0]
    expected = gpugrad.Sphere(LATITUDE, LONGITUDE, radius=2.0).gradient(WAVE).north
    np.testing.assert_array_equal(values_of(on_sphere), expected)


def test_a_magnitude_of_mixed_units_says_so():
    f = make_labelled()
    f.x.attrs["units"] = "s"
    assert bar_of(gpugrad.plot(f).axes[1]) == "magnitude of the gradient\n(of mixed units)"
    time = np.datetime64("2020-01-01") + np.arange(25)
    assert "mixed" in bar_of(gpugrad.plot(HILL, time, X).axes[1])


def test_degrees_of_temperature_are_no_degrees_of_latitude():
    f = make_labelled("degC")
    assert bar_of(gpugrad.plot(f).axes[1]) == "magnitude of the gradient\n(degree_Celsius km-1)"
    assert plot_axes.name_degree("degree_Celsius") == "degree_Celsius"
    names = ("degrees_north", "degrees_E", "degreeN", "degree")
    assert {*map(plot_axes.name_degree, names)} == {"degree"}


def test_units_of_quantities_stand_on_axes():
    pint = pytest.importorskip("pint")
    units = pint.UnitRegistry()
    t = units.Quantity(X, "second")
    curve, slope = gpugrad.plot(
        units.Quantity(np.sin(X), "meter"), t, prominence=units.Quantity(50.0, "centimeter")
    ).axes
    assert curve.get_ylabel() == "f (m)"
    assert (slope.get_xlabel(), slope.get_ylabel()) == ("x (s)", "df/dx (m/s)")
    assert marks_of(curve).keys() == {"maximum", "minimum"}


def test_units_of_astropy_stand_on_axes():
    units = pytest.importorskip("astropy.units")
    _, slope = gpugrad.plot(np.sin(X) * units.m, X * units.s).axes
    assert slope.get_ylabel() == "df/dx (m s-1)"


@pytest.mark.parametrize(
    ("step", "unit", "per"), [("12h", "12 h", "day"), ("h", "10 m", "h"), ("s", "1 s", "s")]
)
def test_rates_along_dates_are_per_a_unit_that_suits_them(step, unit, per):
    number, code = (*unit.split(),)
    time = np.datetime64("2020-01-01T00:00:00") + np.arange(31) * np.timedelta64(int(number), code)
    _, slope = gpugrad.plot(np.arange(31.0), time).axes
    assert slope.get_ylabel() == f"df/dx per {per}"
    expected = np.timedelta64(1, {"day": "D"}.get(per, per)) / np.diff(time)[0]
    np.testing.assert_allclose(slope.lines[0].get_ydata(), expected)
    np.testing.assert_allclose(slope.lines[0].get_xdata(), dates.date2num(time))
    assert isinstance(slope.xaxis.get_major_formatter(), dates.ConciseDateFormatter)


def test_dates_of_other_calendars_are_counted_in_days():
    cftime = pytest.importorskip("cftime")
    time = [cftime.DatetimeNoLeap(2000, 2, day) for day in range(1, 29)]
    _, slope = gpugrad.plot(np.arange(28.0), time).axes
    assert slope.get_xlabel() == "x (days since 2000-02-01 00:00:00, noleap)"
    np.testing.assert_allclose(slope.lines[0].get_ydata(), 1.0)


def test_spans_of_time_and_series_of_pandas_are_drawn():
    pandas = pytest.importorskip("pandas")
    index = pandas.Index(np.arange(20) * np.timedelta64(1, "h"), name="lag")
    _, slope = gpugrad.plot(pandas.Series(np.arange(20.0), index, name="Q")).axes
    assert slope.get_xlabel() == "lag (h)"
    assert slope.get_ylabel() == "dQ/dlag"
    np.testing.assert_allclose(slope.lines[0].get_ydata(), 1.0)


# Maps and curved grids


LATITUDE, LONGITUDE = np.linspace(-80.0, 80.0, 33), np.arange(0.0, 360.0, 10.0)
WAVE = np.cos(np.radians(LATITUDE))[:, None] ** 2 * np.sin(np.radians(LONGITUDE))


def make_map(longitude, values):
    xarray = pytest.importorskip("xarray")
    coords = {
        "lat": ("lat", LATITUDE, {"units": "degrees_north"}),
        "lon": ("lon", longitude, {"units": "degrees_east"}),
    }
    return xarray.DataArray(values, coords, ("lat", "lon"), name="T", attrs={"units": "K"})


def test_fields_of_latitude_and_longitude_are_maps_with_slopes_per_metre():
    expected = gpugrad.Sphere(LATITUDE, LONGITUDE).gradient(WAVE)
    field, north = gpugrad.plot(make_map(LONGITUDE, WAVE), panels=("field", "lat")).axes
    np.testing.assert_array_equal(values_of(north), expected.north)
    assert bar_of(north) == "slope of T to the north (K m-1)"
    assert {"60°S", "60°N"} <= {text.get_text() for text in field.get_yticklabels()}
    assert {"60°E", "60°W"} <= {text.get_text() for text in field.get_xticklabels()}
    # Whatever the order of the axes, latitude points upwards.
    turned = gpugrad.plot(make_map(LONGITUDE, WAVE).T, panels=("lon",)).axes[0]
    np.testing.assert_array_equal(values_of(turned), expected.east)
    plain = gpugrad.plot(WAVE.T, gpugrad.Sphere(LATITUDE, LONGITUDE, axis=(1, 0)), panels=0).axes[0]
    np.testing.assert_array_equal(values_of(plain), expected.east)


def test_a_meridian_that_a_map_has_twice_is_drawn_twice():
    longitude, values = np.append(LONGITUDE, 360.0), np.append(WAVE, WAVE[:, :1], axis=1)
    panel = gpugrad.plot(make_map(longitude, values), panels="lon").axes[0]
    expected = gpugrad.Sphere(LATITUDE, LONGITUDE).gradient(WAVE).east
    np.testing.assert_array_equal(values_of(panel), np.append(expected, expected[:, :1], axis=1))


def test_points_at_the_seam_of_a_map_are_marked():
    f = np.cos(np.radians(LATITUDE))[:, None] ** 2 * np.cos(np.radians(LONGITUDE - 2))
    for doubled in (False, True):
        longitude = np.append(LONGITUDE, 360.0) if doubled else LONGITUDE
        values = np.append(f, f[:, :1], axis=1) if doubled else f
        marks = marks_of(gpugrad.plot(make_map(longitude, values)).axes[0])
        np.testing.assert_allclose(marks["maximum"], [[2.0, 0.0]], atol=0.1)
        np.testing.assert_allclose(marks["minimum"], [[182.0, 0.0]], atol=0.1)


def test_a_spacing_makes_a_plain_picture_of_a_map():
    panel = gpugrad.plot(make_map(LONGITUDE, WAVE), "lat", "lon", panels="lon").axes[0]
    expected = gpugrad.gradient(WAVE, LATITUDE, LONGITUDE)[1]
    np.testing.assert_array_equal(values_of(panel), expected)
    assert "degrees_east-1" in bar_of(panel)


def test_curved_grids_are_drawn_where_their_samples_lie():
    radius, angle = np.linspace(1, 3, 17)[:, None], np.arange(40) * (2 * np.pi / 40)
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    grid = gpugrad.CurvilinearGrid(x, y, boundary={1: "periodic"})
    f = np.exp(-((x - 1.5) ** 2) - (y - 1.2) ** 2)
    field, along_y = gpugrad.plot(f, grid, panels=("field", "y")).axes
    np.testing.assert_array_equal(values_of(along_y), grid.gradient(f)[1])
    np.testing.assert_allclose(marks_of(field)["maximum"], [[1.5, 1.2]], atol=0.05)
    arrows = find(field, Quiver)
    toward = (1.5 - arrows.X) * arrows.U + (1.2 - arrows.Y) * arrows.V
    assert (toward > 0).mean() > 0.95
    assert field.get_aspect() == 1.0


@pytest.mark.parametrize("boundary", ["periodic", {1: "periodic"}])
def test_points_at_the_seam_of_a_periodic_axis_are_marked(boundary):
    angle = np.arange(40) * (2 * np.pi / 40)
    f = np.cos(angle - 0.02) - np.cos(angle)[:, None] * 0.5
    options = {"boundary": boundary, "period": 2 * np.pi}
    marks = marks_of(gpugrad.plot(f, angle, angle, **options).axes[0])
    assert np.isclose(marks["maximum"], [np.pi, 0.02][::-1], atol=0.02).all(axis=-1).any()


# Points


def test_few_turning_and_critical_points_are_marked():
    marks = marks_of(gpugrad.plot(np.sin(X), X).axes[0])
    np.testing.assert_allclose(marks["maximum"], [[np.pi / 2, 1.0]], atol=0.02)
    np.testing.assert_allclose(marks["minimum"], [[np.pi * 1.5, -1.0]], atol=0.02)
    marks = marks_of(gpugrad.plot(HILL, Y, X).axes[0])
    assert {kind: len(places) for kind, places in marks.items()} == {"maximum": 1, "minimum": 1}
    assert not marks_of(gpugrad.plot(HILL, Y, X, points=()).axes[0])
    curve, slope = gpugrad.plot(np.sin(X), X, points="inflection").axes
    np.testing.assert_allclose(marks_of(curve)["inflection"], [[np.pi, 0.0]], atol=0.05)
    np.testing.assert_allclose(marks_of(slope)["inflection"], [[np.pi, -1.0]], atol=0.05)


def test_many_points_are_told_of_and_not_marked():
    noise = np.random.default_rng(0).normal(size=(60, 300))
    panel = gpugrad.plot(noise[0]).axes[0]
    count = len(gpugrad.turning_points(noise[0]))
    assert panel.get_title(loc="left") == f"{count} turning points: mark some with prominence="
    assert not marks_of(panel)
    panel = gpugrad.plot(noise).axes[0]
    assert panel.get_title(loc="left") == "too many critical points to mark"
    assert not marks_of(panel)


def test_turning_points_that_stand_out_are_chosen():
    pytest.importorskip("scipy")
    f = np.sin(X) + 0.02 * np.cos(30 * X)
    marks = marks_of(gpugrad.plot(f, X, prominence=0.5).axes[0])
    assert {kind: len(places) for kind, places in marks.items()} == {"maximum": 1, "minimum": 1}


# Large fields


def test_a_large_field_is_thinned_and_its_slopes_are_those_of_all_samples(monkeypatch):
    f = np.random.default_rng(0).normal(size=(2500, 1210))
    monkeypatch.setattr("gpugrad._plots.points.LARGEST", 1000)
    along = gpugrad.plot(f, 0.5, 2.0, panels=(0, 1), edge_order=2).axes
    for panel, slope in zip(along, gpugrad.gradient(f, 0.5, 2.0, edge_order=2), strict=True):
        np.testing.assert_array_equal(values_of(panel), slope[::3, ::2])


def test_dask_is_computed_once_for_all_panels():
    da = pytest.importorskip("dask.array")
    calls = []

    def read(block):
        calls.append(block.shape)
        return block

    f = da.from_array(HILL, chunks=HILL.shape).map_blocks(read, meta=np.empty((0, 0)))
    _, magnitude = gpugrad.plot(f, Y, X).axes
    assert calls == [HILL.shape]
    np.testing.assert_allclose(values_of(magnitude), np.hypot(*gpugrad.gradient(HILL, Y, X)))


def test_a_long_curve_keeps_its_peaks_and_gaps():
    f = np.random.default_rng(0).normal(size=1_000_003)
    f[123_457], f[654_321], f[-2] = 50.0, np.nan, -70.0
    chosen = plot_curves.choose_samples(f)
    assert {0, 123_457, 654_321, f.size - 2, f.size - 1} <= {*chosen}
    assert chosen.size < 4 * plot_curves.BINS
    assert (np.diff(chosen) > 0).all()


# Axes of others, pyplot, notebooks


def test_given_axes_are_drawn_in_and_nothing_else_changes():
    figure, (left, right) = plt.subplots(1, 2)
    other = plt.figure()
    before = dict(matplotlib.rcParams)
    assert gpugrad.plot(HILL, Y, X, ax=right) is figure
    assert not left.has_data()
    assert right.has_data()
    assert plt.gcf() is other
    assert dict(matplotlib.rcParams) == before
    assert gpugrad.plot(HILL, Y, X, ax=(left, right)) is figure
    assert left.has_data()


def test_small_axes_and_subfigures_are_drawn_in():
    figure, ax = plt.subplots(figsize=(3, 2))
    gpugrad.plot(HILL, Y, X, ax=ax)
    (bar,) = (axes for axes in figure.axes if axes is not ax)
    figure.canvas.draw()
    panel, beside = ax.get_position(), bar.get_position()
    assert (beside.y0, beside.height) == pytest.approx((panel.y0, panel.height))
    assert beside.x0 > panel.x1
    assert bar.yaxis.label.get_window_extent().x1 <= figure.bbox.x1, "the label is not cut off"
    below, _ = plt.figure(layout="constrained").subfigures(1, 2)
    gpugrad.plot(HILL, Y, X, ax=below.subplots(2))
    below.canvas.draw()


def test_pyplot_knows_a_figure_and_a_notebook_shows_it_once(monkeypatch):
    figure = gpugrad.plot(np.sin(X), X)
    assert plt.gcf() is figure
    with pytest.raises(NotImplementedError):  # IPython goes on as usual then
        figure._ipython_display_()
    assert plt.fignum_exists(figure.number)
    monkeypatch.setattr(matplotlib, "get_backend", lambda: "inline")
    with pytest.raises(NotImplementedError):
        figure._ipython_display_()
    assert not plt.get_fignums(), "what IPython would show a second time"


def test_figures_are_saved_in_all_formats(tmp_path):
    figure = gpugrad.plot(HILL, Y, X, panels="field")
    for suffix in ("png", "pdf", "svg"):
        figure.savefig(tmp_path / f"f.{suffix}")
        assert (tmp_path / f"f.{suffix}").stat().st_size > 5000


# The picture of README


PICTURES = Path(__file__).parents[1] / "docs" / "images"


def test_the_picture_of_a_gradient_has_the_slopes_that_gradient_gives(monkeypatch):
    if not PICTURES.is_dir():
        pytest.skip("the documentation is not here")
    monkeypatch.syspath_prepend(PICTURES)
    figure = import_module("gradient").draw()
    x, slopes = figure.axes[1].lines[-1].get_data()
    np.testing.assert_allclose(slopes, 1.36 * np.cos(0.8 * x - 0.4), atol=0.3)


# What is refused


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gpugrad.plot(HILL > 0), TypeError, r"got bool. Plot `f.astype\(float\)`"),
        (lambda: gpugrad.plot(HILL * 1j), TypeError, r"got complex128. Plot its real part"),
        (lambda: gpugrad.plot(HILL.astype("M8[s]")), TypeError, "the time since the first"),
        (lambda: gpugrad.plot(HILL.astype("m8[s]")), TypeError, "Divide by a unit of time"),
        (lambda: gpugrad.plot(np.ones((3, 4, 5))), ValueError, r"as in `f\[0\]`"),
        (lambda: gpugrad.plot(3.0), ValueError, "at least one axis"),
        (lambda: gpugrad.plot(np.sin), TypeError, "Evaluate it first"),
        (lambda: gpugrad.plot(HILL, panels="slope"), ValueError, 'must be some of "field"'),
        (lambda: gpugrad.plot(X, panels=0), ValueError, 'of a curve must be some of "curve"'),
        (lambda: gpugrad.plot(HILL, panels=()), ValueError, "at least one"),
        (lambda: gpugrad.plot(HILL, points="turning"), ValueError, '`points` must be "critical"'),
        (lambda: gpugrad.plot(HILL, prominence=1.0), ValueError, "`prominence` goes with curves"),
        (lambda: gpugrad.plot(HILL, ax=3), TypeError, "`ax` must be axes of Matplotlib"),
        (lambda: gpugrad.plot(HILL, Y[:, None] + X, 1.0), ValueError, "CurvilinearGrid"),
        (lambda: gpugrad.plot(WAVE, gpugrad.Sphere(LATITUDE, LONGITUDE), accuracy=4), TypeError,
         "`accuracy` does not go with a Sphere"),
        (lambda: gpugrad.plot(X, gpugrad.Sphere(LATITUDE, LONGITUDE)), ValueError, "two axes"),
    ],
)  # fmt: skip
def test_what_has_no_picture_is_refused_with_what_to_do(call, error, message):
    with pytest.raises(error, match=message):
        call()
    assert not plt.get_fignums(), "no empty figure stays"


def test_a_slice_of_a_data_array_is_named():
    xarray = pytest.importorskip("xarray")
    f = xarray.DataArray(np.ones((2, 3, 4)), dims=("time", "y", "x"))
    with pytest.raises(ValueError, match=r"as in `f.isel\(time=0\)`"):
        gpugrad.plot(f)


def test_tables_of_many_columns_are_refused():
    pandas = pytest.importorskip("pandas")
    with pytest.raises(TypeError, match="one column of a DataFrame"):
        gpugrad.plot(pandas.DataFrame(HILL))
    xarray = pytest.importorskip("xarray")
    with pytest.raises(TypeError, match="Dataset"):
        gpugrad.plot(xarray.Dataset({"T": ("x", X)}))


def test_as_many_axes_as_panels_are_asked_for():
    _, axes = plt.subplots(1, 2)
    with pytest.raises(ValueError, match="one entry for each panel, field; got 2"):
        gpugrad.plot(HILL, panels="field", ax=axes)


def test_without_matplotlib_the_cure_is_named():
    code = (
        "import sys; sys.modules['matplotlib'] = None\nimport gpugrad\n"
        "try:\n    gpugrad.plot([1.0, 2.0, 4.0])\nexcept ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "gpugrad[plot]"' in done.stdout


def test_degrees_are_written_as_maps_have_them():
    written = [plot_axes.write_degrees(x, "EW") for x in (-180, -90, 0, 90, 180, 270, 360)]
    assert written == ["180°", "90°W", "0°", "90°E", "180°", "90°W", "0°"]
