"""Calls on fields with names and units: xarray, its accessor, pint."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np

import gpugrad
from recording.calls import Call, Later, call_public, given, options, product
from recording.fields import in_library, seeded, values_of

LOADS = ("xarray", "gpugrad.xarray", "dask.array", "pint", "scipy.signal", "scipy.interpolate")
"""The libraries that the calls need, loaded before the first of them."""


def _temperature(lazy: bool = False, dtype: str = "f4") -> Any:
    import xarray

    times = np.datetime64("2021-05-01T00:00", "ns") + np.arange(6) * np.timedelta64(3, "h")
    values = values_of(dtype, (6, 7, 12))
    return xarray.DataArray(
        in_library(values, "dask") if lazy else values,
        {
            "time": times,
            "lat": ("lat", np.linspace(-90, 90, 7), {"units": "degrees_north"}),
            "lon": ("lon", np.arange(0, 360, 30.0), {"units": "degrees_east"}),
            "height": ("lat", np.arange(7.0) ** 1.5, {"units": "m"}),
            "level": (("lat", "lon"), np.cumsum(seeded("level").uniform(1, 2, (7, 12)), axis=0)),
            "station": ("lat", list("abcdefg")),
        },
        ("time", "lat", "lon"),
        name="T",
        attrs={"units": "K", "standard_name": "air_temperature", "source": "a model"},
    )


def _plain() -> Any:
    import xarray

    return xarray.DataArray(values_of("f8", (6, 8)), dims=("y", "x"))


def _in_metres() -> Any:
    import xarray

    x = {"x": ("x", np.cumsum(np.arange(1.0, 9.0)), {"units": "m"}),
         "y": ("y", np.arange(6.0), {"units": "m"})}  # fmt: skip
    return xarray.DataArray(
        values_of("f8", (6, 8)), x, ("y", "x"), name="h", attrs={"units": "m s-1"}
    )


def _wind(on: str = "box") -> Any:
    import xarray

    if on == "sphere":
        names = ("lat", "lon")
        grid = {"lat": ("lat", np.linspace(-90, 90, 7), {"units": "degrees_north"}),
                "lon": ("lon", np.arange(0, 360, 30.0), {"units": "degrees_east"})}  # fmt: skip
        shape = (7, 12)
    else:
        names, shape = ("y", "x"), (6, 8)
        grid = {"y": ("y", np.arange(6.0), {"units": "m"}),
                "x": ("x", np.cumsum(np.arange(1.0, 9.0)), {"units": "m"})}  # fmt: skip
    units = {"units": "m s-1"}
    return xarray.Dataset(
        {
            "u": (names, values_of("f8", shape, 1), units),
            "v": (names, values_of("f8", shape, 2), units),
        },
        grid,
    )


def _curved() -> Any:
    import xarray

    angle, radius = np.arange(8) * (np.pi / 4), np.linspace(1, 2, 6)[:, None]
    return xarray.DataArray(
        values_of("f8", (6, 8)),
        {"x": (("r", "a"), radius * np.cos(angle), {"units": "m"}),
         "y": (("r", "a"), radius * np.sin(angle), {"units": "m"})},
        ("r", "a"), name="f",
    )  # fmt: skip


def _tide() -> Any:
    import xarray

    time = np.linspace(0, 5, 51)
    return xarray.DataArray(
        np.cos(np.outer([1.0, 2.0], time)),
        {"gauge": ["Brest", "Cuxhaven"], "time": ("time", time, {"units": "h"})},
        ("gauge", "time"), name="tide", attrs={"units": "m"},
    )  # fmt: skip


def _hill() -> Any:
    import xarray

    x, y = np.linspace(-5, 5, 41), np.linspace(-5, 5, 37)
    f = (x[:, None] ** 2 + y - 11) ** 2 + (x[:, None] + y**2 - 7) ** 2
    return xarray.DataArray(f, {"x": ("x", x, {"units": "km"}), "y": y}, ("x", "y"), name="f")


FIELDS = {
    "T": Later("<temperature>", _temperature),
    "T lazy": Later("<lazy temperature>", lambda: _temperature(lazy=True)),
    "plain": Later("<field without coordinates>", _plain),
    "metres": Later("<field in metres>", _in_metres),
    "curved": Later("<field on a curved grid>", _curved),
    "tide": Later("<tide>", _tide),
    "hill": Later("<hill>", _hill),
    "wind": Later("<wind>", _wind),
    "winds": Later("<wind on a sphere>", lambda: _wind("sphere")),
}


def _components(names: str, of: str = "wind") -> Any:
    return Later(
        f"<components {names} of {of}>", lambda: [FIELDS[of].make()[name] for name in names]
    )


def access(name: str, data: Any, *arguments: Any, **keywords: Any) -> Any:
    """Call a method of the accessor, or one of a grid's: ``sphere curl``."""
    grid, _, method = name.rpartition(" ")
    if grid == "sphere" and method in ("divergence", "curl"):
        return getattr(data.gpugrad.sphere(), method)(*arguments, **keywords)
    if grid:
        return getattr(getattr(data.gpugrad, grid)(*arguments, **keywords), method)()
    return getattr(data.gpugrad, name)(*arguments, **keywords)


