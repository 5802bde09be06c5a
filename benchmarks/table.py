"""What all benchmarks are made of: cases as rows of a table, figures as its columns.

A case sets contenders side by side. It yields timers, which are run in turn, round by round; ratios
are taken within each round. Whatever else it finds out it writes into its row of the results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

from benchmarks.machine import cpu_model
from benchmarks.measure import Spread, Timer, interleave, ratios
from gpugrad._arrays import threads

Row = dict[str, Any]

Heats = Iterable[Mapping[str, Timer]]
"""The contenders' timers: all at once, or part by part where some would disturb others."""


class Figure(NamedTuple):
    """A column of the table: a figure for each contender."""

    heading: str
    base: str = ""  # the contender to whose time it is a ratio; "" where a case finds it by itself
    more: bool = False  # more is better: a speed-up, the time of `base` over the contender's
    unit: str = ""  # what follows the number where a promise is told
    spec: str = ".2f"


FASTEST_PEER = "the fastest peer"
"""Stands for whoever is fastest in the middle, gpugrad left out."""

FIGURES = {
    "seconds": Figure("time", unit=" s"),
    "speed_up": Figure("x numpy", "numpy", more=True, unit=" times numpy's speed"),
    "speed_up_findiff": Figure("x findiff", "findiff", more=True, unit=" times findiff's speed"),
    "over_numpy": Figure("/ numpy", "numpy", unit=" of numpy's time"),
    "over_floor": Figure("/ floor", "floor", unit=" times the floor"),
    "over_plain": Figure("/ plain", "gpugrad, plain", unit=" times the plain case"),
    "over_slices": Figure("/ slices", "slices", unit=" times slices"),
    "over_peer": Figure("/ peer", FASTEST_PEER, unit=" of the fastest peer's time"),
    "over_allowed": Figure("/ allowed", "allowed", unit=" of what is allowed"),
    "over_evaluations": Figure("/ evaluations", "evaluations", unit=" of the evaluations"),
    "over_dask": Figure("/ dask", "dask", unit=" of dask's"),
    "over_memory": Figure("/ in memory", "in memory", unit=" times our call in memory"),
    "speed_up_copy": Figure("x plain", "plain copy", more=True, unit=" of the plain speed"),
    "speed_up_cupy": Figure("x cupy", "cupy", more=True, unit=" times cupy's speed"),
    "of_copy": Figure("of copying", "copying", more=True, unit=" of copying's speed"),
    "gigabytes_per_second": Figure("GB/s", more=True, spec=".1f"),
    "extra_megabytes": Figure("extra MB", unit=" MB"),
    "peak_megabytes": Figure("peak MB", unit=" MB"),
    "fields": Figure("fields beside results", unit=" fields"),
    "tasks": Figure("tasks", spec=".0f"),
    "tasks_of_dask": Figure("/ dask's tasks", unit=" of dask's tasks"),
    "counted": Figure("counted", spec=",.0f"),
    "modelled": Figure("modelled", spec=",.0f"),
    "over_model": Figure("/ model", unit=" times the model"),
    "values_per_point": Figure("values a point", spec=".1f"),
    "error": Figure("largest error", unit=" of the gradient", spec=".0e"),
    "bounded": Figure("bounded", more=True, unit=" of the errors within estimates", spec=".2%"),
    "finite": Figure("finite", more=True, spec=".2%"),
    "none": Figure("NaN", spec=".2%"),
    "estimate_over_error": Figure("estimate / error", spec=".3g"),
}


class Promise(NamedTuple):
    """What a contender's figure must reach, or must not exceed."""

    contender: str
    figure: str
    limit: float


class Case(NamedTuple):
    """A row of the table."""

    title: str  # what tells it from all other rows of the benchmark
    race: Callable[[Row], Heats]  # takes the row of results, yields the contenders' timers
    promises: Sequence[Promise] = ()
    facts: Mapping[str, Any] = {}  # what else describes it in the results


class Benchmark(NamedTuple):
    """A table."""

    list_cases: Callable[[bool], Iterable[Case]]  # takes whether they are for a quick run
    figures: tuple[str, ...]
    seconds: float = 3.0  # what the rounds of a heat may take
    rounds: tuple[int, int] = (5, 25)  # how many there are at least and at most
    find_problem: Callable[[], str | None] = lambda: None  # why it cannot run here
    name_device: Callable[[], str] = cpu_model  # what its figures depend on, and are named after


