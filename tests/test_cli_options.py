"""What `gpugrad grad` says of wrong options: one line, in its own words, with what is allowed."""

import numpy as np
import pytest

from internals import Summary, cli_grad, cli_main, parse_boundary, say


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("f.npy", np.random.default_rng(0).normal(size=(5, 6, 7)))
    np.savez("v.npz", u=np.ones((5, 6, 7)), w=np.ones((5, 6, 7)))
    return tmp_path


def complaint(capsys, *arguments):
    """Run the command, which must fail with one line and write nothing; return the line."""
    try:
        status = cli_main.main(["grad", *arguments])
    except SystemExit as stopped:
        status = stopped.code
    assert status in (1, 2)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert "`" not in printed.err, "backticks are for code"
    assert "error: " in printed.err
    return printed.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--axis", "3"], ["--axis", "axis0, axis1, axis2", "got 3"]),
        (["--axis", "0", "-3"], ["--axis", "each axis once", "0 -3"]),
        (["--spacing", "0"], ["--spacing", "not zero", "'0'"]),
        (["--spacing", "nan"], ["--spacing", "finite", "'nan'"]),
        (["--spacing", "1", "2"], ["--spacing", "3 axes", "got 2"]),
        (["--coords", "x.npy"], ["--coords", "3 axes", "got 1"]),
        (["--coords", "x.npy", "x.npy", "x.npy"], ["x.npy can't be read"]),
        (["--operator", "rot"], ["--operator", "'rot'", "'curl'"]),
        (["--order", "9", "--operator", "derivative"], ["--order", "from 1 to 8", "'9'"]),
        (["--order", "1.5"], ["--order", "'1.5'"]),
        (["--order", "2"], ["--order", "--operator derivative"]),
        (["--accuracy", "3"], ["--accuracy", "even number from 2 to 12", "'3'"]),
        (["--accuracy", "6"], ["axis 0 of f.npy", "--accuracy 6", "--accuracy 4 would fit"]),
        (["--edge-order", "3"], ["--edge-order", "3", "1, 2"]),
        (["--edge-order", "2", "--accuracy", "4"], ["--edge-order", "Pass --edge-accuracy"]),
        (["--edge-order", "2", "--operator", "laplacian"], ["--edge-order", "laplacian"]),
        (["--edge-order", "2", "--edge-accuracy", "2"], ["--edge-order", "--edge-accuracy"]),
        (["--edge-accuracy", "4"], ["--edge-accuracy", "inside, 2", "got 4"]),
        (["--boundary", "round"], ["--boundary", "edge", "normal=NUMBER", "'round'"]),
        (["--boundary", "normal"], ["--boundary", "normal=NUMBER", "'normal'"]),
        (["--boundary", "normal=x"], ["--boundary", "normal=NUMBER", "'normal=x'"]),
        (["--boundary", "inf"], ["--boundary", "finite", "'inf'"]),
        (["--boundary", "1:2:3"], ["--boundary", "LOWER:UPPER", "'1:2:3'"]),
        (["--boundary", "periodic:0"], ["--boundary", "both ends", "'periodic:0'"]),
        (["--boundary", "0", "1"], ["--boundary", "3 axes (axis0, axis1, axis2)", "got 2"]),
        (["--period", "0", "--boundary", "periodic"], ["--period", "positive", "'0'"]),
        (["--period", "9"], ["--period", "9", "Add --boundary periodic"]),
        (["--period", "3", "--boundary", "periodic"], ["--period of axis 0", "4.0; got 3"]),
        (["--stagger", "up"], ["--stagger", "'left', 'right', 'none'", "'up'"]),
        (["--stagger", "left", "left"], ["--stagger", "3 axes", "got 2"]),
        (["--stagger", "left", "--operator", "laplacian"], ["--stagger", "laplacian"]),
        (["--time-unit", "year"], ["--time-unit", "'year'", "'D'"]),
        (["--time-unit", "D"], ["--time-unit", "dates", "'D'"]),
        (["--memory", "much"], ["--memory", "500MB", "'much'"]),
        (["--memory", "9MB"], ["--memory", "must be at least 189 MB", "got 9 MB"]),
        (["--backend", "fortran"], ["--backend", "'fortran'", "compiled"]),
        (["--backend", "cupy"], ["--backend", "'cupy'", "as blocks of files lie in host"]),
        (["--backend", "numba"], ["--backend", "'numba' (it is called \"compiled\" now)"]),
        (["--boundary", "neumann"], ["'neumann'", "here that is normal=0.0", '"reflect"']),
        (["--boundary", "half-symmetric"], ["'half-symmetric'", 'here that is "symmetric"']),
        (["--var", "T"], ["--var"]),
        (["--varr", "T"], ["unrecognized arguments: --varr", "gpugrad grad --help"]),
    ],
    ids=" ".join,
)  # fmt: skip
def test_each_wrong_option_is_named_with_what_is_allowed(folder, capsys, options, words):
    line = complaint(capsys, "f.npy", "g.npy", *options)
    for word in words:
        assert word in line
    assert not [*folder.glob("g.npy*")]


