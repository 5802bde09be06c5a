"""Every public function, called wrongly in many ways: what it says is ours, and whole sentences."""

from __future__ import annotations

import datetime
import inspect
import re
import traceback
import warnings

import numpy as np
import pytest

import gpugrad

F = np.arange(30.0).reshape(5, 6) ** 1.5
CURVE = np.sin(np.arange(40.0) / 5)
LATITUDE, LONGITUDE = np.linspace(-60, 60, 5), np.arange(0, 360, 60.0)
Y, X = np.meshgrid(np.linspace(0, 1, 5), np.linspace(0, 1, 6), indexing="ij")
SPHERE, GRID = gpugrad.Sphere(LATITUDE, LONGITUDE), gpugrad.CurvilinearGrid(Y, X)

WRONG = {
    "text": "abc", "bytes": b"x", "nothing": None, "object": object(), "complex": 1j,
    "nan": np.nan, "infinity": np.inf, "negative": -1, "zero": 0, "seven": 7, "fraction": 1.5,
    "true": True, "empty list": [], "empty tuple": (), "empty dict": {}, "dict": {"x": 1},
    "axes": {0: "periodic", 9: "edge"}, "numbers": [1, 2], "ragged": [[1], [1, 2]],
    "array": np.zeros((2, 2)), "texts": np.array(["a", "b"]), "set": {1}, "range": range(3),
    "span": datetime.timedelta(1), "date": np.datetime64("2000-01-01"), "function": len,
    "masked": np.ma.masked, "names": ("periodic", "edge"),
}  # fmt: skip

CALLS = {
    **{
        name: (getattr(gpugrad, name), (F,), {})
        for name in ("gradient", "derivative", "gradient_norm", "laplacian", "hessian",
                     "turning_points", "inflection_points", "critical_points")
    },
    **{
        name: (getattr(gpugrad, name), ((F, F),), {})
        for name in ("divergence", "curl", "jacobian")
    },
    "stencil": (gpugrad.stencil, (), {}),
    "plan": (gpugrad.plan, ((5, 6),), {}),
    "Sphere": (gpugrad.Sphere, (LATITUDE, LONGITUDE), {}),
    "CurvilinearGrid": (gpugrad.CurvilinearGrid, (Y, X), {}),
    **{
        f"{title}.{name}": (getattr(grid, name), (F,), {})
        for title, grid in (("Sphere", SPHERE), ("CurvilinearGrid", GRID))
        for name in ("gradient", "gradient_norm", "laplacian")
    },
    "Sphere.curl": (SPHERE.curl, (), {"u": F, "v": F}),
    "CurvilinearGrid.curl": (GRID.curl, ((F, F),), {}),
}  # fmt: skip


def list_wrong_calls(function, arguments, keywords):
    """Yield arguments and keywords with one that is wrong."""
    parameters = inspect.signature(function).parameters
    for wrong in WRONG.values():
        for i in range(len(arguments)):
            yield (*arguments[:i], wrong, *arguments[i + 1 :]), keywords
        if "spacing" in parameters:
            yield (*arguments, wrong), keywords
            yield (*arguments, wrong, wrong), keywords
        for name, parameter in parameters.items():
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                yield arguments, {**keywords, name: wrong}


@pytest.mark.parametrize("name", CALLS)
def test_messages_are_ours_and_whole_sentences(name):
    function, arguments, keywords = CALLS[name]
    errors = 0
    for given, options in list_wrong_calls(function, arguments, keywords):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", gpugrad.GpugradWarning)
            warnings.simplefilter("ignore", RuntimeWarning)
            try:
                function(*given, **options)
                continue
            except Exception as caught:  # noqa: BLE001 - whatever it is, it is looked at
                error = caught
        errors += 1
        message, what = str(error), f"{given[len(arguments) - 1 :]!r:.80} {options!r:.80}: {error}"
        raised = traceback.extract_tb(error.__traceback__)[-1].filename
        assert "gpugrad" in raised.replace("\\", "/").split("/"), what
        assert isinstance(error, (TypeError, ValueError, gpugrad.BackendError)), what
        assert not re.search(r"(?<!\.)\.\.(?!\.)|\. \.|[,;]\.", message), what
        assert message.endswith((".", ")", "?", '"')), what
        assert re.search(r"`|must|needs", message), what
    assert errors > 20


def test_coordinates_too_coarse_for_their_dtype_are_called_so():
    for times, gap in (
        (np.arange(6.0) + 1.7e9, "128"),
        (np.arange(600) * 10 + 1.7e9, "128"),
        (np.arange(12) * 0.1 + 2460000, "0.25"),
    ):
        words = re.escape(f"float32 has others {gap} apart, which is too coarse")
        with pytest.raises(ValueError, match=words):
            gpugrad.gradient(np.arange(times.size), times.astype("f4"))
    with pytest.raises(ValueError, match=re.escape("their `numpy.cumsum`")):
        gpugrad.gradient(np.arange(4.0), np.ones(4, "f4"))


def test_coordinates_in_one_sequence_are_sent_to_their_places():
    for spacings in ([np.arange(5.0), np.arange(6.0)], ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5])):
        with pytest.raises(TypeError, match="separate arguments; got one sequence of 2 for 2 axes"):
            gpugrad.gradient(F, spacings)


def test_a_traced_axis_is_to_be_static():
    jax = pytest.importorskip("jax")
    for function in (gpugrad.gradient, gpugrad.derivative):
        with pytest.raises(TypeError, match='static_argnames="axis"'):
            jax.jit(function)(jax.numpy.arange(5.0), axis=0)
    with pytest.raises(TypeError, match="Pass `axis=1`"):
        gpugrad.gradient(F, axis=1.0)


def test_integers_that_no_float_tells_apart_are_subtracted_exactly():
    near = np.array([0, 1, 3, 4])
    for origin in (2**60, -(2**60), 2**53):
        expected = gpugrad.gradient(near**2, near)
        for x in (near + origin, (near + origin).astype("m8[ns]")):
            assert (gpugrad.gradient(near**2, x) == expected).all()
        lines = np.stack([near, near[::-1]]) + origin
        assert (gpugrad.gradient(np.stack([near**2] * 2), lines, axis=1)[0] == expected).all()
    wide = np.array([0, 2**54, 2**54 + 1, 2**54 + 2])
    assert (gpugrad.gradient(near, wide)[2:] == [1.5, 1.0]).all()
    full = np.array([-(2**63), 0, 2**63 - 1])
    assert (gpugrad.gradient(np.arange(3.0), full) == 2.0**-63).all()
    falling = np.array([2**63 + 2, 2**63 + 1, 2**63], "u8")
    assert (gpugrad.gradient(np.arange(3.0), falling) == -1).all()
    with pytest.raises(ValueError, match=f"duplicate coordinates; got {2**60} at positions 0"):
        gpugrad.gradient(np.arange(3.0), np.array([2**60, 2**60, 2**60 + 1]))


def test_short_curved_grids_are_called_grids():
    with pytest.raises(ValueError, match="axis 0 of the grid must have at least 2 samples; got 1"):
        gpugrad.CurvilinearGrid(np.zeros((1, 5)), np.zeros((1, 5)))
    with pytest.raises(ValueError, match="axis 0 of the grid must have at least 9 samples"):
        gpugrad.CurvilinearGrid(Y, X, accuracy=8)
