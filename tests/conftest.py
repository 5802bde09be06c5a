"""The `xp` fixture: every array library the suite runs over, and the switch that asks for a GPU."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import sampling

import gpugrad
from internals import numpy_calls, prepared

collect_ignore = ["peers"]
"""What is collected only where it is named: other projects' tests, `pytest tests/peers`."""


@dataclass(frozen=True)
class Library:
    """An array library under test: how to make its arrays, and how equal its results must be."""

    name: str
    asarray: Callable[[np.ndarray], Any]
    exact: bool = True
    unsupported: tuple[str, ...] = field(default=())

    def skip_unless_it_has(self, dtype: Any) -> None:
        if np.dtype(dtype).name in self.unsupported:
            pytest.skip(f"{self.name} has no {np.dtype(dtype).name}")


def _readonly(x: np.ndarray) -> np.ndarray:
    x = x.copy(order="K")
    x.flags.writeable = False
    return x


def _numpy() -> Library:
    return Library("numpy", lambda x: x)


def _numpy_readonly() -> Library:
    return Library("numpy-readonly", _readonly)


def _strict() -> Library:
    strict = pytest.importorskip("array_api_strict")
    return Library("array-api-strict", lambda x: strict.asarray(x.copy()), unsupported=("float16",))


def _dask() -> Library:
    da = pytest.importorskip("dask.array")
    return Library("dask", lambda x: da.from_array(x, chunks=2))


def _jax() -> Library:
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    return Library("jax", lambda x: jax.numpy.asarray(x), exact=False)


def _torch() -> Library:
    torch = pytest.importorskip("torch")
    return Library("torch", lambda x: torch.from_numpy(x.copy()))


def import_cupy() -> ModuleType:
    """Return CuPy; skip the test where no GPU is usable."""
    try:
        gpugrad.namespace("cupy")
    except gpugrad.BackendError as error:
        pytest.skip(f"no usable GPU: {error}")
    import cupy

    return cupy


def _cupy() -> Library:
    # CUDA contracts products and sums where CuPy lets it; the fused engine will not.
    return Library("cupy", import_cupy().asarray, exact=False)


LIBRARIES = {
    "numpy": _numpy,
    "numpy-readonly": _numpy_readonly,
    "array-api-strict": _strict,
    "dask": _dask,
    "jax": _jax,
    "torch": _torch,
    "cupy": _cupy,
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-gpu", action="store_true", help="fail where a GPU is missing, instead of skip"
    )
    sampling.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    sampling.configure(config)


def pytest_collection(session: pytest.Session) -> None:
    gc.disable()  # what is imported and collected is no garbage, and looked through in vain


def pytest_collection_finish(session: pytest.Session) -> None:
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chosen = sampling.choose(config, items)
    left = {*items} - {*chosen}
    if left:
        config.hook.pytest_deselected(items=[item for item in items if item in left])
    items[:] = chosen


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    sampling.note(report)


def pytest_sessionfinish(session: pytest.Session) -> None:
    sampling.remember(session.config)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    sampling.summarize(terminalreporter)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Any:
    report = yield
    sampling.add_cases(report)
    needs_gpu = item.get_closest_marker("gpu") is not None
    asked = item.config.getoption("--require-gpu") and needs_gpu and report.skipped
    if asked and "GPU" in str(report.longrepr[-1]):  # and not for want of another library
        report.outcome = "failed"
        report.longrepr = f"--require-gpu: {report.longrepr[-1]}"
    return report


@pytest.fixture
def jax_without_64_bits() -> Iterator[None]:
    """Make JAX as it is in a new process, whatever other tests have needed."""
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", False)
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.fixture(
    params=[
        pytest.param(name, marks=pytest.mark.gpu if name == "cupy" else ()) for name in LIBRARIES
    ]
)
def xp(request: pytest.FixtureRequest) -> Library:
    return LIBRARIES[request.param]()


