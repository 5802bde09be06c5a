"""Write the errors of `gradient_of` over a table of functions, and how well they are bounded.

python -m benchmarks.function_errors [FILE.json]

For each function and method, at random points, against SymPy's exact gradient in 40 digits:

- the largest relative error (relative to the largest component of the gradient);
- the share of numbers whose true error is within the estimate. An estimate of NaN counts as a miss;
- the share of numbers that come with a finite estimate at all: the others are known to be unknown,
  which is honest, but of no use;
- the share of derivatives that are NaN, where nothing is said;
- how large estimates are: the median of their ratio to the true error, where both are finite.
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

METHODS = ("auto", "extrapolation", "central")
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
    said = ~np.isnan(value)
    compared = said & np.isfinite(estimate) & (off > 0)
    relative = off / size
    figures = {
        "error": np.max(relative[said & np.isfinite(estimate)], initial=0.0),
        "bounded": np.mean((off <= estimate)[said]) if said.any() else 1.0,
        "finite": np.mean(said & np.isfinite(estimate)),
        "none": np.mean(~said),
        "ratio": np.median((estimate / np.where(off > 0, off, 1.0))[compared])
        if compared.any()
        else np.nan,
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
    print("largest error with a finite estimate, share bounded, share with a finite estimate")
    print(f"{'':42} {'auto':13}", *(f"{m:>22}" for m in METHODS))
    for case in TABLE:
        row = {"formula": case.formula, **{m: errors_of(case, m, rng) for m in METHODS}}
        rows.append(row)
        cells = (
            f"{row[m]['error']:8.0e} {row[m]['bounded']:6.1%} {row[m]['finite']:6.1%}"
            for m in METHODS
        )
        print(f"{case.formula:42} {row['auto']['method']:13}", *cells)
    for method in METHODS:
        mean = {k: np.mean([r[method][k] for r in rows]) for k in ("bounded", "finite", "none")}
        ratios = [r[method]["ratio"] for r in rows if r[method]["ratio"] is not None]
        worst = max(r[method]["error"] for r in rows)
        print(
            f"{method:14} worst error {worst:.0e}, bounded {mean['bounded']:.2%}, finite "
            f"{mean['finite']:.2%}, none {mean['none']:.2%}, median ratio {np.median(ratios):.3g}"
        )
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
