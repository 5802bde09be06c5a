"""Calls of operators that come again, beside the reference engine: values, dtypes, and errors.

A call that comes again is found by what its arguments are like. Found for another call, it would be
silently wrong. So some forms of calls are made again and again, in random order, each time with
other samples, layouts and numbers. Forms are made from one another by a change of one thing, which
may make them wrong.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

import gpugrad
from benchmarks.reliability.random_calls import find_difference, lay_out, make_values
from benchmarks.reliability.trial import Outcome
from gpugrad._engines import ready
from gpugrad._engines.compiled import offers
from gpugrad._operators import prepared

FORMS = 25
"""Forms that are called in turn; from time to time a new one takes the place of the oldest."""

CALLS = 2000
"""Calls after which all that is prepared is forgotten, and programs come at once, or never."""

ROUNDINGS = 1e3
"""Of the largest result, by how many where a library rounds otherwise: not by how much is shown."""

DTYPES = ("f4", "f8", "c8", "c16", "i1", "u2", "i4", "i8", ">f8", ">f4", ">i4", ">c16", "f2")
SHAPES = ((3,), (7,), (20,), (4, 5), (9, 10), (3, 4, 5), (2, 3, 3, 4), (30, 40), (5, 0), (70, 70),
          (8, 3, 2))  # fmt: skip
NUMBERS = (0.3, -2.0, 1, 2, 1.0, 1e-3, np.float64(0.7), np.float32(0.3), np.int64(2), True, 0.0)
COORDINATES = "coordinates"

Values = np.ndarray[Any, Any]


class Form(NamedTuple):
    """What a call is like, but for samples, memory layouts and numbers."""

    operator: str
    shape: tuple[int, ...]
    dtype: str
    container: str
    options: dict[str, Any]
    spacing: tuple[Any, ...]  # a number whose type counts, or `COORDINATES`, for each axis

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes along which there are spacings."""
        axis = self.options.get("axis", -1 if self.operator == "derivative" else None)
        return tuple(range(len(self.shape))) if axis is None else (axis,)


OPTIONS: dict[str, tuple[Any, ...]] = {
    "accuracy": (2, 4, 2.0),
    "edge_order": (1, 2),
    "boundary": ("reflect", "symmetric", "odd-reflect", "edge", 2.5, (1.0, 0.0), "one-sided"),
    "stack": (True, False, 1),
    "axis": (0, -1, 1),
    "order": (1, 2, 3),
}

OPERATORS: dict[str, tuple[str, ...]] = {
    "gradient": ("accuracy", "edge_order", "boundary", "stack", "axis"),
    "derivative": ("accuracy", "boundary", "axis", "order"),
    "laplacian": ("accuracy", "boundary", "axis"),
    "gradient_norm": ("accuracy", "edge_order", "boundary", "axis"),
    "hessian": ("accuracy", "boundary", "stack"),
    "divergence": ("accuracy", "edge_order", "boundary"),
    "curl": ("accuracy", "edge_order", "boundary"),
    "jacobian": ("accuracy", "edge_order", "boundary"),
    "vector_laplacian": ("accuracy", "boundary", "stack"),
}
"""Which options are drawn for an operator."""

SPHERES = ("gradient", "laplacian", "gradient_norm", "divergence", "curl")
"""Methods of spheres: one of these is the option of a form for a sphere."""


def _to_masked(rng: np.random.Generator, f: Values) -> Any:
    mask = np.ma.nomask if rng.random() < 0.2 else rng.random(f.shape) < 0.1
    return np.ma.array(f, mask=mask, fill_value=7, hard_mask=bool(rng.integers(2)))


def _to_tensor(rng: np.random.Generator, f: Values) -> Any:
    import torch

    return torch.from_numpy(np.array(f))


def _to_jax(rng: np.random.Generator, f: Values) -> Any:
    import jax

    return jax.numpy.asarray(f)


CONTAINERS: dict[str, Callable[[np.random.Generator, Values], Any]] = {
    "array": lambda rng, f: f,
    "masked": _to_masked,
    "list": lambda rng, f: f.tolist(),
    "tensor": _to_tensor,
    "jax": _to_jax,
}
NEEDS = {"tensor": "torch", "jax": "jax"}
DTYPES_OF = {"list": ("f8", "i8"), "tensor": ("f4", "f8", "i4", "i8"), "jax": ("f4", "i4")}
"""What differs in dtype from a list, or what a library doesn't have by default, is left out."""


def draw_form(rng: np.random.Generator) -> Form:
    """Return a form of a call that is right."""
    while True:
        form = _draw_form(rng)
        _, refusal = _ask(make_call(rng, form), backend="slices")
        if refusal is None:
            return form


