"""The benchmark against other libraries: its run, its floor, its comparison and its picture."""

from __future__ import annotations

import copy
import importlib
import json
import sys

import numpy as np
import pytest
from test_benchmarks import ROOT, assert_complete, run_script

NAME = "against_others"
MACHINE = {
    "cpu": "A", "cores": 2, "memory_bytes": 1, "huge_pages": "madvise", "system": "Linux 6",
    "python": "CPython 3", "numpy": "2",
}  # fmt: skip


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    return lambda name: importlib.import_module(f"benchmarks.{name}")


@pytest.mark.nightly
def test_quick_run_writes_all_fields_compares_with_itself_and_is_drawn(tmp_path):
    done = run_script("benchmarks", NAME, "--quick", "--output", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (output,) = tmp_path.iterdir()
    results = json.loads(output.read_text())
    assert_complete(results, NAME, ["speed_up", "over_floor", "gigabytes_per_second"])
    titles = [case["title"] for case in results["cases"]]
    assert len(set(titles)) == len(titles)
    assert {case["name"] for case in results["cases"]} >= {"all axes", "uneven", "new arrays"}
    for case in results["cases"]:
        assert {"gpugrad", "gpugrad numpy", "numpy"} <= set(case["seconds"])
        assert set(case["speed_up"]) | set(case["skipped"]) >= set(case["contenders"]) | {"floor"}
    assert any({"torch", "dask", "findiff"} <= set(case["contenders"]) for case in results["cases"])

    done = run_script("benchmarks.compare", str(output), str(output))
    assert done.returncode == 0, done.stderr
    assert "quick run" in done.stdout

    pytest.importorskip("matplotlib")
    drawn = tmp_path / "speed.png"
    done = run_script("benchmarks.pictures", str(output), str(drawn))
    assert done.returncode == 0, done.stderr
    assert drawn.read_bytes().startswith(b"\x89PNG")


def test_the_readme_has_the_table_of_the_run_that_its_picture_shows(load):
    pictures = load("pictures")
    (path,) = (ROOT / "benchmarks" / "results").glob("against-others-*.json")
    results = json.loads(path.read_text())
    table = pictures.write_table(results)
    readme = (ROOT / "README.md").read_text()
    assert table in readme, "run python -m benchmarks.pictures with the latest results"
    assert len(table.splitlines()) > 10
    cases = {case["title"]: case for case in results["cases"]}
    for dtype in ("float64", "float32"):
        (row,) = (r for r in table.splitlines() if r.startswith(f"| 256 x 256 x 256, {dtype} "))
        shown = [float(cell) for cell in row.split("|")[2:-1]]
        seconds = cases[f"256x256x256 {dtype}, all axes"]["seconds"]
        measured = [1e3 * seconds[name]["median"] for name in pictures.COLUMNS]
        assert shown == pytest.approx(measured, rel=0.01)
    with pytest.raises(SystemExit, match="must have the marks"):
        pictures.replace_table("no marks", table)


def make_results(floor=(1.05, 1.1, 1.15), speed=(7.5, 8.0, 8.5)):
    def spread(values):
        return dict(zip(("low", "median", "high"), values, strict=True))

    case = {
        "title": "8x8 float64, all axes",
        "threads": 2,
        "speed_up": {"gpugrad": spread(speed), "torch": spread((1.0, 1.0, 1.0))},
        "over_floor": {"gpugrad": spread(floor)},
        "over_plain": {},
    }
    return {"benchmark": NAME, "quick": False, "machine": MACHINE, "cases": [case]}


@pytest.fixture
def compare(load, tmp_path, monkeypatch, capsys):
    module = load("compare")

    def run(old, new, *options):
        paths = []
        for name, results in (("old", old), ("new", new)):
            paths.append(tmp_path / f"{name}.json")
            paths[-1].write_text(json.dumps(results))
        monkeypatch.setattr(sys, "argv", ["compare", *map(str, paths), *options])
        return module.main(), capsys.readouterr().out

    return run


def test_same_ratios_are_no_regression(compare):
    status, told = compare(make_results(), make_results())
    assert status == 0
    assert "0 of 2 ratios are worse" in told


def test_larger_cost_over_the_floor_is_a_regression(compare):
    status, told = compare(make_results(), make_results(floor=(1.35, 1.4, 1.45)))
    assert status == 1
    assert "1 of 2 ratios are worse" in told
    assert "+27 %" in told


def test_smaller_speed_up_is_a_regression_and_a_larger_one_is_none(compare):
    slow, fast = make_results(speed=(5.5, 6.0, 6.5)), make_results()
    assert compare(fast, slow)[0] == 1
    status, told = compare(slow, fast, "--tolerance", "0.05")
    assert status == 0
    assert "better" in told


def test_what_the_quartiles_explain_is_no_regression(compare):
    assert compare(make_results(), make_results(floor=(1.1, 1.5, 1.9)))[0] == 0
    assert compare(make_results(), make_results(speed=(5.0, 6.0, 8.0)))[0] == 0
    # They lie apart, but by no more than the tolerance.
    worse = make_results(floor=(1.2, 1.4, 1.45))
    assert compare(make_results(), worse)[0] == 0
    assert compare(make_results(), worse, "--tolerance", "0.02")[0] == 1


def test_other_libraries_may_become_slower(compare):
    new = make_results()
    new["cases"][0]["speed_up"]["torch"] = {"low": 0.1, "median": 0.1, "high": 0.1}
    assert compare(make_results(), new)[0] == 0


def test_cases_of_one_file_only_and_other_machines_are_told(compare):
    old, new = make_results(), make_results()
    case = copy.deepcopy(new["cases"][0])
    new["cases"].append({**case, "title": "9x9 float64, all axes"})
    new["machine"] = {**MACHINE, "cpu": "B"}
    status, told = compare(old, new)
    assert status == 0
    assert "only in the new file: 9x9 float64, all axes: gpugrad" in told
    assert "another machine or system: cpu was A and is B" in told


def test_files_of_two_benchmarks_are_refused(compare):
    told = r"old\.json is of large_fields, new\.json of against_others"
    with pytest.raises(SystemExit, match=told):
        compare({**make_results(), "benchmark": "large_fields"}, make_results())


def test_the_records_are_read(load):
    compare, table = load("compare"), load("table")
    records = sorted((ROOT / "benchmarks" / "results").glob("against-others-*.json"))
    assert records
    for path in records:
        ratios = dict(compare.list_ratios(json.loads(path.read_text())))
        figures = {figure for _, _, figure in ratios}
        assert figures >= {"speed_up", "over_floor", "over_plain"}
        assert figures <= set(table.FIGURES)
        assert all(spread.low <= spread.median <= spread.high for spread in ratios.values())


@pytest.mark.parametrize("size", [1, 7, 64, 1000, 100_003])
@pytest.mark.parametrize(
    ("sample", "result"), [("f8", "f8"), ("f4", "f4"), ("i2", "f8"), ("u1", "f8"), ("i8", "f8")]
)
def test_floor_copies_everything_wherever_it_begins(load, sample, result, size):
    pytest.importorskip("llvmlite")
    floor = load("floor")
    bits = np.random.default_rng(5).integers(0, 100, size + 3)
    source = bits.astype(sample)[3:]
    rooms = [np.full(size + 2 * k + 9, -1.0, result) for k in range(3)]
    targets = [room[k : k + size] for k, room in enumerate(rooms)]
    floor.make_floor([[source]] * 3, targets)()
    for k, (room, target) in enumerate(zip(rooms, targets, strict=True)):
        assert np.array_equal(target, source)
        assert (room[:k] == -1).all()
        assert (room[k + size :] == -1).all()


@pytest.mark.parametrize("size", [1, 7, 1000, 100_003])
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_floor_adds_up_fields_wherever_they_begin(load, dtype, size):
    pytest.importorskip("llvmlite")
    rng = np.random.default_rng(6)
    fields = [rng.integers(0, 100, size + k).astype(dtype)[k:] for k in range(4)]
    rooms = [np.full(size + 9, -1.0, dtype) for _ in range(2)]
    targets = [room[2 : 2 + size] for room in rooms]
    load("floor").make_floor([fields[:3], fields[1:]], targets)()
    assert np.array_equal(targets[0], fields[0] + fields[1] + fields[2])
    assert np.array_equal(targets[1], fields[1] + fields[2] + fields[3])
    for room in rooms:
        assert (room[:2] == -1).all()
        assert (room[2 + size :] == -1).all()


def test_floor_follows_the_order_of_memory_and_refuses_gaps(load):
    pytest.importorskip("llvmlite")
    floor = load("floor")
    f = np.random.default_rng(5).random((30, 40, 50)).transpose(2, 0, 1)
    target = np.empty_like(f)
    floor.make_floor([[f]], [target], run=128, streams=False)()
    assert np.array_equal(target, f)
    with pytest.raises(ValueError, match="dense memory"):
        floor.make_floor([[f[::2]]], [target[::2]])


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("accuracy", [2, 4, 8])
def test_slices_that_operators_are_compared_with_are_exact_for_polynomials(load, order, accuracy):
    x = np.linspace(-1, 1, 20)
    polynomial = np.polynomial.Polynomial(range(1, order + accuracy + 1))
    f = np.stack([polynomial(x), 2 * polynomial(x)])
    found = load("operators").differentiate(f, 1, order, accuracy) / (x[1] - x[0]) ** order
    expected = polynomial.deriv(order)(x)
    np.testing.assert_allclose(found, [expected, 2 * expected], 1e-8, 1e-8)


def test_wrong_results_of_an_operator_stop_the_benchmark(load):
    operators = load("operators")
    operator = next(operators.list_operators())
    wrong = operator._replace(ours=lambda v, out: [result.fill(1.0) for result in out])
    row = {"skipped": {}}
    assert next(iter(operators.race_operator(operator, 12, "float64", row)))
    with pytest.raises(AssertionError, match="gpugrad differ from NumPy's"):
        next(iter(operators.race_operator(wrong, 12, "float64", row)))


def test_wrong_bits_of_a_gradient_stop_the_benchmark(load, monkeypatch):
    fields, contenders = load("fields"), load("contenders")
    field = fields.Field("all axes", (6, 7))
    assert next(iter(fields.race_field(field, {"skipped": {}})))
    wrong = (lambda setting: lambda: np.gradient(setting.f, 2.0)), 0, 0
    monkeypatch.setitem(contenders.CONTENDERS, "gpugrad numpy", wrong)
    with pytest.raises(AssertionError, match="gpugrad numpy, result 0: not NumPy's bits"):
        next(iter(fields.race_field(field, {"skipped": {}})))


def test_contender_is_left_out_where_memory_would_run_short(load, monkeypatch):
    fields, skipped = load("fields"), {}
    field = fields.Field("all axes", (100, 100, 100), contenders=("gpugrad", "numpy", "dask"))
    # Field and results take 32 MB, NumPy's own results and two temporaries 40 MB.
    monkeypatch.setattr(fields, "find_memory", lambda which: 100_000_000)
    assert [*fields.fit_memory(field, skipped)] == ["gpugrad", "numpy"]
    assert "needs 0.1 GB, more than 80% of the memory left" in skipped["dask"]


@pytest.mark.parametrize("layout", ["C", "Fortran", "transposed", "every second", "reversed"])
def test_field_of_each_layout_has_the_shape_asked_for(load, layout):
    fields = load("fields")
    f = fields.make_samples(fields.Field(layout, (4, 5, 6), layout=layout))
    assert f.shape == (4, 5, 6)
    assert f.flags.c_contiguous == (layout == "C")


@pytest.mark.parametrize(("shape", "axis"), [((9,), None), ((6, 7), None), ((6, 7), 1)])
def test_library_with_other_results_than_numpys_is_left_out(load, shape, axis):
    contenders, fields = load("contenders"), load("fields")
    setting = fields.make_setting(fields.Field("all axes", shape, axis=axis))
    contenders.check_inside("right", setting, np.gradient(setting.f, axis=axis))
    with pytest.raises(contenders.Unavailable, match="wrong has not NumPy's results along axis"):
        contenders.check_inside("wrong", setting, np.gradient(setting.f, 2.0, axis=axis))
