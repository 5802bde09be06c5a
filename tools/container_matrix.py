"""Write the page of containers: what each public function makes of each kind of array.

python tools/container_matrix.py docs/containers.md

All cells come from calls: every function is called on every container. A result must have the
numbers that a plain array gives, and a refusal must be an error of gpugrad's own that says what
must hold, what was given and what to do; if not, this program stops and says which.
"""

from __future__ import annotations

import linecache
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import gpugrad
from container_samples import CONTAINERS, CURVE, FIELD, Container, bring_home, kind_of

ROOT = str(Path(gpugrad.__file__).parent)

Make = Callable[[Any], Any]


class Function(NamedTuple):
    """How a public function is called: `call` takes what puts an array into a container.

    `axes` is how many axes its field has: None for two, or one where the container is flat.
    """

    call: Callable[[Make, Any], Any]
    axes: int | None = None


def _on_field(name: str, **options: Any) -> Function:
    return Function(lambda make, f: getattr(gpugrad, name)(make(f), **options))


def _on_vector(name: str, axes: int | None = None, **options: Any) -> Function:
    def call(make: Make, f: Any) -> Any:
        return getattr(gpugrad, name)([make(f * (i + 1)) for i in range(f.ndim)], **options)

    return Function(call, axes)


@cache
def _sphere() -> Any:
    rows, columns = FIELD.shape
    return gpugrad.Sphere(np.linspace(-90, 90, rows), np.arange(columns) * 360 / columns, radius=1)


def _on_sphere(name: str) -> Function:
    def call(make: Make, f: Any) -> Any:
        sphere = _sphere()
        f = make(f)
        if hasattr(f, "dims") and hasattr(f, "assign_coords"):
            f = f.assign_coords(x=sphere.latitude, y=sphere.longitude)
            sphere = gpugrad.Sphere("x", "y", radius=1)
        if name in ("curl", "divergence"):
            return getattr(sphere, name)(u=f, v=f)
        return getattr(sphere, name)(f)

    return Function(call, 2)


def _on_grid(name: str) -> Function:
    def call(make: Make, f: Any) -> Any:
        places = [*np.meshgrid(*(np.arange(n) ** 1.5 for n in f.shape), indexing="ij")]
        if f.ndim > 1:
            places[0] = places[0] + places[1] / 8
        v = make(f)
        if hasattr(v, "dims") and hasattr(v, "assign_coords"):
            names = [f"place{i}" for i in range(f.ndim)]
            pairs = zip(names, places, strict=True)
            v = v.assign_coords({name: (("x", "y")[: f.ndim], x) for name, x in pairs})
            grid = gpugrad.CurvilinearGrid(*names)
        else:
            grid = gpugrad.CurvilinearGrid(*places)
        is_vector = name in ("divergence", "curl", "jacobian")
        return getattr(grid, name)([v] * f.ndim if is_vector else v)

    return Function(call, 2 if name == "curl" else None)


def _through_plan(make: Make, f: Any) -> Any:
    x = make(f)
    dtype = getattr(x, "dtype", np.float64)
    is_numpy = isinstance(dtype, np.dtype) and dtype.kind in "fc" and dtype.itemsize > 2
    plan = gpugrad.plan(f.shape, operator="gradient", dtype=dtype if is_numpy else np.float64)
    return plan(x)


def _at_points(name: str, func: Any, axes: int | None = None) -> Function:
    return Function(lambda make, f: getattr(gpugrad, name)(func)(make(f)), axes)


def _on_components(name: str, func: Any, count: int = 2) -> Function:
    def call(make: Make, f: Any) -> Any:
        return getattr(gpugrad, name)(func)(*(make(f + i) for i in range(count)))

    return Function(call)


def _square(x: Any) -> Any:
    return x * x


def _product(x: Any, y: Any) -> Any:
    return x * x * y


def _vector(x: Any, y: Any) -> Any:
    return x * y, x * x * y