def _coordinate_of(which: str, name: str, moved: float = 0, cut: bool = False) -> Any:
    def make() -> Any:
        one = FIELDS[which].make()[name]
        one = one.isel({one.dims[0]: slice(0, -1)}) if cut else one
        return one.assign_coords({dim: one[dim] + moved for dim in one.dims if moved})

    return Later(f"<{name} of {which} moved by {moved}, cut: {cut}>", make)


def _fluxes(stagger: str) -> Any:
    def make() -> Any:
        return gpugrad.gradient(FIELDS["metres"].make(), stagger=stagger)

    return Later(f"<fluxes {stagger}>", make)


def _in_one() -> Any:
    def make() -> Any:
        return _wind().to_dataarray("component").isel(component=[1, 0])

    return Later("<components in one>", make)


def _rotated() -> Any:
    import xarray

    a, b = np.meshgrid(np.linspace(40, 50, 6), np.linspace(0, 12, 8), indexing="ij")
    return xarray.DataArray(
        values_of("f8", (6, 8)),
        {"lat": (("y", "x"), a + 0.1 * b, {"units": "degrees_north"}),
         "lon": (("y", "x"), b - 0.2 * a, {"units": "degrees_east"})},
        ("y", "x"), name="f", attrs={"units": "K"},
    )  # fmt: skip


def _in_radians() -> Any:
    t = _temperature()
    moved = {name: np.radians(t[name]) for name in ("lat", "lon")}
    t = t.assign_coords(moved)
    for name, standard in (("lat", "latitude"), ("lon", "longitude")):
        t[name].attrs.update(units="radian", standard_name=standard)
    return t


def _with_units(of_field: str, of_y: str, of_x: str | None = None) -> Any:
    f = _in_metres()
    f.attrs["units"] = of_field
    f["y"].attrs["units"], f["x"].attrs["units"] = of_y, of_x or of_y
    return f


def _mask_of(which: str) -> Any:
    def make() -> Any:
        f = FIELDS[which].make()
        return f.copy(data=values_of("f8", f.shape, 3) > -1)

    return Later(f"<mask like {which}>", make)


