"""Gradients of large fields: gpugrad beside NumPy, every other library and the floor of memory."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from benchmarks import contenders
from benchmarks.contenders import CONTENDERS, OTHERS, OURS, Setting, prepare
from benchmarks.floor import race_floor
from benchmarks.machine import find_memory
from benchmarks.measure import Spread, Timer, assert_same_bits, run_python, timed, traced_peak
from benchmarks.table import Case, Heats, Promise, Row, find_rates
from gpugrad._arrays import threads

SHARE_OF_MEMORY = 0.8
"""What a case may take of the memory that is left."""

REST = 0.01
"""Seconds between two calls where other libraries take part: their threads wait in busy loops."""

CUBE, LARGER, LARGEST = (256,) * 3, (384,) * 3, (600,) * 3
QUICK = {3: (48,) * 3, 2: (320,) * 2, 1: (1 << 17,)}

EVERYBODY = OURS + OTHERS
ONE, TWO = "gpugrad numpy, 1 thread", "gpugrad numpy, 2 threads"

promise = partial(Promise, "gpugrad")
NEAR_FLOOR_3D = (promise("over_floor", 1.15), promise("speed_up", 7.0))
NEAR_FLOOR = (promise("over_floor", 1.2), promise("speed_up", 5.0))
UNEVEN = (promise("over_plain", 1.15), promise("speed_up", 12.0))
LAYOUT, INTEGERS = (promise("over_plain", 1.2),), (promise("over_plain", 1.0),)
NEW_ARRAYS = (promise("speed_up", 6.5),)
NUMPY_ENGINE = (
    *(Promise(name, "speed_up", limit) for name, limit in ((ONE, 1.8), (TWO, 2.3))),
    *(Promise(name, "extra_megabytes", 0.05 * 8 * 256**3 / 1e6) for name in (ONE, TWO)),
)
EXTRA_MEMORY = promise("extra_megabytes", 2.0 * threads.count())


class Field(NamedTuple):
    """A field, and how it is differentiated by whom."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float64"
    axis: int | None = None
    uneven: bool = False
    edge_order: int = 1
    layout: str = "C"
    into_out: bool = True
    contenders: tuple[str, ...] = OURS
    plain: str = ""  # the dtype of the plain field, even and in C order, that it is set beside
    promises: tuple[Promise, ...] = ()

    @property
    def title(self) -> str:
        """What tells this field from all others."""
        return f"{'x'.join(map(str, self.shape))} {self.dtype}, {self.name}"

    @property
    def result_dtype(self) -> np.dtype[Any]:
        """The dtype of the results: integers are differentiated in float64."""
        dtype = np.dtype(self.dtype)
        return np.dtype(np.float64) if dtype.kind in "iu" else dtype

    @property
    def nbytes(self) -> tuple[int, int, int]:
        """Bytes of the field, of a result, and of all results."""
        size = math.prod(self.shape)
        result = size * self.result_dtype.itemsize
        number = len(self.shape) if self.axis is None else 1
        return size * np.dtype(self.dtype).itemsize, result, number * result


SIZES = (
    Field("all axes", (128,) * 3),
    Field("all axes", CUBE, contenders=EVERYBODY, promises=NEAR_FLOOR_3D),
    Field("all axes", LARGER, promises=NEAR_FLOOR_3D),
    Field("all axes", LARGEST, promises=NEAR_FLOOR_3D),
    Field("all axes", (1448,) * 2),
    Field("all axes", (4096,) * 2, contenders=EVERYBODY),
    Field("all axes", (8192,) * 2, promises=NEAR_FLOOR),
    Field("all axes", (1 << 21,)),
    Field("all axes", (1 << 24,), contenders=EVERYBODY),
    Field("all axes", (1 << 26,), promises=NEAR_FLOOR),
)
"""In float64, and once more in float32. The others are slow: they take part in few fields."""

