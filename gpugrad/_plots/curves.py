"""Panels of a curve: its samples with the points at which it turns, and its slope."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpugrad._arrays import NumpyArray
from gpugrad._plots.field import PlotField, as_drawn
from gpugrad._plots.points import PlotPoints

CURVE, SLOPE = "#0072b2", "#d55e00"
"""The blue and the red of a palette that people with any kind of colour vision tell apart."""

DOTS = 80
"""Curves of no more samples than these show each as a dot."""

BINS = 4000
"""A curve of more than twice as many samples is drawn by the lowest and highest of each bin."""

LINES = 12
"""No more points than these have lines through all panels."""


def draw_curve_panel(axes: Any, field: PlotField, panel: Any, points: PlotPoints) -> None:
    """Draw the curve, or its slope, in axes of Matplotlib."""
    is_slope = panel == "slope"
    values = field.slopes[0] if is_slope else field.values
    (x,) = field.axes
    chosen = choose_samples(values)
    marker = "o" if values.size <= DOTS else None
    axes.plot(
        x.values[chosen], as_drawn(values[chosen]), linewidth=1.4 if values.size <= 1000 else 0.8,
        color=SLOPE if is_slope else CURVE, marker=marker, markersize=3.5,
    )  # fmt: skip
    axes.set_xlabel(x.label)
    axes.set_ylabel(field.label_slope(0) if is_slope else field.label)
    x.show_ticks(axes.xaxis)
    if is_slope:
        axes.axhline(0, color="0.6", linewidth=0.8, zorder=0)
    _mark_points(axes, field, points, is_slope)


def _mark_points(axes: Any, field: PlotField, points: PlotPoints, is_slope: bool) -> None:
    count = sum(mark.x.size for mark in points.marks)
    for mark in points.marks:
        if not is_slope:
            mark.draw(axes, mark.values)
        elif mark.kind == "inflection":
            x, slope = field.axes[0].values, as_drawn(field.slopes[0])
            order = np.argsort(x)
            mark.draw(axes, np.interp(mark.x, x[order], slope[order]))
        for place in mark.x if count <= LINES else ():
            axes.axvline(place, color="0.75", linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
    if points.marks and not is_slope:
        show_legend(axes, len(points.marks))
    if points.note and not is_slope:
        axes.set_title(points.note, fontsize="small", loc="left")


def show_legend(axes: Any, columns: int) -> None:
    """Write above a panel what its marks mean, so that they hide none of it."""
    axes.legend(
        loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=columns, frameon=False,
        fontsize="small", borderaxespad=0.2, handletextpad=0.2, columnspacing=1.2,
    )  # fmt: skip


def choose_samples(values: NumpyArray) -> NumpyArray:
    """Return the numbers of the samples that are drawn: of a long curve those that stand out.

    In each bin these are the lowest, the highest and a missing one, so that no peak and no gap is
    lost.
    """
    n = values.size
    if n <= 2 * BINS:
        return np.arange(n)
    width = -(-n // BINS)
    chosen = [0, n - 1]
    for start in range(0, n, width):  # bin by bin, as others would need as much memory again
        samples = as_drawn(values[start : start + width])
        is_missing = np.isnan(samples)
        if is_missing.any():
            chosen.append(start + int(is_missing.argmax()))
            if is_missing.all():
                continue
        chosen += [start + int(np.nanargmin(samples)), start + int(np.nanargmax(samples))]
    return np.unique(chosen)
