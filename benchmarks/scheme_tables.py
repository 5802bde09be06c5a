"""Write the page of all schemes, their weights and their errors, as `gpugrad.stencil` gives them.

python -m benchmarks.scheme_tables docs/reference/scheme-tables.md
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import gpugrad
from gpugrad._stencils.boundaries import MAX_ACCURACY, MAX_ORDER, TABLE, Scheme, Side
from gpugrad._stencils.schemes import plan_derivative
from gpugrad._stencils.textbook import Stencil

ORDERS = range(1, MAX_ORDER + 1)
EVEN, ALL = range(2, MAX_ACCURACY + 1, 2), range(1, MAX_ACCURACY + 1)

INTRODUCTION = """# Every scheme, its weights and its error

Each row is a formula

$$f^{(m)}(x) \\approx \\frac{1}{d\\, h^m} \\sum_k w_k\\, f(x + k h)$$

of order $m$ and accuracy $p$: the sample that comes first, $k$, in steps of $h$; the integers
$w_k$ from there on, one for each step; the divisor $d$; and the coefficient $c$ of what the
formula leaves over, $c\\, h^p f^{(m + p)}(x)$. So the weights add up to 0, and polynomials up to
degree $m + p - 1$ have no error.

`gpugrad.stencil` gives the same as exact fractions, also for positions that are not here, and
`python -m benchmarks.scheme_tables` writes this page. What the schemes are for is told in
[Orders, accuracies, boundaries](../how-to/schemes.md).
"""

SECTIONS = {
    "central": (
        """## Inside: central

`stencil(order, accuracy)`, what `derivative` and `gradient` do between the ends. The middle weight
of odd orders is zero: that sample is not read.
""",
        EVEN,
    ),
    "staggered": (
        """## On the faces: staggered

`stencil(order, accuracy, "staggered")`, what `stagger="left"` and `"right"` do between the ends.
The point $x$ is midway between two samples.
""",
        EVEN,
    ),
    "forward": (
        """## The first row: forward

`stencil(order, accuracy, "forward")`, what one-sided boundaries do in the first row of an axis,
with `edge_accuracy` for the accuracy.
""",
        ALL,
    ),
    "backward": (
        """## The last row: backward

`stencil(order, accuracy, "backward")`: the forward formula read backwards, with all signs turned
for odd orders.
""",
        ALL,
    ),
}

CLOSURES = """## The other rows near an end: one-sided

The formula inside reads beyond the end in its first rows, $\\lfloor (m - 1) / 2 \\rfloor + p / 2$
of them. With one-sided boundaries, row $i$ reads the $m + p$ samples next to the end, the first of
which is $i$ steps behind: `stencil(order, offsets=range(-i, order + accuracy - i))`. Row 0 is the
forward formula. Some gain a power by symmetry. At an upper end all is mirrored.
"""

STAND_INS = """## The rows near an end: stand-ins

The other boundaries keep the formula of the inside, its accuracy and its error, and read stand-ins
for samples beyond the end. What falls on one sample is added up. These are the rows at the lower
end for the most common schemes; samples are counted from the row. In the column `constant` is the
weight of the number that is given. `"periodic"` is the formula of the inside, round the axis.
"""

SLOPES = """## The rows near an end: a given slope

With $g$ the given outward slope and $s$ its weight,

$$f^{(m)}(x) \\approx \\frac{1}{d\\, h^m} \\left(\\sum_k w_k\\, f(x + k h) + s\\, h\\, g\\right).$$
"""

STANDING_IN = ("reflect", "odd-reflect", "symmetric", "odd-symmetric", "edge")


def row_of(cells: Sequence[object]) -> str:
    """Write a row of a table."""
    return f"| {' | '.join(map(str, cells))} |"


def head(names: Sequence[str]) -> Iterator[str]:
    """Write the head of a table, with numbers flush right."""
    yield row_of(names)
    yield row_of(["---:" if name != "weights" else "---" for name in names])


def cells_of(weights: Mapping[Any, Fraction], *constants: Fraction) -> list[object]:
    """Return the first sample, integers in place of weights and constants, and their divisor."""
    first, last = min(weights), max(weights)
    steps = [weights.get(first + k, Fraction(0)) for k in range(int(last - first) + 1)]
    below = math.lcm(*(w.denominator for w in (*steps, *constants)))
    return [first, ", ".join(str(w * below) for w in steps), *(c * below for c in constants), below]


def formula_cells(stencil: Stencil) -> list[object]:
    """Return the cells of a stencil, and its error."""
    weights = dict(zip(stencil.offsets, stencil.weights, strict=True))
    return [*cells_of(weights), stencil.error.coefficient]


def kinds() -> Iterator[str]:
    """Write the tables of the four kinds that have a name."""
    for kind, (text, accuracies) in SECTIONS.items():
        yield text
        yield from head(("m", "p", "first", "weights", "d", "c"))
        for order in ORDERS:
            for accuracy in accuracies:
                stencil = gpugrad.stencil(order, accuracy, kind)
                yield row_of([order, accuracy, *formula_cells(stencil)])
        yield ""


def closures() -> Iterator[str]:
    """Write the table of rows near one-sided ends."""
    yield CLOSURES
    yield from head(("m", "p inside", "row", "first", "weights", "d", "p", "c"))
    for order in ORDERS:
        for accuracy in EVEN:
            for i in range(1, Scheme(order, accuracy).reach):
                stencil = gpugrad.stencil(order, offsets=range(-i, order + accuracy - i))
                *cells, c = formula_cells(stencil)
                yield row_of([order, accuracy, i, *cells, stencil.accuracy, c])
    yield ""


def boundary_rows(name: str, order: int, accuracy: int) -> Iterator[list[object]]:
    """Yield the number of each of the first rows, and its cells with those of a constant."""
    sides = (Side(name, 1.0 if TABLE[name].value else None),) * 2
    plan = plan_derivative(0, 1.0, 24, Scheme(order, accuracy, accuracy), sides, None)
    for i, formula in enumerate(plan.lower):
        divisor = Fraction(formula.divisor or 1).limit_denominator(10**6)
        weights: Counter[Any] = Counter()
        for k, w in zip(formula.offsets, formula.weights, strict=True):
            weights[k] += Fraction(w) / divisor
        yield [i, *cells_of(weights, Fraction(formula.constant or 0) / divisor)]


def ends() -> Iterator[str]:
    """Write the tables of stand-ins and of given slopes."""
    for text, names, letter in (
        (STAND_INS, (*STANDING_IN, "constant"), "constant"),
        (SLOPES, ("normal",), "s"),
    ):
        yield text
        yield from head(("boundary", "m", "p", "row", "first", "weights", letter, "d"))
        for name in names:
            for order in (1, 2, 3, 4):
                for accuracy in (2, 4):
                    for cells in boundary_rows(name, order, accuracy):
                        yield row_of([name, order, accuracy, *cells])
        yield ""


def page() -> str:
    """Return the whole page."""
    return "\n".join([INTRODUCTION, *kinds(), *closures(), *ends()]).rstrip() + "\n"


def main() -> int:
    """Write the page to a file, or print it."""
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(page(), encoding="utf-8")
    else:
        print(page(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