VARIATIONS = (
    Field("axis 0", CUBE, axis=0, contenders=EVERYBODY),
    Field("axis 1", CUBE, axis=1),
    Field("axis 2", CUBE, axis=2),
    Field("edge_order=2", CUBE, edge_order=2, contenders=EVERYBODY, plain="float64"),
    Field("uneven", CUBE, uneven=True, contenders=EVERYBODY, plain="float64", promises=UNEVEN),
    Field("uneven", CUBE, "float32", uneven=True, plain="float32", promises=UNEVEN),
    Field("Fortran", CUBE, layout="Fortran", plain="float64", promises=LAYOUT),
    Field("transposed", CUBE, layout="transposed", plain="float64", promises=LAYOUT),
    Field("every second", CUBE, layout="every second", plain="float64"),
    Field("reversed", CUBE, layout="reversed", plain="float64"),
    Field("integers", CUBE, "int16", plain="float64", promises=INTEGERS),
    Field("integers", CUBE, "int64", plain="float64", promises=INTEGERS),
    Field("integers", CUBE, "uint8", plain="float64"),
    Field("new arrays", CUBE, into_out=False, promises=NEW_ARRAYS),
    Field("new arrays", LARGER, into_out=False, promises=NEW_ARRAYS),
    Field("new arrays", LARGEST, into_out=False, promises=NEW_ARRAYS),
)

ON_THREADS = (
    Field("all axes", CUBE, promises=NUMPY_ENGINE),
    Field("all axes", CUBE, "float32"),
    Field("all axes", CUBE, "int16"),
    Field("new arrays", CUBE, into_out=False),
    Field("uneven", CUBE, uneven=True),
    Field("all axes", (8192, 4096)),
)
"""For the engine that needs no compiler."""


def list_against_others(quick: bool) -> Iterator[Case]:
    """Yield sizes and variations; in a quick run one of each kind, the others in the first only."""
    fields = [f._replace(dtype=dtype) for f in SIZES for dtype in ("float64", "float32")]
    for field in (*fields, *VARIATIONS):
        small = field._replace(shape=QUICK[len(field.shape)])
        if not quick:
            yield make_case(field)
        elif field.shape == CUBE and field.name == "all axes" and field.dtype == "float64":
            yield make_case(small)
        elif field.shape in (CUBE, (4096,) * 2, (1 << 24,)):
            yield make_case(small._replace(contenders=OURS))


def list_on_threads(quick: bool) -> Iterator[Case]:
    """Yield fields for the `numpy` engine, on one thread and on two."""
    for field in ON_THREADS:
        field = field._replace(contenders=("numpy", ONE, TWO))
        yield make_case(field._replace(shape=QUICK[len(field.shape)]) if quick else field)


def make_case(field: Field) -> Case:
    """Return the row of a field."""
    extra = (EXTRA_MEMORY,) * (field.into_out and "gpugrad" in field.contenders)
    facts = field._asdict()
    del facts["promises"]
    return Case(field.title, partial(race_field, field), (*field.promises, *extra), facts)


def race_field(field: Field, row: Row) -> Heats:
    """Check the bits, then time ours beside the floor, then others beside NumPy and the floor.

    So the others' threads, and the gigabytes of pages that they take and give back, do not disturb
    ours.
    """
    skipped = row["skipped"]
    names = [*fit_memory(field, skipped)]
    if "numpy" not in names:
        return
    setting = make_setting(field)
    ours = [name for name in names if name not in OTHERS]
    calls = {name: prepare(name, setting) for name in ours}
    expected = calls["numpy"]()
    for name in calls.keys() - {"numpy"}:
        for target in setting.out or ():
            target.fill(0)  # so that nothing is right by the run before
        assert_same_bits(f"{field.title}, {name}", calls[name](), expected)
    del expected
    timers = {name: timed(call) for name, call in calls.items()}
    timers |= make_field_floor(field, setting, row)
    if field.plain:
        plain = make_setting(Field("plain", field.shape, field.plain))
        timers["gpugrad, plain"] = timed(prepare("gpugrad", plain))
    yield timers
    others = {}
    for name in (name for name in names if name in OTHERS):
        try:
            others[name] = prepare(name, setting)
        except contenders.Unavailable as reason:
            skipped[name] = str(reason)
    if others:
        beside = {name: timers[name] for name in ("numpy", "floor") if name in timers}
        yield beside | {name: timed(call, REST) for name, call in others.items()}
    calls |= others
    f, _, results = field.nbytes
    named = [name for name in row["seconds"] if name != "gpugrad, plain"]
    row["gigabytes_per_second"] = find_rates(row, f + results, named)
    row["extra_megabytes"] = {}
    for name, call in calls.items():
        if name not in contenders.NOT_NUMPYS:
            needed = 0 if field.into_out and name.startswith("gpugrad") else results
            # Results in memory kept from before are not seen at all: nothing extra, not less.
            row["extra_megabytes"][name] = max(0, traced_peak(call) - needed) / 1e6
    if others and field.name == "all axes" and field.shape == CUBE:
        add_huge_pages(field, row)