@pytest.fixture(autouse=True)
def forget_prepared_calls() -> None:
    """Begin as a new process does: a test may change limits by which calls are prepared."""
    prepared._calls.clear()


def watch_small_calls(monkeypatch: pytest.MonkeyPatch, note: Callable[[], None]) -> None:
    """Have each call that the NumPy engine has ready noted, from the first one on."""
    evaluate, evaluate_single = numpy_calls.BoundCall.__call__, numpy_calls._evaluate_single

    def call(*arguments: Any) -> Any:
        note()
        return evaluate(*arguments)

    def call_single(*arguments: Any) -> Any:
        note()
        return evaluate_single(*arguments)

    monkeypatch.setattr(numpy_calls.BoundCall, "__call__", call)
    monkeypatch.setattr(numpy_calls, "_evaluate_single", call_single)


def watch_programs(monkeypatch: pytest.MonkeyPatch, engine: Any, note: Callable[[], None]) -> None:
    """Have each call noted for which an engine finds or makes a program."""
    prepare = engine.prepare

    def prepare_noted(outputs: Any) -> Any:
        note()
        return prepare(outputs)

    monkeypatch.setattr(engine, "prepare", prepare_noted)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240607)


@cache
def has_compiler() -> bool:
    """Tell whether the backend "compiled" has a compiler that works here."""
    try:
        gpugrad.gradient(np.zeros(4), backend="compiled")
    except gpugrad.BackendError as error:
        if "cannot run: " in str(error):
            return False
        raise  # "it cannot run this", of a plain field, is a fault and no reason to skip
    return True


def as_tuple(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


def assert_same_bits(actual: Any, expected: Any) -> None:
    """Check dtype, shape and every bit; NaNs count as equal whatever their payload."""
    actual, expected = gpugrad.asnumpy(actual), np.asarray(expected)
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    if actual.dtype.kind in "fc":
        parts = [(actual.real, expected.real)]
        if actual.dtype.kind == "c":
            parts.append((actual.imag, expected.imag))
        for a, e in parts:
            nans = np.isnan(e)
            assert (np.isnan(a) == nans).all()
            a, e = np.ascontiguousarray(a), np.ascontiguousarray(e)
            differs = (a != e) | (np.signbit(a) != np.signbit(e))
            assert not (differs & ~nans).any(), f"{a[differs & ~nans]} != {e[differs & ~nans]}"
    else:
        assert actual.tobytes() == expected.tobytes()


def assert_like_numpy(library: Library, actual: Any, expected: Any, scale: Any = None) -> None:
    """Check one derivative: every bit, or for JAX and CuPy 1 ulp of the largest term."""
    if library.exact:
        assert_same_bits(actual, expected)
        return
    actual = gpugrad.asnumpy(actual)
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    scale = np.max(np.abs(expected), initial=0) if scale is None else scale
    ulp = np.spacing(np.abs(np.asarray(scale, expected.real.dtype)))
    assert (np.abs(actual - expected) <= ulp).all()


def assert_gradient_like_numpy(
    library: Library, f: np.ndarray, *spacing: Any, **keywords: Any
) -> None:
    """Compare `gpugrad.gradient` of a library's array with `numpy.gradient`."""
    expected = np.gradient(f, *spacing, **keywords)
    actual = gpugrad.gradient(library.asarray(f), *spacing, **keywords)
    assert isinstance(actual, tuple) == isinstance(expected, tuple)
    axes = np.lib.array_utils.normalize_axis_tuple(
        range(f.ndim) if keywords.get("axis") is None else keywords["axis"], f.ndim
    )
    spacing = spacing * len(axes) if len(spacing) == 1 else spacing or (1.0,) * len(axes)
    for got, wanted, h in zip(as_tuple(actual), as_tuple(expected), spacing, strict=True):
        smallest = np.min(np.abs(np.diff(np.asarray(h, float)))) if np.ndim(h) else abs(h)
        largest_term = 2 * np.max(np.abs(f.astype(complex)), initial=0) / smallest
        assert_like_numpy(library, got, wanted, largest_term)