FUNCTIONS = {
    "gradient": _on_field("gradient"),
    "gradient, stack=True": _on_field("gradient", stack=True),
    "derivative": _on_field("derivative", order=2, accuracy=4),
    "gradient_norm": _on_field("gradient_norm"),
    "divergence": _on_vector("divergence"),
    "curl": _on_vector("curl", 2),
    "laplacian": _on_field("laplacian"),
    "vector_laplacian": _on_vector("vector_laplacian"),
    "jacobian": _on_vector("jacobian"),
    "hessian": _on_field("hessian"),
    "hessian, stack=True": _on_field("hessian", stack=True),
    "plan": Function(_through_plan),
    "Sphere.gradient": _on_sphere("gradient"),
    "Sphere.gradient_norm": _on_sphere("gradient_norm"),
    "Sphere.divergence": _on_sphere("divergence"),
    "Sphere.curl": _on_sphere("curl"),
    "Sphere.laplacian": _on_sphere("laplacian"),
    "CurvilinearGrid.gradient": _on_grid("gradient"),
    "CurvilinearGrid.gradient_norm": _on_grid("gradient_norm"),
    "CurvilinearGrid.divergence": _on_grid("divergence"),
    "CurvilinearGrid.curl": _on_grid("curl"),
    "CurvilinearGrid.jacobian": _on_grid("jacobian"),
    "CurvilinearGrid.laplacian": _on_grid("laplacian"),
    "smooth_derivative": _on_field("smooth_derivative", axis=0),
    "smooth_derivative, filter": _on_field(
        "smooth_derivative", axis=0, window_length=5, polyorder=2
    ),
    "error_estimate": _on_field("error_estimate", axis=0),
    "noise_level": _on_field("noise_level", axis=0),
    "recommended_spacing": Function(
        lambda make, f: gpugrad.recommended_spacing(make(f), noise=0.1, magnitude=2.0), 1
    ),
    "turning_points": _on_field("turning_points", axis=0),
    "inflection_points": _on_field("inflection_points", axis=0),
    "critical_points": Function(lambda make, f: gpugrad.critical_points(make(f)), 2),
    "explain": Function(lambda make, f: gpugrad.explain(make(f)) and None),
    "asnumpy": Function(lambda make, f: gpugrad.asnumpy(make(f))),
    "derivative_of": _at_points("derivative_of", _square),
    "gradient_of": _on_components("gradient_of", _product),
    "jacobian_of": _on_components("jacobian_of", _vector),
    "hessian_of": _on_components("hessian_of", _product),
    "divergence_of": _on_components("divergence_of", _vector),
    "curl_of": _on_components("curl_of", _vector),
    "laplacian_of": _on_components("laplacian_of", _product),
    "tabulate": Function(lambda make, f: gpugrad.tabulate(_square, make(f)).field, 1),
    "symbolic.gradient": Function(
        lambda make, f: gpugrad.symbolic.gradient("x**2", "x")(make(f))
    ),
    "as coordinates": Function(
        lambda make, f: gpugrad.gradient(np.arange(len(f)) ** 2.0, make(np.cumsum(1 + f % 2))), 1
    ),
}  # fmt: skip


class Outcome(NamedTuple):
    """What came of a call: the word of its cell, and the message of a refusal."""

    word: str
    message: str = ""
    fault: str = ""


def try_call(container: Container, function: Function) -> Outcome:
    """Call a function on a container, and judge what came of it."""
    axes = function.axes or (1 if container.is_flat else 2)
    if container.is_flat and axes > 1:
        return Outcome("-")
    f = CURVE if axes == 1 else FIELD
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = container.make(f)
        try:
            result = function.call(container.make, f)
        except Exception as error:  # noqa: BLE001 - errors of all kinds are what is looked for
            return Outcome("refused", str(error), _find_fault(error))
        if result is None:
            return Outcome("yes")
        kind = kind_of(result)
        word = "kept" if kind == kind_of(made) else kind
        return Outcome(word, "", _compare(container, function, f, result))


def _find_fault(error: Exception) -> str:
    """Say what is wrong with an error, as users see it; nothing if it is as it should be."""
    message = str(error)
    site = error.__traceback__
    while site is not None and site.tb_next is not None:
        site = site.tb_next
    if site is None:
        return "no traceback"
    place = site.tb_frame.f_code.co_filename
    line = linecache.getline(place, site.tb_lineno).strip()
    if not place.startswith(ROOT) or not line.startswith("raise"):
        return f"raw {type(error).__name__} at {place.removeprefix(ROOT)}:{site.tb_lineno}: {message}"
    if not isinstance(error, (TypeError, ValueError, gpugrad.BackendError)):
        return f"{type(error).__name__} is no error of arguments: {message}"
    if not re.search(r"\b(must|takes?|needs?|has|have|is not)\b", message):
        return f"does not say what must hold: {message}"
    if "got" not in message:
        return f"does not say what was given: {message}"
    if not re.search(r"[.;] [A-Z`\w][^.]*.*\.$", message, re.DOTALL):
        return f"does not say what to do: {message}"
    return ""


def _compare(container: Container, function: Function, f: Any, result: Any) -> str:
    if container.values is None:
        return f"gave {kind_of(result)} for what has no numbers"
    expected = function.call(lambda x: container.values(x), f)
    got, wanted = bring_home(result), bring_home(expected)
    if got.shape != wanted.shape:
        if np.isnan(bring_home(container.make(f))).any():
            return ""  # points: there may be fewer beside what is missing
        return f"shape {got.shape} for {wanted.shape}"
    known = np.isfinite(got)
    if not known.any():
        return "nothing but NaN"
    scale = np.abs(wanted).max() or 1.0
    worst = np.abs(got - wanted)[known].max() / scale
    if worst > 0.02:
        if np.isnan(bring_home(container.make(f))).any():
            return ""  # formulas of one side
        return f"numbers differ by {worst:.2g}"
    return ""


def evaluate(names: Any = None) -> Iterator[tuple[str, str, Outcome]]:
    """Yield the outcome of every call; of some containers, if they are named."""
    for name in CONTAINERS if names is None else names:
        for title, function in FUNCTIONS.items():
            yield name, title, try_call(CONTAINERS[name], function)


if __name__ == "__main__":
    import collections
    import time
    start = time.time()
    faults = collections.Counter()
    for name, title, outcome in evaluate(sys.argv[2:] or None):
        if outcome.fault:
            print(f"{name:28} {title:26} {outcome.word}: {outcome.fault[:230]}")
            faults[name] += 1
    print(faults, time.time() - start)
