"""Points of curves and fields, tables of functions, spacings: collections and their entries."""

from __future__ import annotations

from typing import Any, assert_type

import numpy as np

import gpugrad

f = np.zeros((4, 5))

turns = gpugrad.turning_points(f, 0.5, axis=0, prominence=0.1, ends=True, plateaus=True)
assert_type(turns, gpugrad.TurningPoints)
assert_type(turns.select(kind="maximum", curve=0, prominence=0.2), gpugrad.TurningPoints)
assert_type(turns.maxima, gpugrad.TurningPoints)
assert_type(turns.minima, gpugrad.TurningPoints)
assert_type(turns[0], gpugrad.TurningPoint)
assert_type(turns[:3], gpugrad.TurningPoints)
assert_type(len(turns), int)
assert_type(turns.kind, np.ndarray[Any, Any])
assert_type(turns.to_dataframe(), Any)
for turn in turns:
    assert_type(turn, gpugrad.TurningPoint)
    assert_type(turn.kind, str)
    assert_type(turn.position, Any)
    print(turn.value, turn.index, turn.extent, turn.curve, turn.prominence)
print(turns.position, turns.value, turns.index, turns.extent, turns.curve, turns.prominence)

bends = gpugrad.inflection_points(f, time_unit="s")
assert_type(bends, gpugrad.InflectionPoints)
assert_type(bends.select(kind=["convex", "concave"]), gpugrad.InflectionPoints)
assert_type(bends[-1], gpugrad.InflectionPoint)
assert_type(bends[0].kind, str)
assert_type(bends[0].slope, Any)
assert_type(bends.slope, Any)

places = gpugrad.critical_points(f, boundary={0: "periodic"}, period=4.0)
assert_type(places, gpugrad.CriticalPoints)
assert_type(places.select(kind="saddle"), gpugrad.CriticalPoints)
assert_type(places[0], gpugrad.CriticalPoint)
assert_type(places[0].kind, str)
assert_type(places[0].eigenvalues, Any)
assert_type(places.eigenvalues, Any)

table = gpugrad.tabulate(np.hypot, slice(0, 1, 3j), [0.0, 1.0], dtype="float32")
assert_type(table, gpugrad.Table)
assert_type(table.field, Any)
assert_type(table.coordinates, tuple[Any, ...])
field, coordinates = table
gpugrad.gradient(field, *coordinates)

best = gpugrad.recommended_spacing(noise=1e-16, magnitude=1.0, order=2, accuracy=4)
assert_type(best, gpugrad.RecommendedSpacing)
assert_type(best.spacing, float)
assert_type(best.error, float)
assert_type(best.noise, float)
assert_type(best.magnitude, float)
assert_type(best.stride, int | None)

# Wrong calls.
gpugrad.turning_points(f, kind="maximum")  # type: ignore[call-arg]
turns.select("maximum")  # type: ignore[call-arg]
turns.saddles  # type: ignore[attr-defined]  # noqa: B018
turns[0].slope  # type: ignore[attr-defined]  # noqa: B018
turns.kind = np.array(["maximum"])  # type: ignore[misc]
places.select(curve=0)  # type: ignore[call-arg]
bends.maxima  # type: ignore[attr-defined]  # noqa: B018
gpugrad.critical_points(f, boundary="nearest")  # type: ignore[arg-type]
gpugrad.tabulate(slice(0, 1, 3j))  # type: ignore[arg-type]
table.spacing  # type: ignore[attr-defined]  # noqa: B018
gpugrad.recommended_spacing(order="2")  # type: ignore[arg-type]
