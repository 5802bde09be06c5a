"""Random calls of `gradient`, beside `numpy.gradient`: values, dtypes, and errors.

A call is right where both return the same bits, or where both refuse it. Mistakes are made on
purpose, one a call, from the table `MISTAKES`: gpugrad must answer each with a TypeError or a
ValueError of its own, raised in a frame of its own, never in one of a library's.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import gpugrad
from benchmarks.reliability.trial import Outcome
from gpugrad._engines import numpy_blocks

PACKAGE = str(Path(gpugrad.__file__).parent)

DTYPES = ("f4", "f8", "c8", "c16", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "g", ">f8",
          ">f4", ">i4", "m8[s]", "M8[D]", "O")  # fmt: skip
NUMBERS = DTYPES[:-3]
PLAIN = ("f4", "f8", "c8", "c16", "i4", "i8")
"""What every library has."""


class Call(NamedTuple):
    """A random call."""

    f: Any
    spacing: tuple[Any, ...]
    keywords: dict[str, Any]
    mistake: str | None

    def describe(self) -> str:
        """Say in a line what is called."""
        f = self.f
        told = f"{f.dtype} {f.shape}" if isinstance(f, np.ndarray) else repr(f)[:80]
        return f"f {told}, spacing {self.spacing!r}, {self.keywords}, mistake {self.mistake}"


def make_values(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return random samples: smooth, huge, special or whole numbers."""
    kind = np.dtype(dtype).kind
    if kind in "iu":
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, np.dtype(dtype).newbyteorder("="),
                            endpoint=True).astype(dtype)  # fmt: skip
    if kind in "mM":
        return rng.integers(-(10**6), 10**6, shape).astype(dtype)
    values = rng.normal(size=shape) * 10.0 ** rng.integers(-3, 4)
    if kind == "c":
        values = values + 1j * rng.normal(size=shape)
    if kind == "O":
        return values.astype(object)
    if rng.random() < 0.15 and values.size:
        special = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-310, 3e38, 1e308]
        places = rng.integers(0, values.size, 2)
        values.flat[places] = rng.choice(special, 2)
    with np.errstate(all="ignore"):
        return values.astype(dtype)


def lay_out(rng: np.random.Generator, f: np.ndarray) -> np.ndarray:
    """Return a view of an array: transposed, reversed, strided, not to be written to."""
    way = rng.integers(0, 8)
    if way == 0:
        return f.transpose(rng.permutation(f.ndim))
    if way == 1:
        return f[tuple([slice(None, None, -1)] * f.ndim)]
    if way == 2:
        return np.asfortranarray(f)
    if way == 3 and f.dtype.kind != "O":
        return np.repeat(f, 2, axis=-1)[..., ::2]
    if way == 4:
        f.flags.writeable = False
    if way == 5 and f.shape[0]:
        return np.broadcast_to(f[:1], f.shape)
    if way == 6 and f.dtype.kind != "O":  # not aligned
        raw = np.empty(f.nbytes + 1, "u1")
        odd = np.ndarray(f.shape, f.dtype, raw.data, offset=1)
        odd[...] = f
        return odd
    return f


def make_spacing(rng: np.random.Generator, n: int) -> Any:
    """Return a number, or `n` coordinates, even or not, up or down."""
    way = rng.integers(0, 9)
    sign = rng.choice([-1, 1])
    if way < 3:
        kind = [float, np.float64, np.float32, np.array, int, np.longdouble][rng.integers(0, 6)]
        return kind(sign * (rng.uniform(0.01, 100) if kind is not int else rng.integers(1, 9)))
    x = sign * np.cumsum(rng.integers(1, 1000, n)) / rng.choice([1, 3, 1000])
    return [
        x, x.astype("f4"), x.tolist(), np.arange(n) * 0.5 + 3, np.linspace(-1, 2, n),
        sign * np.cumsum(rng.integers(1, 9, n)),
    ][way - 3]  # fmt: skip


def choose_axis(rng: np.random.Generator, ndim: int) -> Any:
    """Return all axes, one, or several."""
    way = rng.integers(0, 3)
    if way == 0:
        return None
    if way == 1:
        return int(rng.integers(-ndim, ndim))
    return tuple(int(i) for i in rng.permutation(ndim)[: rng.integers(1, ndim + 1)])


