"""Write the errors of `gradient_of` over a table of functions, and how well they are bounded.

python -m benchmarks.function_errors [FILE.json]

For each function and method: the largest relative error at random points against SymPy's exact
gradient in 40 digits (relative to the largest component of the gradient), and the share of numbers
whose true error is within the estimate.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np

import gpugrad

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from function_table import TABLE, Case

METHODS = ("auto", "extrapolation", "central", "adaptive")
POINTS = 200


def errors_of(case: Case, method: str, rng: np.random.Generator, count: int = POINTS) -> dict:
    """Return the largest relative error of a case, and the share of honest estimates."""
    points = case.points(rng, count)
    grad = gpugrad.gradient_of(case.function(), method=method, stack=True, return_error=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        value, estimate = grad(*points)
    n = len(points)
    exact = np.stack([case.exact(points, *(int(i == j) for j in range(n))) for i in range(n)])
    off = np.abs(value - exact)
    size = np.max(np.abs(exact), axis=0)
    figures = {
        "error": np.nanmax(off / size, initial=0.0),
        "bounded": np.mean((off <= estimate) | np.isnan(value)),
        "estimate": np.median(estimate / size),
    }
    return {
        "method": grad.method,
        **{k: float(f"{x:.4g}") if np.isfinite(x) else None for k, x in figures.items()},
    }


def main() -> int:
    """Print a line for each function; write all to a file where one is named."""
    rng = np.random.default_rng(1)
    rows = []
    for case in TABLE:
        row = {"formula": case.formula, **{m: errors_of(case, m, rng) for m in METHODS}}
        rows.append(row)
        cells = (f"{row[m]['error']:8.0e} {row[m]['bounded']:6.1%}" for m in METHODS)
        print(f"{case.formula:42} {row['auto']['method']:13}", *cells)
    for method in METHODS:
        shares = [row[method]["bounded"] for row in rows]
        worst = max(row[method]["error"] for row in rows)
        print(f"{method:14} worst error {worst:.0e}, bounded {np.mean(shares):.2%}")
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