def _of_data_arrays() -> Iterator[Call]:
    t, plain, metres = FIELDS["T"], FIELDS["plain"], FIELDS["metres"]
    rows: dict[str, Any] = {
        "all": given("gradient", t),
        "lazy": given("gradient", FIELDS["T lazy"]),
        "names": given("gradient", t, axis=("lat", "lon")),
        "one": given("gradient", t, axis="lon"),
        "list": given("gradient", t, axis=["lon"]),
        "number": given("gradient", t, axis=1),
        "numbers and names": given("gradient", t, axis=(0, "lon")),
        "time": given("gradient", t, axis="time", time_unit="h"),
        "options": given("gradient", t, axis=("lat", "lon"), accuracy=4, edge_accuracy=2),
        "by name": given("gradient", t, axis=("lat", "lon"), boundary={"lon": "periodic"},
                         period={"lon": 360.0}),
        "stagger by name": given("gradient", t, axis=("lat", "lon"), stagger={"lon": "left"}),
        "stack": given("gradient", t, axis=("lat", "lon"), stack=True),
        "stack metres": given("gradient", metres, stack=True),
        "another coordinate": given("gradient", t, "height", axis="lat"),
        "a coordinate of two": given("gradient", t, "level", axis="lat"),
        "an unknown coordinate": given("gradient", t, "depth", axis="lat"),
        "texts": given("gradient", t, "station", axis="lat"),
        "a number": given("gradient", t, 2.0, axis=("lat", "lon")),
        "an array": given("gradient", t, np.arange(7.0) ** 2, axis="lat"),
        "unknown dimension": given("gradient", t, axis="depth"),
        "plain": given("gradient", plain),
        "plain stagger": given("gradient", plain, stagger="right"),
        "metres": given("gradient", metres),
        "metres stagger": given("gradient", metres, stagger="left", boundary="symmetric"),
        "where": given("gradient", plain, where=_mask_of("plain")),
        "where elsewhere": given("gradient", metres, where=_mask_of("plain")),
        "skipna": given("gradient", plain, skipna=True),
        "curvilinear": given("CurvilinearGrid.gradient", FIELDS["curved"], "x", "y",
                             boundary={"a": "periodic"}),
        "derivative": given("derivative", t, axis="lon", order=2),
        "derivative time": given("derivative", t, axis="time", order=2, time_unit="h"),
        "derivative spacing": given("derivative", t, 0.5, axis="lon"),
        "derivative default": given("derivative", t),
        "laplacian": given("laplacian", t, axis=("lat", "lon")),
        "laplacian metres": given("laplacian", metres),
        "laplacian mixed": given("laplacian", t, axis=("time", "lon")),
        "gradient_norm": given("gradient_norm", metres),
        "hessian": given("hessian", metres),
        "hessian stack": given("hessian", metres, stack=True),
        "divergence": given("divergence", _components("vu")),
        "divergence axes": given("divergence", _components("uv"), axis=("x", "y")),
        "curl": given("curl", _components("uv"), axis=("x", "y")),
        "jacobian": given("jacobian", _components("uv"), axis=("x", "y")),
        "divergence stagger": given("divergence", _components("vu"), stagger="left"),
        "spherical": given("Sphere.gradient", t),
        "spherical lazy": given("Sphere.gradient", FIELDS["T lazy"]),
        "spherical accuracy": given("Sphere.gradient", t, accuracy=4, radius=1.0),
        "spherical named": given("Sphere.gradient", t, "lat", "lon"),
        "spherical plain": given("Sphere.gradient", plain),
        "spherical divergence": given("Sphere.divergence", _components("vu", "winds")),
        "spherical curl": given("Sphere.curl", _components("vu", "winds"), accuracy=4),
        "turning": given("turning_points", FIELDS["tide"]),
        "turning axis": given("turning_points", FIELDS["tide"], axis="time", ends=True),
        "inflection": given("inflection_points", FIELDS["tide"]),
        "critical": given("critical_points", FIELDS["hill"]),
        "noise": given("noise_level", FIELDS["tide"]),
        "error": given("error_estimate", metres, axis="x"),
        "plan": given("plan", (6, 8), like=plain),
        "tabulate": given("tabulate", np.sin, plain),
        "out": given("laplacian", plain, out=Later("<out>", lambda: np.zeros((6, 8)))),
        "backend": given("gradient", plain, backend="slices"),
        "Dataset": given("gradient", FIELDS["wind"]),
        "smooth": given("smooth_derivative", metres, axis="x"),
        "a DataArray as spacing": given("gradient", metres, _coordinate_of("metres", "x"),
            axis="x"),
        "a moved DataArray as spacing": given(
            "gradient", metres, _coordinate_of("metres", "x", 1), axis="x"),
        "a short DataArray as spacing": given(
            "gradient", metres, _coordinate_of("metres", "x", cut=True), axis="x"),
        "a DataArray of another axis": given("gradient", metres, _coordinate_of("metres", "y"),
            axis="x"),
        "an axis twice": given("gradient", metres, axis=("x", "x")),
        "an axis out of bounds": given("gradient", metres, axis=4),
        "one number": given("gradient", Later("<one number>", lambda: _plain()[0, 0])),
        "boundary of unknown": given("gradient", metres, boundary={"z": "periodic"}),
        "boundary of some": given("gradient", metres, boundary={"x": "reflect"}),
        "boundary of normals": given("gradient", metres, boundary={"normal": 1.0}),
        "stagger periodic": given("gradient", metres, stagger="left", boundary="periodic"),
        "stagger period": given("gradient", t, axis="lon", stagger="right", boundary="periodic",
            period=360),
        "stagger dates": given("gradient", t, axis="time", stagger="left"),
        "stagger dates period": given("gradient", t, axis="time", stagger="left",
            boundary="periodic",
                                      period=24, time_unit="h"),
        "stagger stack": given("gradient", metres, stagger="left", stack=True),
        "stagger a line": given("derivative", t, axis="lat", stagger="left"),
        "staggered divergence": given("divergence", _fluxes("left"), stagger="right"),
        "staggered divergence refused": given("divergence", _fluxes("left"), stagger="left"),
        "staggered curl": given("curl", _fluxes("left"), stagger="right"),
        "curvilinear unknown": given("CurvilinearGrid.gradient", FIELDS["curved"], "x", "z"),
        "curvilinear arrays": given("CurvilinearGrid.gradient", FIELDS["curved"],
            _coordinate_of("curved", "x"), _coordinate_of("curved", "y")),
        "curvilinear moved": given("CurvilinearGrid.gradient", FIELDS["curved"],
            _coordinate_of("curved", "x", cut=True), "y"),
        "components in one": given("divergence", _in_one()),
        "components of one": given("divergence", Later("<line>", lambda: _plain()[0])),
        "components unlike": given("divergence", _components("uv"), axis=("x", "z")),
        "spherical unknown": given("Sphere.gradient", t, latitude="phi"),
        "spherical other": given("Sphere.gradient", t, latitude="height"),
        "spherical arrays": given("Sphere.gradient", t, np.linspace(-90, 90, 7),
            np.arange(0, 360, 30.0)),
        "spherical maps": given("Sphere.gradient", Later("<rotated>", _rotated)),
        "spherical turned": given("Sphere.gradient",
            Later("<turned>", lambda: _temperature().T)),
        "spherical radians": given("Sphere.gradient", Later("<radians>", _in_radians)),
        "units of degrees": given("gradient",
            Later("<degrees>", lambda: _with_units("degrees_north", "m"))),
        "units of nothing": given("gradient", Later("<1>", lambda: _with_units("1", "1"))),
        "units of nonsense": given("gradient",
            Later("<nonsense>", lambda: _with_units("furlong/moon", "K"))),
        "units of powers": given("laplacian",
            Later("<powers>", lambda: _with_units("m2 s-2", "kg m-3"))),
        "units unlike": given("laplacian", Later("<unlike>", lambda: _with_units("K", "m", "s"))),
        "nothing numeric": given("gradient", Later("<texts>", lambda: _plain().astype(str))),
        "where numpy": given("gradient", plain, where=values_of("f8", (6, 8), 3) > -1),
    }  # fmt: skip
    yield from product("DataArray", call_public, rows)


