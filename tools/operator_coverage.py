"""Write the page of operators: which works where, and why not elsewhere.

python tools/operator_coverage.py docs/reference/operators.md

All cells are read from the code: from the table of operators, and from the signatures of public
functions. What is missing must have its reason below, or this program stops.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import gpugrad
from gpugrad._cli.grad_options import add_scheme
from gpugrad._stencils import OPERATORS, Operator

INTRODUCTION = """# Which operator works where?

The first table says what each operator gives, the second where it works, and the third which
options it takes. Instead of "yes", a number refers to [the reasons](#reasons) at the end of the
page. [Vector calculus](../how-to/vector-calculus.md) shows the operators on examples.

![The samples that four operators read in the interior of a field of two axes, with their weights
for a spacing of 1. With accuracy 2 a derivative reads two samples, a second derivative three, a
Laplacian five and a mixed derivative of a Hessian four; with accuracy 4 they read four, five, nine
and sixteen](../images/footprints.png)

The picture shows which samples an operator reads (circles) for its result at one sample (square)
in the interior, with their weights for a spacing of 1.

## What each operator gives
"""

PLACES = {
    "array": "`gpugrad.NAME`, of arrays of [every library](devices.md), DataArrays, quantities",
    "plan": '`gpugrad.plan(..., operator="NAME")`, [prepared](../how-to/plans.md) for many fields',
    "accessor": "`.gpugrad.NAME` of a DataArray of xarray, or of a Dataset if it takes components",
    "file": "`gpugrad grad --operator NAME`, for [files](../how-to/large-files.md)",
    "sphere": "`gpugrad.Sphere(...).NAME`, on [latitudes and longitudes]"
    "(../how-to/coordinates.md#latitude-and-longitude)",
    "curvilinear": "`gpugrad.CurvilinearGrid(...).NAME`, on "
    "[curved grids](../how-to/coordinates.md#curved-grids)",
    "function": "`gpugrad.NAME_of`, of a [Python function](../how-to/functions-and-tables.md)",
    "formula": "`gpugrad.symbolic.NAME`, of a [formula](../how-to/symbolic.md)",
}

OPTIONS = ("out", "where", "stagger", "stack", "edge_order")

COMMON = (
    "All operators take `axis`, `accuracy`, `boundary`, `edge_accuracy`, `period`, `time_unit`, "
    "`skipna` and `backend`."
)

PARTIAL = "A partial derivative with respect to a coordinate of space is an entry of `gradient`."
FACES = "The terms would lie on different faces between the samples and could not be added."
ONE = "The operator has one result."
TURNS = (
    "The directions north and east differ from place to place; derivatives of the components "
    "alone are no tensor."
)
NORM = "Take the norm of the results of `gradient`."

REASONS = {
    ("sphere", "derivative"): PARTIAL,
    (
        "sphere",
        "vector_laplacian",
    ): "The directions north and east differ from place to place, so the "
    "result is not the Laplacian of each component.",
    ("sphere", "jacobian"): TURNS,
    ("sphere", "hessian"): TURNS,
    ("curvilinear", "derivative"): PARTIAL,
    ("curvilinear", "vector_laplacian"): "Take `laplacian` of each component.",
    ("curvilinear", "hessian"): "Take `jacobian` of the results of `gradient`.",
    ("function", "vector_laplacian"): "Take `laplacian_of` of each component.",
    ("function", "gradient_norm"): NORM,
    ("formula", "vector_laplacian"): "`symbolic.laplacian` takes a list of components.",
    ("formula", "gradient_norm"): NORM,
    ("stagger", "laplacian"): FACES,
    ("stagger", "vector_laplacian"): FACES,
    ("stagger", "hessian"): "The entries would lie at different places: on faces, on edges "
    "and at samples.",
    ("stagger", "gradient_norm"): FACES,
    ("stack", "derivative"): ONE,
    ("stack", "divergence"): ONE,
    ("stack", "laplacian"): ONE,
    ("stack", "gradient_norm"): ONE,
}
EDGE = "`edge_order` belongs to first derivatives; `edge_accuracy` is for those of any order."
REASONS |= {("edge_order", name): EDGE for name, row in OPERATORS.items() if 2 in row.orders}


def is_covered(row: Operator, place: str) -> bool:
    """Tell whether an operator works in a place, or takes an option."""
    name = row.name
    parameters = inspect.signature(getattr(gpugrad, name)).parameters
    if place in OPTIONS:
        return place in parameters
    grids = {"sphere": gpugrad.Sphere, "curvilinear": gpugrad.CurvilinearGrid}
    if place in grids:
        return hasattr(grids[place], name)
    if place == "array":
        return name in gpugrad.__all__
    if place == "plan":
        return name in OPERATORS
    if place == "accessor":
        return _has_method(row)
    if place == "file":
        return name in _list_choices("--operator")
    if place == "formula":
        return name in gpugrad.symbolic.__all__
    return f"{name}_of" in gpugrad.__all__


def _list_choices(option: str) -> list[str]:
    """Return what the command takes for an option of `gpugrad grad`."""
    parser = argparse.ArgumentParser()
    add_scheme(parser)
    return next([*a.choices] for a in parser._actions if option in a.option_strings)


def _has_method(row: Operator) -> bool:
    import gpugrad.xarray as accessors

    of_array = row.takes == "field"
    return hasattr(accessors.DataArrayAccessor if of_array else accessors.DatasetAccessor, row.name)


def write_table(places: tuple[str, ...], numbers: dict[str, int]) -> Iterator[str]:
    """Yield the lines of a table, a row for each operator."""
    yield f"| operator | {' | '.join(places)} |"
    yield f"|---|{'---|' * len(places)}"
    for name, row in OPERATORS.items():
        cells = []
        for place in places:
            is_there = is_covered(row, place)
            if is_there == ((place, name) in REASONS):
                what = "a reason, and is there" if is_there else "neither a reason nor the operator"
                raise SystemExit(
                    f"{place} of {name}: {what}. Mend REASONS in {Path(__file__).name}."
                )
            reason = REASONS.get((place, name), "")
            cells.append("yes" if is_there else str(numbers.setdefault(reason, len(numbers) + 1)))
        yield f"| `{name}` | {' | '.join(cells)} |"


def page() -> str:
    """Return the page."""
    numbers: dict[str, int] = {}
    where, options = [*write_table((*PLACES,), numbers)], [*write_table(OPTIONS, numbers)]
    rows = [f"| `{name}` | {row.summary} |" for name, row in OPERATORS.items()]
    return "\n".join([
        INTRODUCTION,
        "| operator | what it gives |", "|---|---|", *rows, "",
        "## Where each operator works", "", *where, "",
        *(f"- **{place}**: {words}." for place, words in PLACES.items()), "",
        "## Options", "",
        COMMON, "",
        *options, "",
        "## Reasons", "",
        *(f"{number}. {reason}" for reason, number in numbers.items()), "",
    ])  # fmt: skip


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