def _draw_form(rng: np.random.Generator) -> Form:
    if rng.random() < 0.1:
        shape = _pick(rng, [(4, 5), (9, 10), (30, 40), (70, 70)])
        return Form(
            "sphere", shape, _pick(rng, DTYPES), "array", {"method": _pick(rng, SPHERES)}, ()
        )
    container, operator = _draw_container(rng), _pick(rng, [*OPERATORS])
    options = {k: _pick(rng, OPTIONS[k]) for k in OPERATORS[operator] if rng.random() < 0.3}
    dtype = _pick(rng, DTYPES_OF.get(container, DTYPES))
    form = Form(operator, _pick(rng, SHAPES), dtype, container, options, ())
    return form._replace(spacing=_draw_kinds(rng, form))


def _draw_container(rng: np.random.Generator) -> str:
    name = _pick(rng, ["array"] * 12 + ["masked"] * 4 + ["list", "tensor"] * 2 + ["jax"])
    return name if find_spec(NEEDS.get(name, "numpy")) else "array"


def change_form(rng: np.random.Generator, form: Form) -> Form:
    """Return a form that differs in one thing."""
    way = rng.integers(5)
    if way == 0:
        return form._replace(dtype=_pick(rng, DTYPES_OF.get(form.container, DTYPES)))
    if way == 1 and form.options:
        options = {**form.options}
        name = _pick(rng, [*options])
        options[name] = _pick(rng, SPHERES if name == "method" else OPTIONS[name])
        return form._replace(options=options)
    if way == 2 and form.container == "array" and form.operator != "sphere":
        return form._replace(container="masked")
    if way == 3 and form.operator != "sphere":
        most = 40 if len(form.shape) < 3 else 9
        return form._replace(shape=tuple(rng.integers(1, most, len(form.shape)).tolist()))
    return form._replace(spacing=_draw_kinds(rng, form))


def make_call(rng: np.random.Generator, form: Form) -> Callable[..., Any]:
    """Return a call of this form as a function of further options."""
    shape, method = form.shape, form.options.get("method")
    count = 1
    if form.operator in ("divergence", "curl"):
        count = len(shape)
    elif form.operator in ("jacobian", "vector_laplacian") or method in ("divergence", "curl"):
        count = 2
    fields = [_draw_field(rng, form) for _ in range(count)]
    if count > 1 and rng.random() < 0.1:
        fields = fields[:1] * count
    if form.operator == "sphere":
        return _make_call_of_sphere(rng, form, fields)
    takes_one = form.operator not in ("divergence", "curl", "jacobian", "vector_laplacian")
    axes = form.axes * len(form.spacing)
    spacing = [_draw_spacing(rng, h, shape[axis % len(shape)])
               for h, axis in zip(form.spacing, axes, strict=False)]  # fmt: skip
    operator = getattr(gpugrad, form.operator)
    f = fields[0] if takes_one else fields
    return lambda **more: operator(f, *spacing, **form.options, **more)


def _make_call_of_sphere(
    rng: np.random.Generator, form: Form, fields: list[Any]
) -> Callable[..., Any]:
    # Often the same sphere, and else one that is like another.
    make = _make_sphere if rng.random() < 0.7 else _make_sphere.__wrapped__
    sphere = make(form.shape, _pick(rng, [-60, 10]), _pick(rng, [90, 300]), _pick(rng, [1, 2.5]))
    method = form.options["method"]
    if len(fields) == 2:
        return lambda **more: getattr(sphere, method)(u=fields[0], v=fields[1], **more)
    return lambda **more: getattr(sphere, method)(fields[0], **more)


@cache
def _make_sphere(shape: tuple[int, ...], south: int, east: int, radius: float) -> gpugrad.Sphere:
    latitude = np.linspace(south, south + 50, shape[0])
    return gpugrad.Sphere(latitude, np.linspace(0, east, shape[1]), radius=radius)


def _draw_field(rng: np.random.Generator, form: Form) -> Any:
    values = make_values(rng, form.dtype, form.shape)
    if form.container == "jax":  # its roundings are all there is of the slopes of a constant field
        return _to_jax(rng, values)
    values = lay_out(rng, values)
    if values.shape != form.shape:  # it was transposed
        values = values.T if values.T.shape == form.shape else np.ascontiguousarray(
            np.resize(values, form.shape))  # fmt: skip
    return CONTAINERS[form.container](rng, values)


def _draw_spacing(rng: np.random.Generator, h: Any, n: int) -> Any:
    """Return coordinates, or a number of the same type that may be another."""
    if h is COORDINATES:
        x = np.cumsum(rng.uniform(0.2, 2, n)) * _pick(rng, [1, 1, -1])
        return x.astype(_pick(rng, ["f8", "f8", "f4"]))
    return h if isinstance(h, bool) else type(h)(h * _pick(rng, [1, 1, 3]))


