"""The page of all schemes: each row is checked by Taylor's series, and none is missing."""

from __future__ import annotations

import importlib
import math
from fractions import Fraction
from pathlib import Path

import pytest

import gpugrad

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "scheme-tables.md"

if not PAGE.is_file():
    pytest.skip("the documentation is not here", allow_module_level=True)


def read_tables():
    """Yield the title of each section, and the cells of its rows by the name of the column."""
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        title, *lines = section.splitlines()
        table = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
        yield title, [dict(zip(table[0], row, strict=True)) for row in table[2:]]


TABLES = dict(read_tables())


def read_formula(row):
    """Return the weights of a row by place, as fractions."""
    divisor = Fraction(row["d"])
    weights = [Fraction(w) / divisor for w in row["weights"].split(", ")]
    return {Fraction(row["first"]) + k: w for k, w in enumerate(weights)}


def moment(weights, degree):
    return sum(w * k**degree for k, w in weights.items())


@pytest.mark.parametrize("title", [*TABLES][:5])
def test_each_row_is_what_its_taylor_series_says(title):
    for row in TABLES[title]:
        order, accuracy, weights = int(row["m"]), int(row["p"]), read_formula(row)
        for degree in range(order + accuracy):
            wanted = math.factorial(order) if degree == order else 0
            assert moment(weights, degree) == wanted
        left = moment(weights, order + accuracy) / math.factorial(order + accuracy)
        assert left == Fraction(row["c"]) != 0


@pytest.mark.parametrize(
    ("kind", "title", "step"),
    [
        ("central", "Inside: central", 2),
        ("staggered", "On the faces: staggered", 2),
        ("forward", "The first row: forward", 1),
        ("backward", "The last row: backward", 1),
    ],
)
def test_no_scheme_is_missing_and_all_are_those_of_stencil(kind, title, step):
    rows = {(int(row["m"]), int(row["p"])): row for row in TABLES[title]}
    schemes = {(m, p) for m in range(1, 9) for p in range(step, 13, step)}
    assert rows.keys() == schemes
    assert len(rows) == len(TABLES[title])
    for (order, accuracy), row in rows.items():
        s = gpugrad.stencil(order, accuracy, kind)
        weights = {k: w for k, w in read_formula(row).items() if w}
        assert weights == {k: w for k, w in zip(s.offsets, s.weights, strict=True) if w}
        assert s.error == (Fraction(row["c"]), accuracy, order + accuracy)


def test_backward_formulas_are_forward_ones_turned_round():
    pairs = zip(TABLES["The first row: forward"], TABLES["The last row: backward"], strict=True)
    for forward, backward in pairs:
        sign = (-1) ** int(forward["m"])
        turned = {-k: sign * w for k, w in read_formula(forward).items()}
        assert turned == read_formula(backward)


def test_each_row_with_a_given_slope_differentiates_polynomials():
    rows = TABLES["The rows near an end: a given slope"]
    for row in rows:
        order, accuracy, i = int(row["m"]), int(row["p"]), int(row["row"])
        weights, of_slope = read_formula(row), Fraction(row["s"]) / Fraction(row["d"])
        for degree in range(order + accuracy):
            outward = -degree * Fraction(-i) ** (degree - 1) if degree else 0
            wanted = math.factorial(order) if degree == order else 0
            assert moment(weights, degree) + of_slope * outward == wanted
    assert len(rows) == 16


def test_stand_ins_leave_a_field_that_fits_as_it_is():
    """Mirrors and constants: a field with their symmetry is differentiated as inside."""
    fields = {
        "reflect": lambda x: x**2,
        "odd-reflect": lambda x: x**3,
        "symmetric": lambda x: (x + Fraction(1, 2)) ** 2,
        "odd-symmetric": lambda x: (x + Fraction(1, 2)) ** 3,
        "edge": lambda x: Fraction(1),
        "constant": lambda x: Fraction(1),
    }
    rows = TABLES["The rows near an end: stand-ins"]
    assert {row["boundary"] for row in rows} == fields.keys()
    for row in rows:
        f, order, i = fields[row["boundary"]], int(row["m"]), int(row["row"])
        total = sum(w * f(i + k) for k, w in read_formula(row).items())
        total += Fraction(row["constant"]) / Fraction(row["d"])
        inside = gpugrad.stencil(order, int(row["p"]))
        wanted = sum(w * f(i + k) for k, w in zip(inside.offsets, inside.weights, strict=True))
        assert total == wanted


def test_the_page_is_what_is_written_today(monkeypatch):
    if not (ROOT / "benchmarks").is_dir():
        pytest.skip("the benchmarks are not here")
    monkeypatch.syspath_prepend(ROOT)
    written = importlib.import_module("benchmarks.scheme_tables").page()
    cure = "python -m benchmarks.scheme_tables docs/reference/scheme-tables.md"
    assert written == PAGE.read_text(encoding="utf-8"), f"run `{cure}`"
