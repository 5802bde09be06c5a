"""Calls as people make them every day, each beside what they would call without gpugrad.

A row of the table is a statement of ours, the statements of its peers, and how much of the time of
the fastest peer ours may take.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

import gpugrad
from benchmarks import beginnings, peers
from benchmarks.engines import load_compiled_engine
from benchmarks.floor import has_compiler
from benchmarks.measure import Timer, as_tuple, assert_same_bits, batched
from benchmarks.table import Case, Heats, Promise, Row

BATCH = 0.002
"""Seconds that a batch of short statements takes at least."""

LINES: tuple[tuple[int, ...], ...] = ((10,), (100,), (1000,))
PLANES: tuple[tuple[int, ...], ...] = ((10, 10), (70, 70))
SPACE = (128, 128, 128)


class Comparison(NamedTuple):
    """A statement of ours, and those of its peers."""

    family: str
    shape: tuple[int, ...]
    ours: str
    peers: Mapping[str, str]
    goal: float  # of the time of the fastest peer
    tolerance: float = 0.0  # how far results may differ; without any, they have the same bits
    spoiled: int = 0  # samples at each end for which the first peer has other formulas
    reference: str = ""  # a statement with our results, if the first peer has others; "()": none
    library: str = "numpy"  # without which the row is left out
    make: Callable[..., dict[str, Any]] = peers.make_names
    draw: peers.Draw | None = None  # for statements with `fresh()`, the next set of arguments

    @property
    def title(self) -> str:
        """The title of the case."""
        return f"{self.family}: {self.ours}, {'x'.join(map(str, self.shape))}"


def list_cases(quick: bool) -> Iterator[Case]:
    """Yield the rows of all families, and what is paid once."""
    for row in chain.from_iterable(family(quick) for family in FAMILIES):
        promise = Promise("gpugrad", "over_peer", row.goal)
        yield Case(row.title, partial(race, row, quick), (promise,))
    yield from beginnings.list_cases(quick)


def race(comparison: Comparison, quick: bool, row: Row) -> Heats:
    """Compare the results, then time batches of each statement."""
    if not find_spec(comparison.library):
        row["skipped"]["gpugrad"] = f"{comparison.library} is not installed"
        return
    load_compiled_engine()  # a process that has been at work for a while
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what NumPy says of infinities
        names = comparison.make(comparison.shape, comparison.library, comparison.draw)
        draw = names.get("draw") or (lambda number: ())
        statements = {"gpugrad": comparison.ours, **comparison.peers}
        expected = comparison.reference or next(iter(comparison.peers.values()))
        if expected != "()":
            first = [*draw(1)]
            assert_same(comparison, *(
                eval(text, names | {"fresh": iter(first).__next__})
                for text in (comparison.ours, expected)
            ))  # fmt: skip

        def renew(number: int, names: dict[str, Any]) -> None:
            names["fresh"] = iter([*draw(number)]).__next__

        def make(text: str, number: int) -> Timer:
            return batched(text, dict(names), number, partial(renew, number))

        runs = range(1 if quick else 3)
        once = min(max(make(text, 1)() for text in statements.values()) for _ in runs)
        number = 1 if quick else max(1, round(BATCH / once))
        yield {name: make(text, number) for name, text in statements.items()}


def assert_same(comparison: Comparison, ours: Any, expected: Any) -> None:
    """Raise unless results are the same: in every bit, or inside and up to rounding."""
    title, tolerance, spoiled = comparison.title, comparison.tolerance, comparison.spoiled
    if not tolerance:
        if type(ours) is not type(expected):
            raise AssertionError(f"{title}: {type(ours).__name__}, not {type(expected).__name__}")
        assert_same_bits(title, ours, expected)
        return
    for a, b in zip(as_tuple(ours), as_tuple(expected), strict=True):
        a, b = (np.ma.filled(as_numpy(x), np.nan) for x in (a, b))
        cut = (a.shape[-1] - b.shape[-1]) // 2  # of slices inside there are fewer results
        a = a[(slice(cut, -cut or None),) * a.ndim]
        inside = (slice(spoiled, -spoiled or None),) * a.ndim
        if not np.allclose(a[inside], b[inside], tolerance, tolerance, equal_nan=True):
            raise AssertionError(f"{title}: the results are not those of the peer")


def as_numpy(array: Any) -> Any:
    """Return an array in NumPy; NumPy has no bfloat16."""
    if isinstance(array, np.ndarray):
        return array
    return gpugrad.asnumpy(array.float() if "bfloat16" in str(array.dtype) else array)


def list_small(quick: bool) -> Iterator[Comparison]:
    """Yield plain calls on little data, and such that say or pass something more."""
    for shape in ((3,), *LINES, (5000,), (5, 5), (10, 10), (25, 40), (70, 70), (6, 6, 6)):
        goal = 0.35 if shape in LINES else 0.55
        yield compare_numpy("small", shape, "gradient(f)", goal)
    for statement, shapes in (
        ("gradient(f, 0.5)", (*LINES, *PLANES)),
        ("gradient(f, np.float64(0.5))", (*LINES, *PLANES)),
        ("gradient(f, 2)", (*LINES, *PLANES)),
        ("gradient(f, edge_order=2)", (*LINES, *PLANES)),
        ("gradient(f, axis=-1)", (*LINES, *PLANES)),
        ("gradient(f, axis=(0, 1))", PLANES),
        ("gradient(i)", (*LINES, *PLANES)),
        ("gradient(values)", ((10,), (100,), (10, 10))),
    ):
        for shape in shapes:
            yield compare_numpy("options", shape, statement, 0.7)
    numpys = {"numpy": "np.gradient(f)"}
    for shape in (*LINES, *PLANES):
        yield compare_numpy("options", shape, "gradient(masked)", 0.7, 1e-12)
    for shape in PLANES:
        stacked = {"numpy": "np.stack(np.gradient(f))"}
        yield Comparison("options", shape, "gradient(f, stack=True)", stacked, 0.7)
    for shape in (*LINES, *PLANES, (6, 6, 6)):
        yield Comparison("out", shape, "gradient(f, out=out)", numpys, 0.6)


def list_new(quick: bool) -> Iterator[Comparison]:
    """Yield calls with spacings, coordinates and lengths that have not been there before."""
    for shape in (*LINES, *PLANES):
        for name, draw in (
            ("spacing", peers.draw_spacings),
            ("coordinates", partial(peers.draw_coordinates, shape)),
        ):
            statement = "gradient(f, *fresh())"
            yield compare_numpy(f"new {name}", shape, statement, 0.8, draw=draw)
    for number in (70, 300, 1000):
        draw = partial(peers.draw_lengths, number)
        yield compare_numpy("lengths in turn", (number,), "gradient(*fresh())", 0.8, draw=draw)
    for shape in ((10,), (3000,), (30_000,), (100_000,)):
        yield compare_numpy("same coordinates", shape, "gradient(f, *xs)", 0.8)
    numpys = {"numpy": "np.gradient(f, *fresh())"}
    for shape in (*LINES, (10, 10)):
        ours = "gradient(f, *fresh(), accuracy=4)"
        yield Comparison("new spacing", shape, ours, numpys, 2.0, draw=peers.draw_spacings,
                         reference=ours.replace("=4", "=4, backend='slices'"))  # fmt: skip


def list_operators(quick: bool) -> Iterator[Comparison]:
    """Yield operators on fields of a few numbers up to a cube of 32 a side."""
    for shape in ((5, 5), (10, 10), (60, 60), (128, 128), (6, 6, 6), (16, 16, 16), (32, 32, 32)):
        others = {"slices inside": "laplacian_inside(f)"}
        if find_spec("scipy"):
            others["ndimage"] = "ndimage.laplace(f, mode='nearest')"
        yield Comparison("operators", shape, "laplacian(f)", others, 0.7, 1e-9)
    for shape in ((10, 10), (128, 128), (6, 6, 6), (32, 32, 32)):
        axes = range(len(shape))
        divergence = " + ".join(f"np.gradient(v[{axis}], axis={axis})" for axis in axes)
        for ours, numpys in (
            ("divergence(v)", divergence),
            ("curl(v)", "numpys_curl(v)"),
            ("gradient_norm(f)", "np.sqrt(sum(slope * slope for slope in np.gradient(f)))"),
        ):
            yield Comparison("operators", shape, ours, {"numpy": numpys}, 0.7, 1e-12)
        numpys = "[np.gradient(slope) for slope in np.gradient(f)]"
        yield Comparison("operators", shape, "hessian(f, stack=True)", {"numpy": numpys}, 0.7,
                         reference="hessian(f, stack=True, backend='slices')")  # fmt: skip
    for shape in ((10, 10), (60, 60), (128, 128)):
        numpys = "numpys_sphere(f, *angles)"
        yield Comparison("operators", shape, "sphere.gradient(f)", {"numpy": numpys}, 0.7, 1e-9, 1)
    for shape in ((10, 10), (60, 60), (128, 128), (721, 1440)):
        small = shrink(shape, quick)
        for ours, numpys in (
            ("sphere.laplacian(f)", "numpys_laplacian_on_sphere(f, *angles)"),
            ("sphere.divergence(u=f, v=f)", "numpys_divergence_on_sphere(f, f, *angles)"),
            ("sphere.curl(u=f, v=f)", "numpys_curl_on_sphere(f, f, *angles)"),
        ):  # NumPy's have other errors
            reference = ours.replace(")", ", backend='slices')")
            yield Comparison("operators", small, ours, {"numpy": numpys}, 0.7, reference=reference)


def list_labelled(quick: bool) -> Iterator[Comparison]:
    """Yield calls on DataArrays."""
    for shape in ((10, 10), (100, 100), (600, 600)):
        xarrays = {"xarray": "d.differentiate('x').values"}
        ours = "derivative(d, 'x').values"
        yield Comparison("labelled", shape, ours, xarrays, 1.0, 1e-9, library="xarray")


def list_jax(quick: bool) -> Iterator[Comparison]:
    """Yield calls on JAX arrays outside of `jax.jit`, and traces with a mask."""
    ready = "jax.block_until_ready({})".format
    for shape in ((100,), (100, 100), (64, 64, 64)):
        for call in ("gradient(a)", "gradient(a, 0.5)", "gradient(a, axis=0)"):
            jaxs = {"jax": ready(f"jnp.{call}")}
            yield Comparison("jax", shape, ready(call), jaxs, 1.2, 1e-5, library="jax")
        if len(shape) > 1:
            inside = {"slices inside": ready("laplacian_inside(a)")}
            ours = ready("laplacian(a)")
            yield Comparison("jax", shape, ours, inside, 1.2, 1e-4, library="jax")
        jaxs = {"jax": ready("jnp.gradient(a, *fresh())")}
        for call in ("gradient(a, *fresh())", "gradient(a, *fresh(), accuracy=4)",
                     "laplacian(a, *fresh())"):  # fmt: skip
            yield Comparison("jax, new spacing", shape, ready(call), jaxs, 1.2, reference="()",
                             library="jax", draw=peers.draw_spacings)  # fmt: skip
    for options in ("", ", accuracy=4"):
        trace = "jax.jit(lambda a: gradient(a{})).trace(a)"
        plain = {"no mask": trace.format(options)}
        ours = trace.format(f"{options}, where=where")
        yield Comparison("jax", (64, 64), ours, plain, 2.0, reference="()", library="jax")


def list_torch(quick: bool) -> Iterator[Comparison]:
    """Yield calls on tensors, with and without automatic differentiation."""
    for shape in (*LINES, *PLANES, (6, 6, 6)):
        torchs = {"torch": "torch.gradient(t)"}
        yield Comparison("torch", shape, "gradient(t)", torchs, 1.5, 1e-12, library="torch")
    for shape in ((256, 256), SPACE):
        small = shrink(shape, quick)
        backward = "torch.autograd.grad({}(g), g, (t,) * t.ndim)".format
        rolls = {"rolls": backward("differences_of_rolls")}
        ours = backward("gradient")
        yield Comparison("torch", small, ours, rolls, 0.3, 1e-9, 2, library="torch")
        torchs = {"torch": "without_graph(torch.gradient, g)"}
        ours = "without_graph(gradient, g)"
        yield Comparison("torch", small, ours, torchs, 0.1, 1e-12, library="torch")
        for half in ("half", "bfloat16"):
            torchs = {"torch": f"torch.gradient({half})"}
            ours = f"gradient({half})"
            yield Comparison("torch", small, ours, torchs, 1.0, 0.05, library="torch")


def list_unusual(quick: bool) -> Iterator[Comparison]:
    """Yield large fields as files hand them out, fields with short axes, and masks."""
    space = shrink(SPACE, quick)
    yield compare_numpy("unusual", space, "gradient(masked)", 0.1, 1e-12)
    for statement in ("gradient(swapped)", "gradient(infinite)"):
        yield compare_numpy("unusual", space, statement, 0.1)
    for shape in ((40, 40, 10, 10, 10), (8,) * 7, (100, 100, 100, 3), (24,) * 4):
        for options in ("", ", axis=0", ", axis=-1"):
            yield compare_numpy("short axes", shrink(shape, quick), f"gradient(f{options})", 0.5)
    for ours, name, peer, goal in (
        ("where=where, accuracy=6", "accuracy 4", "where=where, accuracy=4", 5.0),
        ("where=where, accuracy=8", "accuracy 4", "where=where, accuracy=4", 5.0),
        ("where=lands", "mask in 2-D", "where=land", 1.5),
        ("where=where, backend='numpy'", "no mask", "backend='numpy'", 5.0),
    ):
        call = "gradient(f, {})".format
        slices = call(ours.partition(", backend")[0] + ", backend='slices'")
        yield Comparison("masks", space, call(ours), {name: call(peer)}, goal, reference=slices)


def list_generated(quick: bool) -> Iterator[Comparison]:
    """Yield large fields beside C that pystencils generates, which keeps no bits.

    In float32 the peer may add in whatever order is fastest; our order may cost a little.
    """
    for operator in ("laplacian", "gradient") if has_compiler() else ():
        for dtype, tolerance in (("float64", 1e-9), ("float32", 1e-3)):
            for accuracy in (2, 4, 8):
                yield Comparison(
                    f"{dtype}, generated",
                    shrink((256, 256, 256), quick),
                    f"{operator}(f, accuracy={accuracy}, out=out)",
                    {"pystencils": "generated()"},
                    1.1 if accuracy == 8 and dtype == "float32" else 0.9,
                    tolerance,
                    accuracy // 2,
                    library="pystencils",
                    make=partial(peers.generate, dtype, operator, accuracy),
                )


FAMILIES = (
    list_small, list_new, list_operators, list_labelled, list_jax, list_torch, list_unusual,
    list_generated,
)  # fmt: skip


def compare_numpy(
    family: str, shape: tuple[int, ...], statement: str, goal: float, *rest: Any, **options: Any
) -> Comparison:
    """Return a row whose statement is the same for both libraries."""
    peer = {"numpy": f"np.{statement}"}
    return Comparison(family, shape, statement, peer, goal, *rest, **options)


def shrink(shape: tuple[int, ...], quick: bool) -> tuple[int, ...]:
    """Return a shape, or a smaller one for a quick run."""
    return tuple(min(n, 20 if len(shape) < 4 else 5) for n in shape) if quick else shape