def _of_accessors() -> Iterator[Call]:
    t, metres, wind = FIELDS["T"], FIELDS["metres"], FIELDS["wind"]
    rows: dict[str, Any] = {
        "gradient": given("gradient", t),
        "gradient dims": given("gradient", t, "lat", "lon"),
        "gradient one": given("gradient", t, "lon", accuracy=4),
        "gradient unknown": given("gradient", t, "depth"),
        "derivative": given("derivative", t, "lon", order=2),
        "laplacian": given("laplacian", metres),
        "laplacian dims": given("laplacian", metres, "x"),
        "hessian": given("hessian", metres, "x", "y"),
        "gradient_norm": given("gradient_norm", metres),
        "sphere gradient": given("sphere gradient", t),
        "sphere laplacian": given("sphere laplacian", t, accuracy=4),
        "curvilinear laplacian": given("curvilinear laplacian", FIELDS["curved"], "x", "y"),
        "turning_points": given("turning_points", FIELDS["tide"], "time"),
        "inflection_points": given("inflection_points", FIELDS["tide"], "time"),
        "critical_points": given("critical_points", FIELDS["hill"]),
        "noise_level": given("noise_level", FIELDS["tide"], "time"),
        "error_estimate": given("error_estimate", metres, "x"),
        "divergence of an array": given("divergence", t),
        "unknown": given("slope", t),
        "divergence": given("divergence", wind, u="u", v="v"),
        "divergence order": given("divergence", wind, "u", "v", axis=("x", "y")),
        "divergence dims": given("divergence", wind, x="u", y="v"),
        "divergence both": given("divergence", wind, "u", v="v"),
        "divergence none": given("divergence", wind),
        "divergence missing": given("divergence", wind, u="u", v="w"),
        "curl": given("curl", wind, u="u", v="v", accuracy=4),
        "jacobian": given("jacobian", wind, u="u", v="v"),
        "gradient of a dataset": given("gradient", wind),
        "sphere divergence": given("sphere divergence", FIELDS["winds"], u="u", v="v"),
        "sphere curl": given("sphere curl", FIELDS["winds"]),
        "sphere curl of order": given("sphere curl", FIELDS["winds"], "v", "u"),
        "sphere curl of one": given("sphere curl", FIELDS["winds"], u="speed"),
    }
    yield from product("accessor", access, rows)


