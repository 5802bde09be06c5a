"""The command: what it prints, draws and returns, and the terrain it computes."""

import os
import subprocess
import sys

import numpy as np
import pytest

import gpugrad
from internals import cli_main, plot_command, plot_panels

pytest.importorskip("matplotlib", reason="the demo draws with matplotlib")

from internals import cli_demo


def run_command(*arguments, code=None, cwd=None, **environment):
    """Run ``python -m gpugrad`` (or some code) in a fresh process."""
    program = ["-m", "gpugrad"] if code is None else ["-c", code]
    return subprocess.run(
        [sys.executable, *program, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=cwd,
        env={k: v for k, v in os.environ.items() if k != "GPUGRAD_BACKEND"} | environment,
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Run the demo once, in an empty folder."""
    folder = tmp_path_factory.mktemp("demo")
    return run_command("demo", cwd=folder), folder / "gpugrad-demo.png"


@pytest.fixture(scope="module")
def elevation():
    return cli_demo.load_elevation()


@pytest.fixture
def small_tiles(monkeypatch):
    """Keep the timed field small where the time is of no interest."""
    monkeypatch.setattr(cli_demo, "TILES", (1, 1))


@pytest.fixture
def no_picture(monkeypatch, small_tiles):
    """Draw nothing where only what is printed or asked for counts."""
    monkeypatch.setattr(cli_demo, "draw", lambda *_: None)


# The command line


def test_version_is_printed():
    done = run_command("--version")
    assert (done.returncode, done.stdout) == (0, f"gpugrad {gpugrad.__version__}\n")


def test_no_command_prints_the_help(capsys):
    assert cli_main.main([]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("usage: gpugrad")
    assert "demo" in printed
    assert "info" in printed


def test_unknown_command_is_refused_in_one_line_with_those_there_are(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli_main.main(["gradient"])
    assert stopped.value.code == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "'gradient' (choose from 'demo', 'grad'" in printed


def test_info_prints_the_table_of_this_machine():
    done = run_command("info")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{gpugrad.info(probe=True)}\n"


@pytest.mark.exhaustive(command="plot f.npy")
@pytest.mark.exhaustive(command="bench")
@pytest.mark.exhaustive(command="demo")
@pytest.mark.parametrize("command", ["info", "demo", "bench", "plot f.npy", "grad f.npy g.npy"])
def test_a_mistake_in_the_environment_variable_is_one_line(command, tmp_path):
    done = run_command(*command.split(), cwd=tmp_path, GPUGRAD_BACKEND="fortran")
    assert done.returncode == 1
    assert done.stderr.startswith("gpugrad: error: `GPUGRAD_BACKEND` must be one of")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["demo", "bench"])
def test_an_error_of_ours_is_not_taken_for_a_mistake_of_users(command, monkeypatch):
    def fail(*arguments):
        raise ValueError("ours")

    monkeypatch.setattr(f"gpugrad._cli.{command}.run", fail)
    with pytest.raises(ValueError, match="ours"):
        cli_main.main([command])


def test_import_loads_neither_the_command_nor_matplotlib():
    code = (
        "import sys, gpugrad; modules = ('gpugrad._cli.main', 'gpugrad._cli.demo', 'matplotlib');"
        " print([m for m in modules if m in sys.modules])"
    )
    assert run_command(code=code).stdout == "[]\n"


def test_info_does_not_import_matplotlib():
    code = (
        "import sys; from gpugrad._cli.main import main; main(['info']);"
        "print('matplotlib' in sys.modules)"
    )
    assert run_command(code=code).stdout.splitlines()[-1] == "False"


def test_demo_without_matplotlib_names_the_cure(tmp_path):
    code = (
        "import sys; sys.modules['matplotlib'] = None;"
        "from gpugrad._cli.main import main; sys.exit(main(['demo']))"
    )
    done = run_command(code=code, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("gpugrad: error: ")
    assert 'pip install "gpugrad[demo]"' in done.stderr
    assert "Traceback" not in done.stderr


# The demonstration


def test_demo_succeeds_silently_on_the_error_stream(demo):
    done, _ = demo
    assert (done.returncode, done.stderr) == (0, "")


def test_demo_says_what_it_loaded(demo):
    printed = demo[0].stdout
    assert "jacksboro_fault_dem.npz" in printed
    assert "344 x 403, int16, metres" in printed
    assert "31.7 km north-south, 30.0 km east-west" in printed
    assert "north-south step  92.47" in printed


def test_demo_compares_every_axis_with_numpy(demo):
    rows = [line for line in demo[0].stdout.splitlines() if " ms" in line]
    assert len(rows) == 2
    assert all("yes, yes" in row for row in rows)
    assert "4128 x 4030 float32" in rows[1]
    assert "NO" not in demo[0].stdout
    times = [float(word) for row in rows for word in row.split("yes, yes")[1].split()[::2]]
    assert all(t > 0 for t in times)


def test_demo_says_last_where_the_picture_is(demo):
    assert demo[0].stdout.splitlines()[-1] == "wrote gpugrad-demo.png"


def test_demo_draws_three_panels_that_are_not_blank(demo):
    from matplotlib.image import imread

    picture = imread(demo[1])[..., :3]
    height, width = picture.shape[:2]
    assert width == 1800
    assert 700 < height < 1000
    for panel in np.array_split(picture[height // 4 : height // 2], 3, axis=1):
        assert panel.std(axis=(0, 1)).min() > 0.05
    assert demo[1].stat().st_size > 200_000


def test_demo_names_the_backend_that_was_chosen(tmp_path, capsys, no_picture):
    with gpugrad.use_backend("slices"):
        assert cli_main.main(["demo", "--output", str(tmp_path / "a.png")]) == 0
    assert "engine: slices, as chosen by name" in capsys.readouterr().out


def test_demo_names_the_engine_that_auto_picks(tmp_path, capsys, no_picture, monkeypatch):
    monkeypatch.setattr(cli_demo.gpugrad, "namespace", lambda _: np)
    assert cli_main.main(["demo", "--output", str(tmp_path / "a.png")]) == 0
    assert "engine: numpy, in blocks" in capsys.readouterr().out


@pytest.mark.parametrize(("backend", "expected"), [("numpy", "numpy"), ("auto", "auto")])
def test_demo_keeps_host_arrays_for_the_numpy_backend(
    backend, expected, tmp_path, no_picture, monkeypatch
):
    asked = []
    monkeypatch.setattr(cli_demo.gpugrad, "namespace", lambda name: asked.append(name) or np)
    with gpugrad.use_backend(backend):
        assert cli_main.main(["demo", "--output", str(tmp_path / "a.png")]) == 0
    assert asked == [expected]


def test_demo_writes_the_format_of_the_suffix(tmp_path, small_tiles):
    path = tmp_path / "a.pdf"
    assert cli_main.main(["demo", "--output", str(path)]) == 0
    assert path.read_bytes().startswith(b"%PDF")


def test_demo_fails_if_a_single_bit_differs(tmp_path, capsys, no_picture, monkeypatch):
    exact = gpugrad.gradient

    def wrong_in_one_bit(f, *args, **kwargs):
        results = exact(f, *args, **kwargs)
        if f.dtype == np.int16:
            flat = gpugrad.asnumpy(results[1])
            flat[5, 7] = np.nextafter(flat[5, 7], np.inf, dtype=flat.dtype)
        return results

    monkeypatch.setattr(cli_demo.gpugrad, "gradient", wrong_in_one_bit)
    monkeypatch.setattr(cli_demo.gpugrad, "namespace", lambda _: np)
    assert cli_main.main(["demo", "--output", str(tmp_path / "a.png")]) == 1
    printed = capsys.readouterr()
    rows = [line for line in printed.out.splitlines() if " ms" in line]
    assert "yes, NO" in rows[0]
    assert "yes, yes" in rows[1]
    assert "differs from that of numpy.gradient" in printed.err


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("nowhere/a.png", "there is no"),
        ("picture", "must end in one of"),
        ("picture.xyz", "must end in one of"),
        ("folder.png", "is a folder"),
    ],
)
def test_demo_refuses_an_output_it_cannot_write(
    output, reason, tmp_path, capsys, small_tiles, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    assert cli_main.main(["demo", "--output", output]) == 1
    error = capsys.readouterr().err
    assert error.startswith("gpugrad: error: ")
    assert reason in error
    assert os.listdir(tmp_path) == ["folder.png"]


def test_demo_says_when_the_sample_data_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cli_demo, "ELEVATION_FILE", "no_such_file.npz")
    assert cli_main.main(["demo", "--output", str(tmp_path / "a.png")]) == 1
    assert "no_such_file.npz cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    "other",
    [
        np.array([1.0, 2.0], np.float32),
        np.array([[1.0, 2.0]]),
        np.array([1.0, np.nextafter(2.0, 3.0)]),
        np.array([1.0, 2.0], ">f8"),
    ],
    ids=["dtype", "shape", "one bit", "byte order"],
)
def test_same_bits_sees_every_difference(other):
    assert cli_demo.same_bits(np.array([1.0, 2.0]), np.array([1.0, 2.0]))
    assert not cli_demo.same_bits(np.array([1.0, 2.0]), other)


def test_same_bits_tells_negative_zero_from_zero():
    assert not cli_demo.same_bits(np.array([0.0]), np.array([-0.0]))


# The terrain


@pytest.mark.parametrize(
    ("latitude", "north", "east"),
    # Degrees of arc on WGS84, from published tables.
    [(0, 110574.3, 111319.5), (45, 111131.8, 78846.8), (90, 111694.0, 0.0)],
)
def test_degree_has_its_known_length(latitude, north, east):
    assert cli_demo.metres_per_degree(latitude) == pytest.approx((north, east), abs=0.06)


def test_degrees_from_equator_to_pole_add_up_to_the_quarter_meridian():
    middles = np.arange(0.0, 90.0, 0.1) + 0.05
    quarter = 0.1 * cli_demo.metres_per_degree(middles)[0].sum()
    assert quarter == pytest.approx(10_001_965.73, abs=0.1)


def test_elevation_model_lies_where_it_should(elevation):
    assert elevation.heights.shape == (344, 403)
    assert (elevation.latitude.size, elevation.longitude.size) == (344, 403)
    assert (elevation.heights.min(), elevation.heights.max()) == (236, 1076)
    # Samples lie on multiples of three seconds of arc, north first, west first.
    for degrees, sign in ((elevation.latitude, -1), (elevation.longitude, 1)):
        ticks = degrees * 1200
        np.testing.assert_allclose(ticks, np.round(ticks), atol=1e-6)
        np.testing.assert_array_equal(np.diff(np.round(ticks)), sign)
    assert np.all(np.round(elevation.latitude[[0, -1]], 1) == [36.7, 36.4])


def test_steps_are_those_of_the_ellipsoid(elevation):
    assert elevation.northing[-1] == 0
    np.testing.assert_allclose(-np.diff(elevation.northing), 92.475, atol=0.003)
    assert np.all(np.diff(elevation.east_steps) > 0), "rows farther south are longer"
    # On a sphere a parallel shrinks by the cosine; the ellipsoid changes that by 0.1 percent.
    sphere = np.cos(np.radians(elevation.latitude))
    ratio = elevation.east_steps / elevation.east_steps[0] / (sphere / sphere[0])
    np.testing.assert_allclose(ratio, 1, atol=1e-4)


def make_plane(slope, aspect):
    """Return heights that descend towards `aspect`, the northing of rows, the east steps."""
    northing, east_step = np.array([900.0, 800.0, 650.0, 400.0, 390.0, 100.0]), 75.0
    descent, towards = np.tan(np.radians(slope)), np.radians(aspect)
    along = np.sin(towards) * east_step * np.arange(7) + np.cos(towards) * northing[:, None]
    return -descent * along, northing, np.full(northing.size, east_step)


@pytest.mark.parametrize("aspect", [0, 45, 90, 135, 180, 225, 270, 315, 359.5])
@pytest.mark.parametrize("slope", [0.5, 30, 80])
def test_plane_has_its_slope_and_aspect(slope, aspect):
    found_slope, found_aspect = cli_demo.slope_and_aspect(*make_plane(slope, aspect))
    np.testing.assert_allclose(found_slope, slope, atol=1e-9)
    turn = (found_aspect - aspect + 180) % 360 - 180
    np.testing.assert_allclose(turn, 0, atol=1e-9)


def test_rows_of_other_steps_keep_the_slope_to_the_east():
    northing = np.array([200.0, 100.0, 0.0])
    east_steps = np.array([50.0, 60.0, 70.0])
    # Each row rises by its own step per column: 45 degrees to the east everywhere.
    heights = east_steps[:, None] * np.arange(-2.0, 3.0)
    slope, aspect = cli_demo.slope_and_aspect(heights, northing, east_steps)
    np.testing.assert_allclose(slope[:, 2], 45, atol=1e-12)
    np.testing.assert_allclose(aspect[:, 2], 270, atol=1e-12)


def test_order_of_the_rows_does_not_matter():
    rng = np.random.default_rng(5)
    heights, northing = (
        rng.normal(size=(6, 7)),
        np.array([900.0, 800.0, 650.0, 400.0, 390.0, 100.0]),
    )
    east_steps = np.linspace(7.0, 8.0, 6)
    down = cli_demo.slope_and_aspect(heights, northing, east_steps)
    up = cli_demo.slope_and_aspect(heights[::-1], northing[::-1], east_steps[::-1])
    for a, b in zip(down, up, strict=True):
        np.testing.assert_allclose(a, b[::-1], rtol=1e-12)


def test_flat_terrain_has_no_aspect():
    slope, aspect = cli_demo.slope_and_aspect(
        np.zeros((4, 5), np.int16), np.arange(4.0), np.ones(4)
    )
    assert np.all(slope == 0)
    assert np.all(np.isnan(aspect))
    np.testing.assert_allclose(cli_demo.hillshade(slope, aspect), np.sin(np.pi / 4))


def test_aspect_is_less_than_360_and_never_negative(elevation):
    slope, aspect = cli_demo.slope_and_aspect(
        elevation.heights, elevation.northing, elevation.east_steps
    )
    assert np.array_equal(np.isnan(aspect), slope == 0)
    found = aspect[slope > 0]
    assert found.min() >= 0
    assert found.max() < 360
    assert np.histogram(found, bins=8, range=(0, 360))[0].min() > 10_000


def test_aspect_just_west_of_north_does_not_round_to_360():
    # The remainder of -1e-20 by 360 is 360 in double precision.
    heights = np.array([[0.0, 1e-20, 2e-20]] * 3) - 100 * np.array([[2.0], [1.0], [0.0]])
    _, aspect = cli_demo.slope_and_aspect(heights, np.array([200.0, 100.0, 0.0]), np.ones(3))
    assert np.all((aspect >= 0) & (aspect < 360))


def test_slope_agrees_with_an_independent_formula(elevation):
    z = elevation.heights.astype(float)
    slope, _ = cli_demo.slope_and_aspect(
        elevation.heights, elevation.northing, elevation.east_steps
    )
    to_north = (z[:-2] - z[2:])[:, 1:-1] / (2 * 92.475)
    to_east = (z[:, 2:] - z[:, :-2])[1:-1] / (2 * elevation.east_steps[1:-1, None])
    expected = np.degrees(np.arctan(np.hypot(to_north, to_east)))
    np.testing.assert_allclose(slope[1:-1, 1:-1], expected, atol=2e-3)
    assert slope.mean() == pytest.approx(13.3, abs=0.05)


@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
def test_slope_and_aspect_are_the_same_on_other_libraries(library):
    xp = pytest.importorskip(library)
    rng = np.random.default_rng(3)
    heights = rng.integers(200, 900, (20, 30)).astype(np.int16)
    northing, east_steps = np.arange(20.0)[::-1] * 90, np.linspace(70, 75, 20)
    expected = cli_demo.slope_and_aspect(heights, northing, east_steps)
    found = cli_demo.slope_and_aspect(xp.asarray(heights), northing, east_steps)
    for a, b in zip(expected, found, strict=True):
        assert type(b).__module__.partition(".")[0] == library
        np.testing.assert_allclose(gpugrad.asnumpy(b), a, rtol=1e-12)
    light = cli_demo.hillshade(*found)
    np.testing.assert_allclose(gpugrad.asnumpy(light), cli_demo.hillshade(*expected), atol=1e-12)


def test_slope_that_faces_the_light_is_brightest():
    slope = np.full(8, 45.0)
    light = cli_demo.hillshade(slope, np.arange(0.0, 360.0, 45.0))
    assert light.argmax() == 7, "the light comes from the north-west"
    assert light[7] == pytest.approx(1)
    assert light[3] == pytest.approx(0, abs=1e-12)
    assert cli_demo.hillshade(np.array([80.0]), np.array([135.0]))[0] == 0


@pytest.mark.exhaustive
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_had_enough_is_no_error_to_print(unbuffered):
    code = "import sys; from gpugrad._cli.main import main; sys.exit(main(['info']))"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    process.wait(60)


# Pictures of files, and the benchmark


@pytest.mark.parametrize(
    "shape",
    [(40,), pytest.param((30, 50), marks=pytest.mark.exhaustive), (3, 4, 30, 50), (1, 2, 2)],
)
def test_plot_draws_a_slice_of_any_field(tmp_path, monkeypatch, capsys, shape):
    monkeypatch.chdir(tmp_path)
    np.save("f.npy", np.random.default_rng(0).normal(size=shape).cumsum(axis=-1))
    assert cli_main.main(["plot", "f.npy"]) == 0
    assert "gpugrad-plot.png: f.npy" in capsys.readouterr().out
    assert (tmp_path / "gpugrad-plot.png").stat().st_size > 10_000


def test_plot_cuts_where_it_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plot_panels, "_draw_streams", lambda *_: None)  # they take long
    np.save("f.npy", np.random.default_rng(0).normal(size=(3, 20, 30)))
    assert cli_main.main(["plot", "f.npy", "--at", "axis0=-1", "--output", "g.png"]) == 0
    assert "(axis0 2)" in capsys.readouterr().out


def test_plot_takes_panels_accuracy_and_prominence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    drawn = []
    monkeypatch.setattr(plot_command, "save_picture", lambda figure, _: drawn.append(figure))
    f = np.random.default_rng(0).normal(size=(12, 20))
    np.save("f.npy", f)
    np.save("g.npy", f[0])
    assert cli_main.main(["plot", "f.npy", "--panels", "axis0", "1", "--accuracy", "4"]) == 0
    assert cli_main.main(["plot", "g.npy", "--panels", "curve", "--prominence", "2"]) == 0
    (first, second), (curve,) = (figure.axes for figure in drawn)
    for panel, expected in zip((first, second), gpugrad.gradient(f, accuracy=4), strict=True):
        (mesh,) = panel.collections
        np.testing.assert_array_equal(np.reshape(mesh.get_array(), f.shape), expected)
    marked = sum(len(line.get_xdata()) for line in curve.lines if line.get_marker() in "^v")
    assert marked == len(gpugrad.turning_points(f[0], prominence=2.0))


def test_plots_of_maps_point_north_whatever_the_order_of_axes(draw, tmp_path):
    from matplotlib.collections import QuadMesh

    latitude, longitude = np.linspace(-60, 60, 25), np.arange(0, 90, 3.0)
    f = np.cos(np.radians(latitude)) * np.sin(np.radians(longitude))[:, None]
    coords = {
        "lat": ("lat", latitude, {"units": "degrees_north"}),
        "lon": ("lon", longitude, {"units": "degrees_east"}),
    }
    field, steepness = draw(f, ("lon", "lat"), coords, "K", tmp_path)
    assert (steepness.get_xlabel(), field.get_ylabel()) == ("lon", "lat")
    (mesh,) = (shown for shown in steepness.collections if isinstance(shown, QuadMesh))
    expected = gpugrad.Sphere(latitude, longitude).gradient_norm(f.T)
    np.testing.assert_allclose(np.reshape(mesh.get_array(), f.T.shape), expected, rtol=1e-12)


def test_plot_says_what_is_wrong_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("f.npy", np.zeros((3, 20, 30)))
    np.save("c.npy", np.zeros((20, 30), dtype=complex))
    np.save("thin.npy", np.zeros((20, 1)))
    for arguments, reason in (
        (["none.npy"], "does not exist"),
        (["c.npy"], "real numbers"),
        (["thin.npy"], "at least 2 samples along axis1"),
        (["f.npy", "--at", "x=1"], "with an axis of: axis0"),
        (["f.npy", "--at", "axis0=3"], "within the 3 samples"),
        (["f.npy", "--output", "picture.nothing"], "must end in one of"),
        (["f.npy", "--panels", "slope"], "must be some of"),
        (["f.npy", "--prominence", "1"], "goes with curves"),
    ):
        assert cli_main.main(["plot", *arguments]) == 1
        printed = capsys.readouterr().err
        assert reason in printed
        assert printed.count("\n") == 1


@pytest.fixture
def draw(monkeypatch):
    """Return a function that draws a dataset and returns the axes of the picture."""
    xarray = pytest.importorskip("xarray", reason="xarray reads NetCDF")
    pytest.importorskip("h5netcdf")
    from contextlib import ExitStack
    from pathlib import Path

    from matplotlib import figure

    from internals import draw_field, open_sources

    def draw(values, dims, coords, units, folder):
        data = xarray.Dataset({"T": (dims, values, {"units": units})}, coords)
        path = Path(folder) / "f.nc"
        data.to_netcdf(path, engine="h5netcdf")
        with ExitStack() as files:
            (source,) = open_sources(path, (), 1e9, files)
            field = plot_command._describe_field(source, values, {})
            drawn = draw_field(field, make_figure=figure.Figure)
        drawn.canvas.draw()
        return drawn.axes

    return draw


def test_plots_of_maps_are_true_to_scale_and_grey_where_missing(draw, tmp_path):
    latitude, longitude = np.linspace(40, 80, 21), np.linspace(0, 60, 31)
    f = np.add.outer(latitude, longitude)
    f[5:9, 5:9] = np.nan
    coords = {
        "lat": ("lat", latitude, {"units": "degrees_north"}),
        "lon": ("lon", longitude, {"units": "degrees_east"}),
    }
    field, steepness = draw(f, ("lat", "lon"), coords, "K", tmp_path)
    assert field.get_aspect() == pytest.approx(1 / np.cos(np.radians(60)))
    assert field.get_facecolor()[:3] == (0.75, 0.75, 0.75)
    assert field.get_xlabel() == "lon"
    assert "20°E" in {label.get_text() for label in field.get_xticklabels()}
    assert "50°N" in {label.get_text() for label in field.get_yticklabels()}
    assert field.get_xlim() == pytest.approx((-1, 61)), "arrows do not widen it"
    labels = [axes.child_axes[0].get_ylabel() for axes in (field, steepness)]
    assert labels == ["T (K)", "magnitude of the gradient\n(K m-1)"]
    assert steepness.get_ylim() == field.get_ylim()


@pytest.mark.parametrize(
    ("shape", "tall"), [((30, 47), 0.6), ((40, 400), 0.9), ((400, 40), 0.9), ((90, 180), 0.5),
                        ((6, 3000), 0.9), ((200, 100), 2.0), ((2, 2), 1.0)],
)  # fmt: skip
def test_arrows_are_as_far_apart_upwards_as_across(shape, tall):
    rows, columns = plot_panels.thin_arrows(shape, tall, plot_panels.ARROWS)
    count = [len(range(n)[every]) for n, every in zip(shape, (rows, columns), strict=True)]
    most = [plot_panels.ARROWS * min(tall, 1), plot_panels.ARROWS / max(tall, 1)]
    for n, arrows, limit in zip(shape, count, most, strict=True):
        assert min(n, limit / 2) <= arrows <= max(1, limit + 0.5)


def test_slopes_of_maps_are_those_of_a_sphere(draw, tmp_path):
    from matplotlib.collections import QuadMesh

    latitude, longitude = np.linspace(-60, 60, 25), np.linspace(0, 360, 31)
    f = np.cos(np.radians(latitude))[:, None] * np.sin(np.radians(longitude))
    coords = {
        "lat": ("lat", latitude, {"units": "degrees_north"}),
        "lon": ("lon", longitude, {"units": "degrees_east"}),
    }
    _, steepness = draw(f, ("lat", "lon"), coords, "K", tmp_path)
    (mesh,) = (shown for shown in steepness.collections if isinstance(shown, QuadMesh))
    sphere = gpugrad.Sphere(latitude, longitude[:-1])
    expected = sphere.gradient_norm(f[:, :-1])
    expected = np.concatenate([expected, expected[:, :1]], axis=1)  # 360 is 0 once more
    np.testing.assert_allclose(np.reshape(mesh.get_array(), f.shape), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("time", "where"),
    [
        (np.datetime64("2020-01-01", "ns") + np.arange(3) * np.timedelta64(1, "D"), "2020-01-02"),
        (np.datetime64("2020-01-01T06", "ns") + np.arange(3) * np.timedelta64(1, "h"),
         "2020-01-01 07:00:00"),
        (("time", [0.5, 2.5, 4.0], {"units": "m"}), "2.5 m"),
    ],
)  # fmt: skip
def test_titles_say_where_a_field_is_cut(tmp_path, monkeypatch, capsys, time, where):
    xarray = pytest.importorskip("xarray", reason="xarray reads NetCDF")
    pytest.importorskip("h5netcdf")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plot_panels, "_draw_streams", lambda *_: None)  # they take long
    f = np.random.default_rng(0).normal(size=(3, 8, 9))
    xarray.Dataset({"T": (("time", "y", "x"), f)}, {"time": time}).to_netcdf(
        "f.nc", engine="h5netcdf"
    )
    assert cli_main.main(["plot", "f.nc"]) == 0
    assert f"(time {where})" in capsys.readouterr().out


def test_plots_show_dates_as_dates_and_rates_per_day(draw, tmp_path):
    time = np.datetime64("2020-01-01") + np.arange(40) * np.timedelta64(12, "h")
    _, slope = draw(np.arange(40.0), ("time",), {"time": time}, "K", tmp_path)
    assert slope.get_ylabel() in ("dT/dtime (K d-1)", "dT/dtime (K day-1)")
    assert "Jan" in {label.get_text() for label in slope.get_xticklabels()} | {
        slope.xaxis.get_offset_text().get_text()[-3:]
    }
    (line,) = slope.lines[:1]
    np.testing.assert_allclose(line.get_ydata(), 2.0)


def test_bench_times_engines_in_turn_and_draws(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli_main.main(["bench", "--quick"]) == 0
    printed = capsys.readouterr().out
    assert "64 x 64 x 64 float32: numpy.gradient" in printed
    assert "gpugrad, numpy" in printed
    assert (tmp_path / "gpugrad-bench.png").stat().st_size > 10_000


def test_bench_looks_for_its_place_before_it_measures(capsys, tmp_path):
    pytest.importorskip("matplotlib")
    assert cli_main.main(["bench", "--quick", "--output", str(tmp_path / "no" / "a.png")]) == 1
    printed = capsys.readouterr()
    assert "must be in a folder that exists" in printed.err
    assert not printed.out