def fit_memory(field: Field, skipped: dict[str, str]) -> Iterator[str]:
    """Yield the contenders for which there is memory."""
    available = find_memory("MemAvailable")
    f, result, results = field.nbytes
    for name in field.contenders:
        # Our results are there all the time: as `out`, or kept by the library for the next call.
        _, times_all, times_one = CONTENDERS[name]
        needed = f + results + times_all * results + times_one * result
        if available is not None and needed > SHARE_OF_MEMORY * available:
            skipped[name] = (
                f"needs {needed / 1e9:.1f} GB, more than {SHARE_OF_MEMORY:.0%} of the memory left"
            )
        else:
            yield name


def make_setting(field: Field) -> Setting:
    """Return the samples of a field, their coordinates and arrays for the results."""
    f, rng = make_samples(field), np.random.default_rng(4)
    uneven = field.shape if field.uneven else ()
    spacing = [rng.uniform(0.5, 1.5, n).cumsum().astype(field.result_dtype) for n in uneven]
    number = len(field.shape) if field.axis is None else 1
    out = tuple(np.empty_like(f, field.result_dtype) for _ in range(number))
    return Setting(f, spacing, field.axis, field.edge_order, out if field.into_out else None)


def make_samples(field: Field) -> Any:
    """Return a field of noise, which hides no error and no denormal number."""
    shape, dtype, rng = field.shape, np.dtype(field.dtype), np.random.default_rng(3)

    def draw(shape: tuple[int, ...]) -> Any:
        if dtype.kind in "iu":
            kinds = np.iinfo(dtype)
            return rng.integers(max(-1000, kinds.min), min(1000, kinds.max), shape, dtype)
        return rng.standard_normal(shape, dtype)

    layouts: dict[str, Callable[[], Any]] = {
        "C": lambda: draw(shape),
        "Fortran": lambda: np.asfortranarray(draw(shape)),
        "transposed": lambda: np.moveaxis(draw((*shape[1:], shape[0])), -1, 0),
        "every second": lambda: draw((*shape[:-1], 2 * shape[-1]))[..., ::2],
        "reversed": lambda: np.flip(draw(shape)),
    }
    return layouts[field.layout]()


def make_field_floor(field: Field, setting: Setting, row: Row) -> dict[str, Timer]:
    """Return the timer of a field's floor: for one with gaps in memory, that of a dense copy."""
    f, out = setting.f, setting.out
    if out is None:
        out = [np.zeros(f.shape, field.result_dtype) for _ in range(f.ndim)]
    is_dense = np.may_share_memory(f.ravel(order="K"), f)
    return race_floor(row, [[f if is_dense else f.copy()]] * len(out), out)


def add_huge_pages(field: Field, row: Row) -> None:
    """Add figures of a fresh process that asks the system for huge pages, where it is told to.

    The ratios are those within that process, where NumPy and the floor run beside the others.
    """
    names = [name for name in contenders.NOT_NUMPYS if name in row["seconds"]]
    if not names or sys.platform != "linux":
        return
    there = field._replace(name="huge pages", contenders=(*OURS, *names), promises=())
    code = f"""
import json
from benchmarks import __main__, fields, table
case = fields.make_case(fields.Field(*{tuple(there)!r}))
print(json.dumps(table.measure_case(__main__.BENCHMARKS["against_others"], case, False)))
"""
    try:
        told = json.loads(run_python(code, contenders.HUGE_PAGES).splitlines()[-1])
    except subprocess.CalledProcessError as error:
        row["skipped"]["huge pages"] = f"their process ended with status {error.returncode}"
        return
    for key in ("seconds", "gigabytes_per_second", "speed_up", "over_floor"):
        for name in names:
            if name in told.get(key, {}):
                row[key][f"{name}, huge pages"] = Spread(*told[key][name])
