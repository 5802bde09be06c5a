"""Five hundred functions of one variable, and SciPy's distributions: do bounds of errors hold?

Each function is a formula, `outer` of `inner`, which NumPy with SciPy's special functions
evaluates, and mpmath with 60 digits. Points are drawn where both have a value; a quarter of them
lie beside an end of the domain, a pole or a zero.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

import gpugrad

# An outer function, and from where to where its argument may be.
OUTER = {
    "sin(u)": (-9, 9), "cos(u)": (-9, 9), "tan(u)": (-1.57, 1.57), "sinh(u)": (-9, 9),
    "cosh(u)": (-9, 9), "tanh(u)": (-9, 9), "asin(u)": (-1, 1), "acos(u)": (-1, 1),
    "atan(u)": (-99, 99), "asinh(u)": (-99, 99), "acosh(u)": (1, 99), "atanh(u)": (-1, 1),
    "exp(u)": (-30, 30), "expm1(u)": (-9, 9), "log(u)": (0, 99), "log1p(u)": (-1, 99),
    "sqrt(u)": (0, 99), "cbrt(u)": (0, 99), "u**2.5": (0, 9), "u**7": (-9, 9), "u**-3": (0, 99),
    "1/(1 + u**2)": (-9, 9), "1/(1 - u)": (-9, 1), "1/(1 + exp(-u))": (-30, 30),
    "log1p(exp(u))": (-30, 30), "exp(-u*u/2)": (-6, 6), "u*log(u)": (0, 9), "u**u": (0, 9),
    "sin(u)/u": (0, 30), "sin(10*u)*exp(-u)": (-3, 9), "1e6 + cos(u)": (-9, 9),
    "exp(u) - 1": (-1, 1),
    "1 - cos(u)": (-1, 1), "sqrt(1 + u) - 1": (-1, 1), "u**3 - 2*u + 1": (-9, 9),
    "erf(u)": (-5, 5), "erfc(u)": (-5, 9), "gamma(u)": (0, 20), "loggamma(u)": (0, 99),
    "digamma(u)": (0, 99), "besselj(0, u)": (0, 50), "besselj(2.5, u)": (0, 50),
    "bessely(0, u)": (0, 50), "besselk(0, u)": (0, 30), "besseli(1, u)": (-20, 20),
    "ei(u)": (0, 20), "si(u)": (0, 50), "airyai(u)": (-10, 10), "lambertw(u)": (0, 99),
    "ellipk(u)": (-9, 1), "zeta(u)": (1, 20),
}  # fmt: skip
# An inner function, and its inverse.
INNER = {
    "x": "u", "3*x + 1": "(u - 1)/3", "1000*x": "u/1000", "x/1e6": "u*1e6",
    "1e-9 + x/1e12": "u*1e12",
    "1e9*x": "u/1e9", "x - 1e4": "u + 1e4", "1 - x": "1 - u", "x**3": "cbrt(u)", "1/x": "1/u",
    "exp(x)": "log(u)",
}  # fmt: skip


@cache
def _namespace(library: str) -> dict[str, Any]:
    if library == "numpy":
        from scipy import special

        names = {
            name: getattr(np, "arc" + name[1:] if name.startswith("a") else name)
            for name in ("asin", "acos", "atan", "asinh", "acosh", "atanh", "sin", "cos", "tan")
        }
        plain = ("sinh", "cosh", "tanh", "exp", "expm1", "log", "log1p", "sqrt", "cbrt")
        names |= {name: getattr(np, name) for name in plain}
        names |= {name: getattr(special, name) for name in ("erf", "erfc", "gamma", "digamma")}
        names |= {"loggamma": special.gammaln, "ei": special.expi, "ellipk": special.ellipk}
        names |= {f"bessel{k}": getattr(special, f"{k}v") for k in "jyki"}
        names |= {"si": lambda u: special.sici(u)[0], "airyai": lambda u: special.airy(u)[0]}
        names |= {"lambertw": lambda u: special.lambertw(u).real, "zeta": special.zeta}
        return names
    import mpmath

    return {name: getattr(mpmath, name) for name in (
        "asin", "acos", "atan", "asinh", "acosh", "atanh", "sin", "cos", "tan", "sinh", "cosh",
        "tanh", "exp", "expm1", "log", "log1p", "sqrt", "cbrt", "erf", "erfc", "gamma", "loggamma",
        "digamma", "besselj", "bessely", "besselk", "besseli", "ei", "si", "airyai", "lambertw",
        "ellipk", "zeta",
    )}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A function of the table."""

    outer: str
    inner: str

    @property
    def name(self) -> str:
        return self.outer.replace("u", f"({self.inner})") if self.inner != "x" else self.outer

    def function(self, library: str) -> Any:
        names = _namespace(library)
        inner = eval(f"lambda x: {self.inner}", dict(names))
        outer = eval(f"lambda u: {self.outer}", dict(names))
        return lambda x: outer(inner(x))

    def points(self, count: int) -> np.ndarray:
        """Return points at random in the domain, and beside its ends."""
        low, high = OUTER[self.outer]
        rng = np.random.default_rng(sum(map(ord, self.outer + self.inner)))
        shares = rng.uniform(0, 1, count)
        near = count // 4
        shares[:near] = np.where(rng.random(near) < 0.5, 0, 1) + rng.choice(
            [1e-3, 1e-6, 1e-9], near
        ) * np.where(shares[:near] < 0.5, 1, -1)
        arguments = low + (high - low) * np.clip(shares, 1e-12, 1 - 1e-12)
        with np.errstate(all="ignore"):
            inverse = eval(f"lambda u: {INNER[self.inner]}", dict(_namespace("numpy")))
            x = inverse(arguments)
            return x[np.isfinite(x)]