@lru_cache(maxsize=1)
def _units() -> Any:
    import pint

    return pint.UnitRegistry()


def quantity(values: Any, unit: str) -> Any:
    """Return values with a unit of pint."""

    def make() -> Any:
        made = values.make() if hasattr(values, "make") else values
        return _units().Quantity(np.array(made) if np.ndim(made) else made, unit)

    return Later(f"<{values!r:.40} in {unit}>", make)


def _of_quantities() -> Iterator[Call]:
    f = quantity(values_of("f8", (5, 6)), "kelvin")
    x, y = quantity(np.cumsum(np.arange(1.0, 6.0)), "m"), quantity(np.arange(6.0) ** 2, "km")
    u, v = quantity(values_of("f8", (5, 6), 1), "m/s"), quantity(values_of("f8", (5, 6), 2), "km/s")
    bare = values_of("f8", (5, 6))
    lat, lon = (
        quantity(np.linspace(-80, 80, 5), "degree"),
        quantity(np.arange(0, 360, 60.0), "degree"),
    )
    rows: dict[str, Any] = {
        "gradient": given("gradient", f, quantity(2.0, "s"), quantity(0.5, "m")),
        "gradient f4": given("gradient", quantity(values_of("f4", (5, 6)), "kelvin"),
            quantity(2.0, "s")),
        "gradient coordinates": given("gradient", f, x, y),
        "gradient of plain": given("gradient", bare, x, y),
        "gradient without": given("gradient", f),
        "gradient number": given("gradient", f, 0.5),
        "gradient stack": given("gradient", f, quantity(1.0, "m"), quantity(1.0, "km"), stack=True),
        "gradient stack refused": given(
            "gradient", f, quantity(1.0, "m"), quantity(1.0, "s"), stack=True),
        "gradient degC": given("gradient", quantity(bare, "degC"), quantity(1.0, "m")),
        "gradient boundary": given("gradient", f, quantity(1.0, "m"),
            boundary=quantity(3.0, "kelvin")),
        "gradient wrong boundary": given("gradient", f, 1.0, boundary=quantity(3.0, "m")),
        "gradient period": given("gradient", f, x, y, axis=None, boundary="periodic",
                                 period={0: quantity(0.02, "km"), 1: quantity(40.0, "km")}),
        "gradient where": given("gradient", f, quantity(1.0, "m"), where=bare > -1),
        "derivative": given("derivative", f, quantity(1.0, "s"), order=2),
        "derivative spacing": given("derivative", f, spacing=quantity(1.0, "s"), order=3),
        "laplacian": given("laplacian", f, quantity(1.0, "km"), quantity(500.0, "m")),
        "laplacian refused": given("laplacian", f, quantity(1.0, "km"), quantity(1.0, "s")),
        "gradient_norm": given("gradient_norm", f, x, y),
        "hessian": given("hessian", f, quantity(1.0, "m"), quantity(1.0, "s")),
        "divergence": given("divergence", (u, v), quantity(1.0, "m")),
        "divergence refused": given("divergence", (u, f), quantity(1.0, "m")),
        "curl": given("curl", (u, v), x, y),
        "jacobian": given("jacobian", [u, f], quantity(1.0, "m"), quantity(1.0, "s")),
        "spherical": given("Sphere.gradient", f, lat, lon),
        "spherical radius": given("Sphere.gradient", f, lat, lon, radius=quantity(6371.0, "km")),
        "turning": given("turning_points", quantity(np.sin(np.arange(20.0)), "m"),
                         quantity(np.arange(20.0), "s")),
        "inflection": given("inflection_points", quantity(np.sin(np.arange(20.0)), "m")),
        "critical": given("critical_points", quantity(_bowl(), "m"), quantity(0.5, "km"),
            quantity(1.0, "km")),
        "noise": given("noise_level", quantity(seeded("noise").normal(size=50), "K")),
        "error": given("error_estimate", quantity(np.sin(np.arange(20.0)), "m"),
            quantity(0.5, "s")),
        "dates": given("gradient", f, np.datetime64("2024-01-01") + np.arange(5), axis=0,
            time_unit="h"),
        "plan": given("plan", (5, 6), like=f),
        "asnumpy": given("asnumpy", f),
        "boundary pair": given("gradient", f, quantity(1.0, "m"),
            boundary=(quantity(3.0, "kelvin"), 1.0)),
        "boundary list": given("gradient", f, quantity(1.0, "m"), quantity(1.0, "s"),
            boundary={0: {"normal": quantity(3.0, "kelvin/m")}, 1: "periodic"}),
        "boundary normal": given("gradient", f, quantity(1.0, "m"),
            boundary={"normal": quantity(3.0, "K/km")}),
        "boundary normal refused": given("gradient", f, quantity(1.0, "m"),
            boundary={"normal": quantity(3.0, "K")}),
        "boundary without": given("gradient", f, boundary={"constant": quantity(3.0, "kelvin")}),
        "period of a number": given("gradient", f, x, y, boundary="periodic",
            period={0: 40.0, 1: 60.0}),
        "spherical radians": given("Sphere.gradient", f,
            quantity(np.linspace(-1, 1, 5), "radian"), lon),
        "spherical metres": given("Sphere.gradient", f, x, y),
        "spherical curl": given("Sphere.curl", (u, v), lat, lon),
        "components alike": given("divergence", quantity(values_of("f8", (2, 5, 6)), "m/s"), x, y),
        "stack of components": given("jacobian", [u, v], x, y, stack=True),
        "of a list": given("gradient", quantity([1.0, 2.0, 4.0], "m")),
        "curvilinear": given("CurvilinearGrid.gradient", f,
            quantity(np.add.outer(np.arange(5.0), 0.1 * np.arange(6.0)), "m"),
            quantity(np.add.outer(0.2 * np.arange(5.0), np.arange(6.0)), "km")),
        "out": given("laplacian", f, quantity(1.0, "m"),
            out=Later("<out>", lambda: np.zeros((5, 6)))),
    }  # fmt: skip
    yield from product("Quantity", call_public, rows)


def _bowl() -> Any:
    x, y = np.arange(9.0) - 4.2, np.arange(8.0) - 3.3
    return x[:, None] ** 2 + 2 * y**2 + 0.3 * x[:, None] * y


def calls() -> Iterator[Call]:
    """Return the calls of this table."""
    if find_spec("xarray"):
        yield from _of_data_arrays()
        yield from _of_accessors()
        yield from product(
            "DataArray of dtypes", "gradient",
            {dtype: (Later(f"<T {dtype}>", lambda d=dtype: _temperature(dtype=d)),)
             for dtype in ("f8", "f2", "i4", "c8")},
            options(axis=("lat", ("time", "lon"))),
        )  # fmt: skip
    if find_spec("pint"):
        yield from _of_quantities()