class Target(NamedTuple):
    """A promise in figures, and what was measured."""

    what: str
    measured: float
    sense: str
    limit: float
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether the measured figure keeps the promise."""
        if self.sense == "at most":
            return self.measured <= self.limit
        return self.measured >= self.limit

    def __str__(self) -> str:
        """Say in one line what is promised, what was measured and whether that is enough."""
        verdict = "met" if self.met else "missed"
        figures = f"{self.measured:.3g} ({self.sense} {self.limit:.3g}{self.unit})"
        return f"{verdict:<6}  {self.what}: {figures}"


def measure_case(benchmark: Benchmark, case: Case, quick: bool) -> Row:
    """Run the race of a case, and return its row of the results."""
    row: Row = {"title": case.title, **case.facts, "threads": threads.count()}
    row |= {"skipped": {}, "rounds": [], "seconds": {}}
    for timers in case.race(row):
        seconds = time_in_turn(timers, benchmark, quick)
        row["rounds"].append(max(map(len, seconds.values())))
        # Who is timed a second time, for others to be compared with, keeps the first figures.
        row["seconds"] = {name: Spread.of(s) for name, s in seconds.items()} | row["seconds"]
        for key in benchmark.figures:
            base = find_base(FIGURES[key], seconds)
            if base in seconds:
                row[key] = compare(FIGURES[key], seconds, base) | row.get(key, {})
    return row


def time_in_turn(
    timers: Mapping[str, Timer], benchmark: Benchmark, quick: bool
) -> dict[str, list[float]]:
    """Run timers in as many rounds as there is time for, after one that does not count."""
    if quick:
        return interleave(timers, 1, warm_up=0)
    start = perf_counter()
    interleave(timers, 1, warm_up=0)
    least, most = benchmark.rounds
    rounds = round(min(max(benchmark.seconds / (perf_counter() - start), least), most))
    return interleave(timers, rounds, warm_up=0)


def find_base(figure: Figure, seconds: Mapping[str, Sequence[float]]) -> str:
    """Return the contender to whose time a figure is a ratio."""
    if figure.base != FASTEST_PEER:
        return figure.base
    peers = [name for name in seconds if not name.startswith("gpugrad")]
    return min(peers, key=lambda name: median(seconds[name]), default="")


def compare(figure: Figure, seconds: Mapping[str, Sequence[float]], base: str) -> dict[str, Spread]:
    """Return a ratio for each contender, within rounds."""
    of = seconds[base]
    return {n: ratios(of, s) if figure.more else ratios(s, of) for n, s in seconds.items()}


def find_rates(row: Row, size: float, names: Iterable[str]) -> dict[str, Spread]:
    """Return how many gigabytes a contender moved in a second that has moved `size` bytes."""
    return {name: Spread.of(size / 1e9 / s for s in row["seconds"][name]) for name in names}


def list_targets(case: Case, row: Row) -> Iterator[Target]:
    """Yield what is promised of a case, for contenders that took part."""
    for name, key, limit in case.promises:
        if name in row.get(key, {}):
            measured, figure = row[key][name], FIGURES[key]
            measured = measured.median if isinstance(measured, Spread) else measured
            sense = "at least" if figure.more else "at most"
            yield Target(f"{case.title}: {name}", measured, sense, limit, figure.unit)


def format_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a table in plain text: the first column to the left, the others to the right."""
    lines = [[*header], *([*row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def print_case(row: Row, figures: Sequence[str]) -> None:
    """Print a case: a line for each contender, the fastest first, and who is missing and why."""
    shown = [key for key in ("seconds", *figures) if row.get(key)]
    slow = {name: spread.median for name, spread in row["seconds"].items()}
    names = sorted({n: 0 for key in shown for n in row[key]}, key=lambda name: slow.get(name, 0))
    lines = [
        [name, *(format_figure(row[key].get(name), key, name) for key in shown)] for name in names
    ]
    print(format_table((row["title"], *(FIGURES[key].heading for key in shown)), lines))
    for name, reason in row["skipped"].items():
        print(f"without {name}: {reason}")
    print(flush=True)


def format_figure(value: Any, key: str, name: str) -> str:
    """Write a figure for the table: a number, or a median between its quartiles."""
    if value is None or name == FIGURES[key].base:
        return ""
    if key != "seconds":
        return format(value, FIGURES[key].spec)
    median = value.median
    scale, unit = (1, "s") if median >= 1 else (1e3, "ms") if median >= 1e-3 else (1e6, "us")
    return f"{median * scale:.2f} {unit}"


def make_plain(value: Any) -> Any:
    """Return a tree of results for JSON, floats with five digits, more than they are worth."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, Spread):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {key: make_plain(v) for key, v in value.items()}
    return [*map(make_plain, value)] if isinstance(value, (list, tuple)) else value
