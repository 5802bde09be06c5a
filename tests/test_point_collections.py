"""Collections of points: length, iteration, indexing, selection, print and tables."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import gpugrad

WAVE = np.sin(np.linspace(0, 20, 200))


def turning():
    return gpugrad.turning_points(np.stack([WAVE, 2 * WAVE]), 0.1)


def bends():
    return gpugrad.inflection_points(np.stack([WAVE, 2 * WAVE]), 0.1)


def critical():
    x = np.linspace(-5, 5, 101)
    return gpugrad.critical_points(
        (x[:, None] ** 2 + x - 11) ** 2 + (x[:, None] + x**2 - 7) ** 2, x, x
    )


EACH = pytest.mark.parametrize("make", [turning, bends, critical])


@EACH
def test_points_are_counted_and_come_one_by_one(make):
    points = make()
    listed = [*points]
    assert len(listed) == len(points) > 3
    name = type(points).__name__.removesuffix("s")
    for i, point in enumerate(listed):
        assert type(point) is getattr(gpugrad, name)
        assert type(point.kind) is str
        for attribute in point._fields:
            expected = getattr(points, attribute)
            expected = None if expected is None else expected[i]
            np.testing.assert_array_equal(getattr(point, attribute), expected)
    np.testing.assert_array_equal(points[-1].position, points.position[-1])
    assert points[np.int64(1)].kind == points.kind[1]


@EACH
@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (slice(1, 4), [1, 2, 3]),
        (slice(None, None, -2), None),
        ([2, 0, -1], None),
        (np.array([], int), []),
        ([], []),
        (slice(0, 0), []),
    ],
)
def test_parts_of_a_collection_are_of_its_class(make, key, expected):
    points = make()
    chosen = points[key]
    assert type(chosen) is type(points)
    expected = np.arange(len(points))[key] if expected is None else np.array(expected, int)
    for name in vars(points):
        whole, taken = getattr(points, name), getattr(chosen, name)
        assert (whole is None) == (taken is None)
        if whole is not None:
            np.testing.assert_array_equal(taken, whole[expected])


@EACH
def test_masks_choose(make):
    points = make()
    mask = points.value > np.median(points.value)
    assert len(points[mask]) == mask.sum()
    assert len(points[[*mask]]) == mask.sum()
    kind = points.kind[0]
    assert {*points.select(kind=kind).kind} == {kind}
    both = points.select(kind=(kind, points._kinds[-1]))
    assert len(both) == sum(len(points.select(kind=k)) for k in {kind, points._kinds[-1]})
    assert len(points.select()) == len(points)


@pytest.mark.exhaustive(xp="jax")
def test_points_are_picked_on_every_library(xp):
    if xp.name == "dask":
        pytest.skip("Dask arrays are refused")
    points = gpugrad.turning_points(xp.asarray(np.stack([WAVE, 2 * WAVE])), 0.1)
    like = type(xp.asarray(WAVE))
    assert type(points[::2].position) is like
    mask = points.value > xp.asarray(np.array(0.0))
    assert {*points[mask].kind} == {"maximum"}
    assert float(points[0].position) == float(gpugrad.asnumpy(points.position)[0])
    assert "maximum" in repr(points)
    assert len(points.select(curve=1)) == len(points) // 2


def test_curves_and_prominences_select():
    pytest.importorskip("scipy")
    points = turning()
    assert {*points.select(curve=1).curve} == {1}
    assert {*points.select(curve=[0, 1]).curve} == {0, 1}
    f = np.array([0.0, 1.0, 0.5, 3.0, 0.0])
    prominent = gpugrad.turning_points(f, prominence=0)
    assert [*prominent.select(prominence=1.0).index] == [3]
    assert [*prominent.select(prominence=0.1, kind="minimum").index] == [2]
    with pytest.raises(ValueError, match="must have been asked for"):
        points.select(prominence=1.0)
    with pytest.raises(TypeError, match="`prominence` must be a number"):
        prominent.select(prominence="high")


@EACH
def test_what_picks_nothing_says_so(make):
    points = make()
    with pytest.raises(IndexError, match=f"there are {len(points)} .* points; got index 99"):
        points[99]
    with pytest.raises(IndexError, match="got index -99"):
        points[[0, -99]]
    with pytest.raises(IndexError, match="a mask must have one entry for each"):
        points[[True]]
    for key in (True, None, "maximum", 1.5, [1.5], [[1, 2]], (1, 2, "a")):
        with pytest.raises(TypeError, match="points are picked by an integer"):
            points[key]
    with pytest.raises(ValueError, match=f"`kind` must be one of {points._kinds[0]}"):
        points.select(kind="summit")
    with pytest.raises(TypeError):
        points.select([0])
    if make is not critical:
        with pytest.raises(TypeError, match="`curve` must be a number"):
            points.select(curve="first")


@EACH
def test_a_print_is_a_table_of_the_first(make):
    points = make()
    lines = repr(points).splitlines()
    assert lines[0].startswith(f"{len(points)} ")
    assert lines[1].split()[0].startswith("position")
    assert len(lines) == 2 + min(len(points), 8) + (len(points) > 8)
    if len(points) > 8:
        assert lines[-1] == f"... and {len(points) - 8} more"
    assert repr(points[:0]).startswith("0 ")
    assert len(repr(points[:1]).splitlines()) == 3
    assert " point:" in repr(points[:1])


def test_equality_is_identity():
    points = turning()
    assert points == points
    assert points != turning()
    assert hash(points) == hash(points)


@EACH
def test_a_table_of_pandas_has_a_row_for_each_point(make):
    pandas = pytest.importorskip("pandas")
    points = make()
    table = points.to_dataframe()
    assert isinstance(table, pandas.DataFrame)
    assert len(table) == len(points)
    assert [*table.kind] == [*points.kind]
    np.testing.assert_array_equal(table.value, points.value)
    if make is critical:
        np.testing.assert_array_equal(table[["position_0", "position_1"]], points.position)
    else:
        np.testing.assert_array_equal(table.position, points.position)


def test_without_pandas_there_is_a_line_to_mend_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        turning().to_dataframe()


def test_labelled_points_have_the_names_of_dimensions_for_columns():
    pytest.importorskip("pandas")
    xarray = pytest.importorskip("xarray")
    t = np.linspace(0, 20, 200)
    f = xarray.DataArray(
        np.stack([WAVE, 2 * WAVE]), {"run": ["a", "b"], "t": t}, ("run", "t"), name="T"
    )
    points = gpugrad.turning_points(f)
    table = points.to_dataframe()
    assert [*table.columns[:2]] == ["t", "run"]
    np.testing.assert_array_equal(table.t, points.position.data)
    assert {*table.run} == {"a", "b"}
    assert len(points[points.position.run == "b"]) == len(points) // 2
    assert points[0].kind == points.kind.data[0]
    assert points[0].position.run == "a"
    assert repr(points).splitlines()[1].split()[:2] == ["t", "run"]
    x = xarray.DataArray(np.linspace(-2, 2, 41), dims="x")
    y = xarray.DataArray(np.linspace(-2, 2, 51), dims="y")
    field = (x**3 - 3 * x + y**2).assign_coords(x=x, y=y)
    saddles = gpugrad.critical_points(field).select(kind="saddle")
    table = saddles.to_dataframe()
    assert {"x", "y", "index_x", "index_y", "value", "kind"} <= {*table.columns}
    np.testing.assert_array_equal(table[["x", "y"]], saddles.position.data)


def test_points_with_units_write_them():
    pytest.importorskip("pandas")
    pint = pytest.importorskip("pint")
    units = pint.UnitRegistry()
    points = gpugrad.turning_points(WAVE * units.kelvin, 0.1 * units.metre)
    assert points[0].value.units == units.kelvin
    assert len(points[points.value > 0 * units.kelvin]) == len(points.maxima)
    table = points.maxima.to_dataframe()
    assert [*table.columns[:2]] == ["position [meter]", "value [kelvin]"]
    assert "value [kelvin]" in repr(points)