def _draw_kinds(rng: np.random.Generator, form: Form) -> tuple[Any, ...]:
    way = rng.integers(4)
    if way == 0:
        return ()
    if way == 1:
        return (_pick(rng, NUMBERS),)
    return tuple(COORDINATES if rng.random() < 0.4 else _pick(rng, NUMBERS) for _ in form.axes)


def _pick(rng: np.random.Generator, things: Any) -> Any:
    return things[rng.integers(len(things))]


def judge(call: Callable[..., Any], form: Form) -> str | None:
    """Make a call as it is and by the reference engine; say what is wrong, or return None."""
    wanted, refusal = _ask(call, backend="slices")
    got, error = _ask(call)
    if refusal is not None or error is not None:
        if type(refusal) is type(error) and str(refusal) == str(error):
            return None
        return f"{refusal!r} of the reference engine, and here is {error!r}"
    got, wanted = _flatten(got), _flatten(wanted)
    for a, b in zip(got, wanted, strict=False):
        if type(a) is not type(b):
            return f"a {type(a).__name__} for a {type(b).__name__}"
        if isinstance(a, np.ma.MaskedArray):
            problem = _compare_masks(a, b)
            if problem:
                return problem
    got, wanted = [*map(_read, got)], [*map(_read, wanted)]
    # PyTorch's own sums of squares, which the reference engine takes, are rounded otherwise.
    if form.container == "jax" or (form.container, form.operator) == ("tensor", "gradient_norm"):
        return find_difference(got, wanted, False, ROUNDINGS * _find_largest(wanted))
    return find_difference(got, wanted)


def _find_largest(arrays: Sequence[Values]) -> float:
    return max(float(np.abs(a[np.isfinite(a)]).max(initial=0)) for a in arrays)


def _ask(call: Callable[..., Any], **more: Any) -> tuple[Any, Exception | None]:
    try:
        return call(**more), None
    except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
        return None, error


def _flatten(results: Any) -> list[Any]:
    if isinstance(results, (tuple, list)):
        return [array for part in results for array in _flatten(part)]
    return [results]


def _compare_masks(a: Any, b: Any) -> str | None:
    if (a.mask is np.ma.nomask) != (b.mask is np.ma.nomask):
        return f"the mask {a.mask!r} for {b.mask!r}"
    if not np.array_equal(np.ma.getmaskarray(a), np.ma.getmaskarray(b)):
        return "another mask"
    same = a.fill_value == b.fill_value or a.fill_value != a.fill_value
    return None if same else f"the fill value {a.fill_value} for {b.fill_value}"


def _read(result: Any) -> Values:
    """Return a result as an array; what is masked counts as nothing."""
    return np.asarray(result.filled(0)) if np.ma.isMaskedArray(result) else gpugrad.asnumpy(result)


@contextlib.contextmanager
def _programs(at_once: bool) -> Iterator[None]:
    """Let programs be compiled as soon as they can be, or never; forget what was prepared."""
    before = offers.PATIENCE, ready._LOOK_SECONDS, ready._OFTEN
    offers.PATIENCE = 0.0 if at_once else 1e9
    ready._LOOK_SECONDS, ready._OFTEN = 0.0, 2
    prepared._calls.clear()
    try:
        with gpugrad.use_backend(threads=1):  # a program that is wanted is there at once
            yield
    finally:
        offers.PATIENCE, ready._LOOK_SECONDS, ready._OFTEN = before


def run(count: int, seed: int) -> Outcome:
    """Make so many calls."""
    outcome = Outcome()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for start in range(0, count, CALLS):
            at_once = (start // CALLS) % 2 == 0 and bool(find_spec("llvmlite"))
            with _programs(at_once):
                _run_part(range(start, min(count, start + CALLS)), seed, outcome)
    return outcome


def _run_part(numbers: range, seed: int, outcome: Outcome) -> None:
    rng = np.random.default_rng((seed, numbers.start))
    forms: list[Form] = []
    for number in numbers:
        if not forms or rng.random() < 0.1:
            is_changed = forms and rng.random() < 0.5
            forms.append(change_form(rng, _pick(rng, forms)) if is_changed else draw_form(rng))
            del forms[:-FORMS]
        form = _pick(rng, forms)
        problem = judge(make_call(rng, form), form)
        outcome.tried += 1
        outcome.notes[form.operator] += 1
        if problem is not None:
            outcome.fail(f"call {number} of seed {seed}: {form}: {problem}")