def make_call(
    rng: np.random.Generator, dtypes: tuple[str, ...] = DTYPES, is_numpy: bool = True
) -> Call:
    """Return a random call without a mistake; on other libraries nothing that they lack."""
    ndim, edge_order = int(rng.integers(1, 5)), int(rng.integers(1, 3))
    longest = {1: 70, 2: 20, 3: 9, 4: 6}[ndim]
    shape = tuple(int(n) for n in rng.integers(edge_order + 1, longest, ndim))
    dtype = dtypes[rng.integers(0, len(dtypes))]
    f = make_values(rng, dtype, shape)
    if not is_numpy and f.dtype.kind == "c":  # products of infinity have NaN elsewhere in PyTorch
        f = np.where(np.abs(f) < 1e30, f, 1).astype(dtype)
    f = lay_out(rng, f)
    axis = choose_axis(rng, ndim)
    axes = range(ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    way = rng.integers(0, 3)
    spacing: tuple[Any, ...] = ()
    if way == 1:
        spacing = (float(rng.uniform(0.01, 100)),)
    elif way == 2:
        spacing = tuple(make_spacing(rng, f.shape[i]) for i in axes)
    if f.dtype.kind in "mMO":  # NumPy computes with these as they are, if at all
        spacing = ()
    if not is_numpy:  # extended precision is NumPy's and Dask's alone
        spacing = tuple(float(h) if type(h) is np.longdouble else h for h in spacing)
    return Call(f, spacing, {"axis": axis, "edge_order": edge_order}, None)


# Each returns a call with one mistake in it, or None where that call can't have it.
Mistake = Callable[[np.random.Generator, Call], Call | None]


def _with_keyword(name: str, values: tuple[Any, ...]) -> Mistake:
    def change(rng: np.random.Generator, call: Call) -> Call:
        keywords = call.keywords | {name: values[rng.integers(0, len(values))]}
        return call._replace(keywords=keywords)

    return change


def _with_spacing(make: Callable[[np.random.Generator, int], Any]) -> Mistake:
    def change(rng: np.random.Generator, call: Call) -> Call | None:
        f, axis = call.f, int(rng.integers(0, call.f.ndim))
        if f.dtype.kind in "mMO":
            return None
        return call._replace(
            spacing=(make(rng, f.shape[axis]),), keywords=call.keywords | {"axis": axis}
        )

    return change


def _spoil(values: tuple[Any, ...]) -> Callable[[np.random.Generator, int], Any]:
    def make(rng: np.random.Generator, n: int) -> Any:
        x: Any = np.cumsum(rng.uniform(0.5, 1, n))
        x[rng.integers(0, n)] = values[rng.integers(0, len(values))]
        return x

    return make


def _repeat(rng: np.random.Generator, n: int) -> Any:
    x = np.cumsum(rng.uniform(0.5, 1, n))
    i = rng.integers(1, n)
    x[i] = x[i - 1]
    return x


def _too_short(rng: np.random.Generator, call: Call) -> Call:
    axis = int(rng.integers(0, call.f.ndim))
    index = [slice(None)] * call.f.ndim
    index[axis] = slice(0, int(rng.integers(0, call.keywords["edge_order"] + 1)))
    return Call(call.f[tuple(index)], (), call.keywords | {"axis": axis}, None)


def _no_field(rng: np.random.Generator, call: Call) -> Call:
    no_fields = (np.sin, None, "1, 4, 9", {1: 2}, 3.0, np.array(3.0), {1.0, 2.0}, b"12")
    return call._replace(f=no_fields[rng.integers(0, len(no_fields))], spacing=())


MISTAKES: dict[str, Mistake] = {
    "no field": _no_field,
    "booleans": lambda rng, call: call._replace(f=np.asarray(call.f, object).astype(bool)),
    "too short": _too_short,
    "edge_order": _with_keyword("edge_order", (0, 3, -1, 1.5, "2", True, [1], np.nan)),
    "axis": _with_keyword("axis", (4, -5, 1.5, "x", (0, 0), (0, -4), (0, 9), [0, 7], 10**20)),
    "number of spacings": lambda rng, call: call._replace(spacing=(1.0,) * (call.f.ndim + 2)),
    "length": _with_spacing(
        lambda rng, n: np.arange(n + rng.choice([-1, 1, 7]), dtype=float) if n > 2 else [1.0]
    ),
    "zero": _with_spacing(lambda rng, n: rng.choice([0.0, -0.0, np.nan, np.inf])),
    "not finite": _with_spacing(_spoil((np.nan, np.inf, -np.inf))),
    "repeated": _with_spacing(_repeat),
    "boolean spacing": _with_spacing(lambda rng, n: bool(rng.integers(0, 2))),
    "complex spacing": _with_spacing(lambda rng, n: np.arange(n) * (1 + 1j)),
    "text": _with_spacing(lambda rng, n: ["1"] * n if rng.random() < 0.5 else "one"),
    "two axes": _with_spacing(lambda rng, n: np.ones((n, 2))),
    "nothing": _with_spacing(lambda rng, n: [] if rng.random() < 0.5 else [None] * n),
    "keyword": lambda rng, call: call._replace(keywords=call.keywords | {"edges": 1}),
}


def make_mistake(rng: np.random.Generator) -> Call:
    """Return a call with one mistake."""
    while True:
        name = [*MISTAKES][rng.integers(0, len(MISTAKES))]
        call = MISTAKES[name](rng, make_call(rng))
        if call is not None:
            return call._replace(mistake=name)


def as_tuple(results: Any) -> tuple[Any, ...]:
    """Return results as NumPy arrays, whether there are several or one."""
    results = results if isinstance(results, (tuple, list)) else (results,)
    return tuple(map(gpugrad.asnumpy, results))


def find_difference(
    got: Any, wanted: Any, exact: bool = True, largest_term: float = 0.0
) -> str | None:
    """Say in what results differ, or return None; one NaN is as good as another.

    Results that are not exact may differ by four roundings of the largest term, or result.
    """
    if len(got) != len(wanted):
        return f"{len(got)} results for {len(wanted)}"
    for i, (a, b) in enumerate(zip(got, wanted, strict=True)):
        if a.dtype != b.dtype or a.shape != b.shape:
            return f"result {i} is {a.dtype} {a.shape} for {b.dtype} {b.shape}"
        if not _are_equal(a, b, exact, largest_term):
            return f"result {i} differs from NumPy's"
    return None


def find_largest_term(call: Call) -> float:
    """Return how large a weight times a sample may be."""
    f = np.abs(np.asarray(call.f, np.float64))
    steps = [
        np.abs(np.diff(h) * 1.0 if np.ndim(h) else float(h)).min(initial=np.inf)
        for h in call.spacing
    ]
    return 2 * float(f[np.isfinite(f)].max(initial=0.0)) / min([1.0, *map(float, steps)])


def _are_equal(a: np.ndarray, b: np.ndarray, exact: bool, largest_term: float) -> bool:
    if a.dtype.kind == "c":
        parts = (a.real, b.real), (a.imag, b.imag)
        return all(_are_equal(*pair, exact, largest_term) for pair in parts)
    if a.dtype.kind in "mM":
        return bool(np.array_equal(a.astype("i8"), b.astype("i8")))
    if a.dtype.kind != "f":
        return bool(np.array_equal(a, b))
    same = (a == b) & (np.signbit(a) == np.signbit(b)) | (np.isnan(a) & np.isnan(b))
    if not exact:
        finite = b[np.isfinite(b)]
        largest = max(largest_term, np.abs(finite).max() if finite.size else 1)
        unit = np.finfo(a.dtype).eps * largest
        same |= np.abs(a - b) <= 4 * unit
    return bool(same.all())


@contextlib.contextmanager
def _in_blocks() -> Iterator[None]:
    """Let small fields be cut into blocks, as large ones are."""
    names = "BLOCK_BYTES", "WHOLE_BYTES", "FLAT_SIZE"
    before = [getattr(numpy_blocks, name) for name in names]
    for name, limit in zip(names, (64, 0, 0), strict=True):
        setattr(numpy_blocks, name, limit)
    try:
        with gpugrad.use_backend("numpy", threads=2):
            yield
    finally:
        for name, limit in zip(names, before, strict=True):
            setattr(numpy_blocks, name, limit)


@contextlib.contextmanager
def _compiled() -> Iterator[None]:
    """Let small fields be computed on threads, as large ones are."""
    from gpugrad._engines.compiled import engine

    before, engine.THREADED_BYTES = engine.THREADED_BYTES, 0
    try:
        with gpugrad.use_backend("compiled", threads=2):
            yield
    finally:
        engine.THREADED_BYTES = before


class Way(NamedTuple):
    """A way to compute: who holds the field, on which engine, and how many cases of a thousand."""

    weight: int
    engine: Callable[[], contextlib.AbstractContextManager[Any]]
    convert: Callable[[np.ndarray], Any] | None = None
    exact: bool = True
    dtypes: tuple[str, ...] = DTYPES


def _to_torch(f: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(f.copy())


def _to_jax(f: np.ndarray) -> Any:
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax.numpy.asarray(f)


def _to_dask(f: np.ndarray) -> Any:
    import dask.array

    return dask.array.from_array(f.copy(), chunks=4)


def _to_strict(f: np.ndarray) -> Any:
    import array_api_strict

    return array_api_strict.asarray(f.copy())


def list_ways() -> dict[str, Way]:
    """Return the engines and libraries that are here, by name."""
    slices = contextlib.nullcontext
    ways = {
        "auto": Way(390, slices),
        "slices": Way(180, lambda: gpugrad.use_backend("slices")),
        "numpy": Way(250, _in_blocks, dtypes=NUMBERS),
        "compiled": Way(30, _compiled, dtypes=NUMBERS[:12]),
        "torch": Way(30, slices, _to_torch, dtypes=PLAIN),
        "array_api_strict": Way(20, slices, _to_strict, dtypes=PLAIN),
        "dask": Way(8, slices, _to_dask, dtypes=PLAIN),
        "jax": Way(1, slices, _to_jax, exact=False, dtypes=("f4", "f8")),
    }
    needs = {"compiled": "llvmlite", "torch": "torch", "array_api_strict": "array_api_strict",
             "dask": "dask", "jax": "jax"}  # fmt: skip
    return {name: way for name, way in ways.items() if find_spec(needs.get(name, "numpy"))}


def ask_numpy(call: Call) -> tuple[tuple[Any, ...] | None, BaseException | None]:
    """Return NumPy's results, or its error."""
    try:
        results = np.gradient(call.f, *call.spacing, **call.keywords)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
        return None, error
    return results if isinstance(results, (tuple, list)) else (results,), None


def is_our_own(error: BaseException) -> bool:
    """Tell whether an error is raised by a line of the package, not somewhere beneath it."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    return step is not None and (
        step.tb_frame.f_code.co_filename.startswith(PACKAGE)
        or isinstance(error, np.exceptions.AxisError)
    )


def judge(call: Call, way: Way) -> str | None:
    """Make a call both ways; say what is wrong, or return None."""
    wanted, refusal = ask_numpy(call)
    f = call.f if way.convert is None else way.convert(call.f)
    try:
        try:
            with way.engine():
                got = as_tuple(gpugrad.gradient(f, *call.spacing, **call.keywords))
        except gpugrad.BackendError:  # an engine need not have all: longdouble is not compiled
            got = as_tuple(gpugrad.gradient(f, *call.spacing, **call.keywords))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is judged
        if call.mistake is None and refusal is None:
            return f"NumPy answers, and here is {type(error).__name__}: {error}"
        if not isinstance(error, (TypeError, ValueError)):
            return f"not a TypeError or ValueError: {type(error).__name__}: {error}"
        if not is_our_own(error):
            return f"an error from beneath: {type(error).__name__}: {error}"
        return None
    if call.mistake is not None:
        return "a mistake is answered with numbers"
    if wanted is None:
        return f"NumPy refuses ({type(refusal).__name__}: {refusal}), and here is an answer"
    wanted = tuple(map(np.asarray, wanted))
    if way.exact:
        return find_difference(got, wanted)
    return find_difference(got, wanted, False, find_largest_term(call))


def run(
    count: int, seed: int, only: int | None = None, ways: dict[str, Way] | None = None
) -> Outcome:
    """Try so many calls; the call with the number `only` alone, to look at it."""
    outcome, ways = Outcome(), ways or list_ways()
    names, weights = [*ways], np.array([way.weight for way in ways.values()], float)
    weights /= weights.sum()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for number in range(count) if only is None else [only]:
            rng = np.random.default_rng((seed, number))
            name = str(rng.choice(names, p=weights))
            way = ways[name]
            is_mistake = rng.random() < 0.2 and way.convert is None
            call = (
                make_mistake(rng) if is_mistake else make_call(rng, way.dtypes, way.convert is None)
            )
            problem = judge(call, way)
            outcome.tried += 1
            outcome.notes[name] += 1
            outcome.notes["with a mistake"] += call.mistake is not None
            if problem is not None:
                outcome.fail(f"call {number} of seed {seed}, {name}: {call.describe()}: {problem}")
    return outcome


if __name__ == "__main__":  # python -m benchmarks.reliability.random_calls SEED NUMBER
    run(1, int(sys.argv[1]), int(sys.argv[2]))