def test_components_are_counted_in_the_words_of_the_command(folder, capsys):
    line = complaint(
        capsys, "v.npz", "g.npy", "--var", "u", "w", "--operator", "curl", "--axis", "0", "1", "2"
    )
    assert "got 2 components (u, w) for 3 axes" in line
    assert "--axis" in line


def test_an_option_that_swallows_the_output_is_explained(folder, capsys):
    line = complaint(capsys, "v.npz", "--var", "u", "g.npy")
    assert "required: OUT. Put them first, before options that take several values" in line


def test_the_input_is_never_replaced(folder, capsys):
    before = (folder / "f.npy").read_bytes()
    for name in ("f.npy", "./f.npy"):
        assert "another file than IN" in complaint(capsys, "f.npy", name, "--overwrite")
    (folder / "link.npy").symlink_to("f.npy")
    assert "another file than IN" in complaint(capsys, "f.npy", "link.npy", "--overwrite")
    assert (folder / "f.npy").read_bytes() == before


@pytest.mark.parametrize("name", ["things.npy", "things.zarr"])
def test_folders_that_are_no_results_are_never_replaced(folder, capsys, name):
    (folder / name).mkdir()
    (folder / name / "thesis.tex").touch()
    assert "no Zarr store; it stays" in complaint(capsys, "f.npy", name, "--overwrite")
    assert (folder / name / "thesis.tex").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("edge", "edge"),
        ("-2.5", -2.5),
        ("constant=3", {"constant": 3.0}),
        ("normal=0.5:edge", ({"normal": 0.5}, "edge")),
        ("0:1e3", (0.0, 1000.0)),
    ],
)
def test_boundaries_are_names_numbers_and_pairs(text, expected):
    assert parse_boundary(text) == expected


def test_functions_errors_are_said_with_options_and_names():
    message = '`period` of axis 1 and axis 11 of `f`: got period=2.0. Add `boundary="periodic"`.'
    assert say(message, "T", ("time", "lat")) == (
        "--period of axis lat and axis 11 of T: got --period 2.0. Add --boundary periodic."
    )
    assert say("`spacing` for axis 0 is odd", "T", ("z",), "--coords") == (
        "--coords for axis z is odd"
    )


@pytest.mark.parametrize("command", ["grad", "plot", "bench", "demo", "info"])
def test_help_shows_usage_and_defaults(capsys, command):
    with pytest.raises(SystemExit, match="0"):
        cli_main.main([command, "--help"])
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: gpugrad {command}")
    if command == "grad":
        for option in ("--operator", "--accuracy", "--boundary", "--memory", "--edge-order"):
            after = printed.split(f"\n  {option}")[1].split("\n  --")[0]
            assert "(default: " in " ".join(after.split())
        assert "\n  gpugrad grad ocean.nc slope.zarr --var temperature" in printed


def test_shares_are_never_rounded_to_nothing():
    done = Summary("g", ("a",), (10**6,), "f4", 1, 0, 4, 1, 10**6, 3, 10**6)
    (note,) = cli_grad._tell_of_missing(done, skipna=False)
    assert "3 of 1,000,000 samples (less than 0.1 %)" in note
    assert "1,000,000 of 1,000,000 results (100.0 %)" in note
