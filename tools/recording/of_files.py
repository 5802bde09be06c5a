"""Runs of the command `gpugrad` on files in a folder of their own."""

from __future__ import annotations

import contextlib
import io
import runpy
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from recording.calls import Call
from recording.digests import describe, digest
from recording.fields import laid_out, seeded, values_of

LOADS = ("xarray", "zarr", "h5netcdf", "dask.array", "tqdm", "matplotlib.pyplot")
"""The libraries that the calls need, loaded before the first of them."""

Files = dict[str, Callable[[Path], Any]]


def run_command(files: Files, *runs: str) -> Any:
    """Run the command once or more where some files are; return what it prints and writes."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for name, write in files.items():
            write(Path(name))
        before = {*_paths()}
        done = [_run(words.split()) for words in runs]
        made = sorted({*_paths()} - before)
        return {"runs": done, "files": {name: _contents(Path(name)) for name in made}}


def _run(words: list[str]) -> dict[str, Any]:
    out, err = io.StringIO(), io.StringIO()
    status: Any = 0
    with (
        mock.patch.object(sys, "argv", ["gpugrad", *words]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            # As `python -m gpugrad` does, but in this process: starting one takes too long.
            runpy.run_module("gpugrad", run_name="__main__")
        except SystemExit as end:
            status = end.code
    return {"status": status, "prints": out.getvalue(), "says": err.getvalue()}


def _paths() -> Iterator[str]:
    """Yield what a folder holds; a store of Zarr is one thing."""
    for path in sorted(Path().iterdir()):
        yield path.name


def _contents(path: Path) -> Any:
    if path.suffix == ".npy":
        # The bytes as they are, and the order that the header says.
        return [describe(np.load(path)), digest(path.read_bytes())]
    if path.suffix in (".nc", ".zarr"):
        import xarray

        engine = "h5netcdf" if path.suffix == ".nc" else "zarr"
        with xarray.open_dataset(path, engine=engine, decode_times=False) as data:
            data = data.load()
            coding = {
                name: {
                    key: repr(variable.encoding.get(key))
                    for key in ("dtype", "chunks", "chunksizes")
                }
                for name, variable in data.variables.items()
            }
            return {"data": describe(data), "coding": {str(k): v for k, v in coding.items()}}
    if path.suffix == ".png":
        from matplotlib.image import imread

        return describe(imread(path))
    if path.is_dir():
        return sorted(str(part.relative_to(path)) for part in path.rglob("*"))
    return f"{path.stat().st_size} bytes"


def _npy(dtype: str, shape: tuple[int, ...], layout: str = "C", seed: int = 0) -> Any:
    return lambda path: np.save(path, laid_out(values_of(dtype, shape, seed), layout))


def _coordinate(n: int) -> Any:
    return lambda path: np.save(path, np.cumsum(seeded("file", n).uniform(0.5, 1.5, n)))


def _dataset(kind: str = "plain") -> Any:
    def write(path: Path) -> None:
        import xarray

        f = values_of("f4", (5, 13, 18))
        if kind == "missing":
            f[1, 3:5, 7] = np.nan
        times = np.datetime64("2020-01-01T00:00", "ns") + np.arange(5) * np.timedelta64(6, "h")
        units = {"units": "K", "long_name": "temperature"}
        data = xarray.Dataset(
            {
                "T": (("time", "lat", "lon"), f, units),
                "u": (("time", "lat", "lon"), values_of("f4", (5, 13, 18), 1), {"units": "m s-1"}),
                "v": (("time", "lat", "lon"), values_of("f4", (5, 13, 18), 2), {"units": "m s-1"}),
            },
            {
                "time": times,
                "lat": ("lat", np.linspace(-60, 60, 13), {"units": "degrees_north"}),
                "lon": ("lon", np.arange(0, 360, 20.0), {"units": "degrees_east"}),
                "depth": ("lat", np.arange(13.0) ** 1.5, {"units": "m"}),
                "name": ("lon", [f"s{i}" for i in range(18)]),
            },
            {"title": "a model"},
        )
        if kind == "one":
            data = data[["T"]]
        if path.suffix == ".nc":
            packed = {"T": {"dtype": "i2", "scale_factor": 0.01, "_FillValue": -9999}}
            data.to_netcdf(path, engine="h5netcdf", encoding=packed if kind == "packed" else None)
        else:
            data.chunk({"time": 2, "lat": 6, "lon": 18}).to_zarr(path)

    return write


def _missing(shape: tuple[int, ...]) -> Any:
    def write(path: Path) -> None:
        f = values_of("f4", shape)
        f[seeded("missing", shape).uniform(size=shape) < 0.01] = np.nan
        np.save(path, f)

    return write


def _groups(path: Path) -> None:
    import xarray

    for group in ("run1", "run2"):
        data = xarray.Dataset({"T": (("y", "x"), values_of("f4", (6, 7)))}, {"x": np.arange(7.0)})
        data.to_netcdf(path, mode="a" if path.exists() else "w", group=group, engine="h5netcdf")


def _text(content: str) -> Any:
    return lambda path: path.write_text(content)


def _of_plain_files() -> Iterator[Call]:
    shape = (9, 8, 7)
    for dtype in ("<f8", ">f4", "<i2", "<c8", "<f2", "|u1"):
        for layout in ("C", "F"):
            yield _call(f"npy/{dtype} {layout}", {"f.npy": _npy(dtype, shape, layout)},
                        "grad f.npy g.npy --spacing 0.5 2 3")  # fmt: skip
    files = {"f.npy": _npy("f8", shape), "x.npy": _coordinate(9), "y.npy": _coordinate(8),
             "u.npy": _npy("f8", (3, *shape)), "two.npy": _npy("f8", (2, 9, 8))}  # fmt: skip
    for words in (
        "", "--axis 0", "--axis 0 2", "--axis -1 --spacing 0.5", "--accuracy 4", "--edge-order 2",
        "--boundary periodic", "--boundary one-sided periodic reflect",
        "--boundary 0.5:reflect",
        "--boundary normal=0.5:edge", "--stagger left", "--stagger none right left",
        "--operator laplacian", "--operator gradient_norm",
        "--backend slices", "--backend compiled",
        "--operator derivative --order 2 --axis 1", "--operator derivative --axis 1 --accuracy 6",
        "--operator derivative", "--skipna", "--memory 300MB", "--memory 1MB", "--memory lots",
        "--axis 0 --coords x.npy", "--axis 1 0 --coords y.npy x.npy", "--coords x.npy",
        "--edge-accuracy 1 --accuracy 4", "--axis 3", "--axis x", "--spacing 0", "--spacing 1 2",
        "--accuracy 3", "--order 2", "--operator slope", "--boundary unknown", "--stagger up",
        "--period 3", "--axis 0 --boundary periodic --period 20 --coords x.npy", "--time-unit h",
        "--quiet", "--var f", "--resume", "--overwrite", "--backend fortran", "--spacing nan",
    ):  # fmt: skip
        yield _call(f"options/{words}", files, f"grad f.npy g.npy {words}")
    larger = {"f.npy": _npy("f4", (60, 90, 101)), "F.npy": _npy("f4", (60, 90, 101), "F"),
              "m.npy": _missing((60, 90, 101)), "v.npy": _npy("f4", (3, 30, 40, 41))}  # fmt: skip
    for words in (
        "f.npy g.npy --memory 184MB", "F.npy g.npy --memory 184MB --accuracy 4",
        "f.npy g.npy --memory 184MB --boundary periodic --axis 0 1", "m.npy g.npy --memory 184MB",
        "m.npy g.npy --memory 184MB --skipna --accuracy 4",
        "v.npy g.npy --memory 184MB --operator curl",
        "f.npy g.npy --memory 184MB --operator laplacian --backend compiled",
        "f.npy g.npy --memory 180MB",
        "F.npy g.npy --memory 184MB --stagger left --axis 2 0",
    ):  # fmt: skip
        needed = {words.split()[0]: larger[words.split()[0]]}
        yield _call(f"blocks/{words}", needed, f"grad {words}")
    for words in ("--edge-order 2 --edge-accuracy 1", "--spacing 1 --coords x.npy", "--axis 0 0",
                  "--axis 0 --coords y.npy", "--axis 0 --coords nothing.npy", "--axis 0 --coords z",
                  "--operator laplacian --stagger left", "--boundary periodic:reflect",
                  "--boundary a:b:c", "--boundary normal=x", "--memory 2XB", "--memory -1",
                  "--operator derivative --axis 0 1", "--period x", "--boundary nan"):  # fmt: skip
        yield _call(f"options/{words}", files, f"grad f.npy g.npy {words}")
    for words in ("--operator divergence", "--operator curl", "--operator jacobian",
                  "--operator divergence --stagger right",
                  "--operator curl --axis 2 1 0"):  # fmt: skip
        yield _call(f"vectors/{words}", files, f"grad u.npy g.npy {words}")
    yield _call("vectors/curl in a plane", files, "grad two.npy g.npy --operator curl")
    yield _call("vectors/of a scalar", files, "grad f.npy g.npy --operator curl")
    for label, runs in {
        "twice": ("grad f.npy g.npy", "grad f.npy g.npy"),
        "twice over": ("grad f.npy g.npy", "grad f.npy g.npy --axis 0 --overwrite"),
        "onto itself": ("grad f.npy f.npy",),
        "missing": ("grad nothing.npy g.npy",),
        "no folder": ("grad f.npy no/g.npy",),
        "unknown format": ("grad f.npy g.dat",),
        "unknown input": ("grad f.dat g.npy",),
        "to tif": ("grad f.npy g.tif",),
        "no arguments": ("grad",),
        "one argument": ("grad f.npy",),
        "unknown option": ("grad f.npy g.npy --fast",),
        "unknown command": ("gradient f.npy g.npy",),
        "no command": ("",),
        "version": ("--version",),
        "help": ("--help",),
        "help of plot": ("plot --help",),
        "help of bench": ("bench --help",),
        "help of demo": ("demo --help",),
        "a folder": ("grad . g.npy",),
        "into a folder": ("grad f.npy .",),
        "beside": ("grad f.npy g.npy --backend cuda",),
    }.items():
        yield _call(f"runs/{label}", files, *runs)
    broken = {"f.npy": _text("no numbers"), "e.npy": _text(""), "t.npy": _npy("f8", (1,)),
              "b.npy": _npy("?", (4, 4)), "d.npy": _npy("M8[s]", (9,)), "z.npy": _npy("f8", (0, 3)),
              "o.npy": lambda path: np.save(path, np.array(1.0))}  # fmt: skip
    for name in broken:
        yield _call(f"broken/{name}", broken, f"grad {name} g.npy")


def _of_plots() -> Iterator[Call]:
    if not find_spec("matplotlib"):
        return
    files = {"f.npy": _npy("f8", (6, 20, 21)), "in.nc": _dataset()}
    for words in ("f.npy --output p.png", "f.npy --at axis0=9", "in.nc --var T --at time=3",
        "in.nc",
                  "nothing.npy", "f.npy --output p.txt"):  # fmt: skip
        yield _call(f"plot/{words}", files, f"plot {words}")


def _of_datasets() -> Iterator[Call]:
    formats = [
        suffix for suffix, module in ((".nc", "h5netcdf"), (".zarr", "zarr")) if find_spec(module)
    ]
    for suffix in formats:
        files = {f"in{suffix}": _dataset(), f"one{suffix}": _dataset("one"),
                 f"missing{suffix}": _dataset("missing"),
                 f"packed{suffix}": _dataset("packed")}  # fmt: skip
        for words in (
            "in --var T", "in --var T --axis lat lon",
            "in --var T --axis lon --boundary periodic --period 360",
            "in --var T --axis time --time-unit h",
            "in --var u v --operator divergence --axis lon lat",
            "in --var u v --operator curl --axis lon lat",
            "in --var T --operator laplacian --axis lat lon",
            "in --var T --stagger left --axis lat lon",
            "in --var T --operator gradient_norm --axis lat lon",
            "in --var T --axis lat --coords depth", "in --var T --axis lon --coords name",
            "in --var T --spacing 1 2 3", "in", "in --var W", "in --var T --axis depth", "one",
            "missing --var T --axis lat lon", "missing --var T --axis lat lon --skipna",
            "packed --var T --axis lon", "in --var u v --operator jacobian --axis lon lat",
            "in --var T --operator derivative --order 2 --axis lat --accuracy 4",
        ):  # fmt: skip
            name, _, rest = words.partition(" ")
            needed = {f"{name}{suffix}": files[f"{name}{suffix}"]}
            for out in (suffix, ".npy") if words in ("in --var T", "one") else (suffix,):
                yield _call(f"{suffix[1:]} to {out[1:]}/{words}", needed,
                            f"grad {name}{suffix} out{out} {rest}")  # fmt: skip
    if len(formats) == 2:
        yield _call(
            "nc to zarr/T", {"in.nc": _dataset()}, "grad in.nc out.zarr --var T --axis lat lon"
        )
        yield _call(
            "zarr to nc/T", {"in.zarr": _dataset()}, "grad in.zarr out.nc --var T --axis lat lon"
        )
        for words in (
            "",
            "--var T",
            "--var run1/T",
            "--var run2/T --axis x",
            "--var run1/T run2/T",
        ):
            yield _call(f"groups/{words}", {"in.nc": _groups}, f"grad in.nc out.nc {words}")
        yield _call("broken/nc", {"in.nc": _text("no numbers")}, "grad in.nc out.nc")
        yield _call("broken/zarr", {"in.zarr": _text("no numbers")}, "grad in.zarr out.nc")
        yield _call("broken/missing zarr", {}, "grad in.zarr out.nc")
        yield _call("runs/zarr over", {"in.zarr": _dataset()}, "grad in.zarr out.zarr --var T",
                    "grad in.zarr out.zarr --var u --overwrite")  # fmt: skip
        yield _call("npy to nc", {"f.npy": _npy("f8", (5, 6))}, "grad f.npy out.nc --spacing 0.5")
        yield _call(
            "npy to zarr", {"f.npy": _npy("f8", (5, 6))}, "grad f.npy out.zarr --stagger left"
        )
        yield _call(
            "runs/there and back", {"in.nc": _dataset()},
            "grad in.nc flux.nc --var T --axis lat lon --stagger left",
            "grad flux.nc back.nc --var dT_dlat dT_dlon --operator divergence --axis lat lon "
            "--stagger right",
        )  # fmt: skip
        yield _call("runs/netCDF again", {"in.nc": _dataset()}, "grad in.nc out.nc --var T",
                    "grad in.nc out.nc --var T",
                    "grad in.nc out.nc --var T --overwrite")  # fmt: skip


def _call(label: str, files: Files, *runs: str) -> Call:
    return Call(f"command/{label}", run_command, (files, *runs))


def calls() -> Iterator[Call]:
    """Return the calls of this table."""
    yield from _of_plain_files()
    yield from _of_datasets()
    yield from _of_plots()