ROWS = tuple(Row(outer, inner) for outer in OUTER for inner in INNER)


@cache
def exact_slope(row: Row, x: float) -> float:
    """Return the derivative of 60 digits; NaN where there is none."""
    import mpmath

    with mpmath.workdps(60):
        function = row.function("mpmath")
        point = mpmath.mpf(x)
        step = (abs(point) or 1) * mpmath.mpf(10) ** -24
        try:
            after, before = function(point + step), function(point - step)
            slope = (after - before) / (2 * step)
            return float(slope) if mpmath.im(slope) == 0 else np.nan
        except (ValueError, ZeroDivisionError, TypeError, OverflowError):
            return np.nan


def judge(function: Any, points: Any, exact: Any, method: str) -> dict[str, Any]:
    """Return how many bounds there are and hold, and the ratios of bounds to errors."""
    slope = gpugrad.derivative_of(function, method=method, return_error=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value, error = slope(points)
    told = np.isfinite(value) & np.isfinite(exact)
    off = np.abs(value - exact)[told]
    held = off <= error[told] + np.spacing(np.abs(exact[told]))
    finite = np.isfinite(error[told])
    wrong = finite & (off > 0)
    return {
        "told": told.sum(),
        "held": held.sum(),
        "finite": finite.sum(),
        "ratios": error[told][wrong] / off[wrong],
        "missed": [*zip(points[told][~held], value[told][~held], exact[told][~held],
                        error[told][~held], strict=True)],
        "known": np.isfinite(exact).sum(),
    }  # fmt: skip


def judge_row(row: Row, method: str, count: int = 16) -> dict[str, Any]:
    """Judge the bounds of a function of the table."""
    points = row.points(count)
    exact = np.array([exact_slope(row, float(x)) for x in points])
    return judge(row.function("numpy"), points, exact, method)


def _kolmogorov(x: float) -> float:
    """Return the density of "kstwobign": SciPy's own is off by up to 1e-8."""
    import mpmath

    with mpmath.workdps(40):
        square = mpmath.mpf(x) ** 2
        terms = [(-1) ** (k - 1) * k * k * mpmath.exp(-2 * k * k * square) for k in range(1, 60)]
        return float(8 * x * mpmath.fsum(terms))


@cache
def distributions() -> tuple[tuple[str, tuple[Any, ...]], ...]:
    """Return the names of SciPy's continuous distributions, and parameters."""
    from scipy.stats._distr_params import distcont

    # SciPy differentiates "kstwo" numerically itself, with an error of 1e-11.
    laws = ((name, tuple(shapes)) for name, shapes in distcont if isinstance(name, str))
    return tuple(law for law in laws if law[0] != "kstwo")


def judge_distribution(
    name: str, shapes: tuple[Any, ...], method: str, count: int = 16
) -> dict[str, Any]:
    """Judge the bounds of the derivative of a cumulative distribution, which is its density."""
    from scipy import stats

    law = getattr(stats, name)(*shapes)
    points = law.ppf(np.linspace(0.02, 0.98, count))
    points = points[np.isfinite(points)]
    exact = np.array([_kolmogorov(x) for x in points]) if name == "kstwobign" else law.pdf(points)
    return judge(law.cdf, points, exact, method)


def summarize(judged: Any) -> dict[str, float]:
    """Return the shares of bounds that hold and are finite, and the median ratio to errors."""
    judged = [*judged]
    told = sum(j["told"] for j in judged)
    return {
        "bounded": sum(j["held"] for j in judged) / told,
        "finite": sum(j["finite"] for j in judged) / told,
        "told": told / sum(j["known"] for j in judged),
        "estimate_over_error": float(np.median(np.concatenate([j["ratios"] for j in judged]))),
    }
