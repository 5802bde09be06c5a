"""Calls on fields with holes: `where`, `skipna`, masked arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from recording.calls import BACKENDS, Call, Later, given, options, product
from recording.fields import coordinates, field, mask, masked, of_lines, values_of, vector, with_nan

LOADS = ("llvmlite.binding",)
"""The libraries that the calls need, loaded before the first of them."""

SHAPE = (14, 15)


def _missing(dtype: str) -> dict[str, Any]:
    """Return a column of fields with the keywords that say what is missing."""
    f = field(dtype, SHAPE)
    rows: dict[str, Any] = {
        "where": given(f, where=mask(SHAPE)),
        "where half": given(f, where=mask(SHAPE, 0.5)),
        "where none": given(f, where=Later("<all>", lambda: np.ones(SHAPE, bool))),
        "where all": given(f, where=Later("<none>", lambda: np.zeros(SHAPE, bool))),
        "where row": given(f, where=mask(SHAPE[1:])),
        "where column": given(f, where=mask((SHAPE[0], 1))),
        "masked": given(masked(dtype, SHAPE)),
        "masked where": given(masked(dtype, SHAPE), where=mask(SHAPE, seed=1)),
        "masked skipna": given(masked(dtype, SHAPE), skipna=True),
    }
    if np.dtype(dtype).kind in "fc":
        rows |= {
            "skipna": given(with_nan(dtype, SHAPE), skipna=True),
            "skipna F": given(with_nan(dtype, SHAPE, layout="F"), skipna=True),
            "skipna where": given(with_nan(dtype, SHAPE), skipna=True, where=mask(SHAPE, seed=1)),
            "NaN": given(with_nan(dtype, SHAPE)),
        }
    return {f"{dtype} {label}": row for label, row in rows.items()}


def _vectors() -> dict[str, Any]:
    def make() -> Any:
        return with_nan("f8", SHAPE).make(), with_nan("f8", SHAPE, 0.3).make()

    return {
        "where": given(vector("f8", SHAPE, 2), where=mask(SHAPE)),
        "where f4": given(vector("f4", SHAPE, 2), where=mask(SHAPE[1:])),
        "skipna": given(Later("<two with NaN>", make), skipna=True),
        "skipna where": given(Later("<two with NaN>", make), skipna=True, where=mask(SHAPE)),
        "masked skipna": given(
            Later(
                "<two masked>",
                lambda: (masked("f8", SHAPE).make(), masked("f8", SHAPE, 0.3).make()),
            ),
            skipna=True,
        ),
    }


def calls() -> Iterator[Call]:
    """Return the calls of this table."""
    for dtype in ("f8", "f4", "c16", "i4", "f2", "g", "M8[s]", ">f8"):
        spacings = {"": (), "h": (0.3,), "uneven": (coordinates(14), coordinates(15))}
        extra: dict[str, Any] = {
            "": {},
            "edge_order=2": {"edge_order": 2},
            "accuracy=4": {"accuracy": 4},
            "edge_accuracy=1": {"edge_accuracy": 1},
            "periodic": {"boundary": "periodic"},
            "symmetric": {"boundary": "symmetric"},
            "value": {"boundary": (1.5, "one-sided")},
            "left": {"stagger": "left"},
            "stack": {"stack": True},
        }
        yield from product(
            "holes gradient", "gradient", _missing(dtype), spacings, extra, BACKENDS, one_in=52
        )
    line = {"where": {"where": mask((40,), 0.2)}, "sparse": {"where": mask((40,), 0.6)}}
    yield from product(
        "holes on a line", "derivative", {"f8": (field("f8", (40,)),), "f4": (field("f4", (40,)),)},
        {"h": (0.3,), "uneven": (coordinates(40),)}, line, options(order=(1, 2, 3)),
        options(accuracy=(2, 4, 8)),
        {"": {}, "periodic": {"boundary": "periodic"}, "left": {"stagger": "left"},
         "slope": {"boundary": {"normal": 1.0}}, "edge_accuracy=1": {"edge_accuracy": 1}},
        BACKENDS, one_in=16,
    )  # fmt: skip
    for function in ("laplacian", "gradient_norm", "hessian"):
        yield from product(
            f"holes {function}", function, _missing("f8") | _missing("f4"),
            {"": (), "uneven": (coordinates(14), coordinates(15))}, BACKENDS, one_in=5,
        )  # fmt: skip
    for function in ("divergence", "curl", "jacobian"):
        yield from product(
            f"holes {function}", function, _vectors(),
            {"": (), "uneven": (coordinates(14), coordinates(15))},
            {"": {}, "accuracy=4": {"accuracy": 4}, "periodic": {"boundary": "periodic"}},
            BACKENDS, one_in=3,
        )  # fmt: skip
    yield from product(
        "holes on lines of their own", "derivative", {"f8": (field("f8", SHAPE),)},
        {"axis=0": (of_lines(SHAPE, 0),), "axis=1": (of_lines(SHAPE, 1),)},
        {"": {"where": mask(SHAPE)}}, options(axis=(0, 1)), options(accuracy=(2, 4)), BACKENDS,
    )  # fmt: skip
    yield from product(
        "subclasses", "gradient",
        {
            "masked plain": (masked("f8", SHAPE),),
            "masked i4": (masked("i4", SHAPE),),
            "hard mask": (Later("<hard mask>", _hard_mask),),
            "matrix": (Later("<matrix>", _matrix),),
            "memmap": (Later("<memmap>", _mapped),),
            "subclass": (Later("<subclass>", lambda: values_of("f8", SHAPE).view(Labelled)),),
        },
        {"": {}, "stack": {"stack": True}, "accuracy=4": {"accuracy": 4}, "axis=0": {"axis": 0}},
        BACKENDS, one_in=2,
    )  # fmt: skip


class Labelled(np.ndarray):
    """An array of a class of its own."""


def _hard_mask() -> Any:
    f = masked("f8", SHAPE).make()
    return f.harden_mask()


def _matrix() -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asmatrix(values_of("f8", SHAPE))


def _mapped() -> Any:
    import tempfile

    with tempfile.TemporaryFile() as file:
        mapped = np.memmap(file, "f8", "w+", shape=SHAPE)
        mapped[...] = values_of("f8", SHAPE)
        return mapped
