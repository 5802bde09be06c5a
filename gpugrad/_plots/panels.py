"""Panels of a field of two axes: its values, the length of its gradient, a derivative."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpugrad._arrays import NumpyArray
from gpugrad._plots.curves import show_legend
from gpugrad._plots.field import PlotField, as_drawn
from gpugrad._plots.points import PlotPoints

MISSING = "0.75"
"""The grey of what is not there."""

ARROWS = 20
"""How many arrows stand along the longer side of a panel that is four inches wide or more."""

FINEST = 40
"""How many means of the slope along a side stream lines are drawn by at most."""


def draw_field_panel(axes: Any, field: PlotField, panel: Any, points: PlotPoints) -> None:
    """Draw the panel of a field in axes of Matplotlib: "field", "magnitude", or of an axis."""
    if panel == "field":
        _draw_values(axes, field, field.shown, field.label, {"cmap": "viridis"})
    elif panel == "magnitude":
        length = np.hypot(*map(as_drawn, field.slopes))
        _draw_values(axes, field, length, field.magnitude_label, {"cmap": "magma"})
    else:
        slope = as_drawn(field.slopes[panel])
        finite = slope[np.isfinite(slope)]
        most = float(np.abs(finite).max(initial=0.0)) or 1.0
        colors = {"cmap": "RdBu_r", "vmin": -most, "vmax": most}  # white where it is zero
        _draw_values(axes, field, slope, field.label_slope(panel), colors)
    extent = axes.get_xlim(), axes.get_ylim()
    if panel == "field":
        _draw_arrows(axes, field)
        for mark in points.marks:
            mark.draw(axes, mark.y)
        if points.marks:
            show_legend(axes, len(points.marks))
        if points.note:
            axes.set_title(points.note, fontsize="small", loc="left")
    elif panel == "magnitude":
        _draw_streams(axes, field)
    axes.set(xlim=extent[0], ylim=extent[1])  # which arrows, lines and marks have widened


def _draw_values(
    axes: Any, field: PlotField, values: NumpyArray, label: str, colors: dict[str, Any]
) -> None:
    shown = np.ma.masked_invalid(values)
    y, x = field.places
    find = find_corners if field.is_curved else find_edges
    # Vector formats would hold each sample as a path of its own.
    mesh = axes.pcolormesh(find(x), find(y), shown, shading="flat", rasterized=True, **colors)
    vertical, horizontal = field.axes
    axes.set_xlabel(horizontal.label)
    axes.set_ylabel(vertical.label)
    axes.set_aspect(field.aspect)
    axes.grid(visible=False)  # lines of a grid would look like a part of the field
    _draw_bar(axes, mesh, label)
    horizontal.show_ticks(axes.xaxis)
    vertical.show_ticks(axes.yaxis)
    if np.ma.is_masked(shown):
        axes.set_facecolor(MISSING)


def _draw_bar(axes: Any, mesh: Any, label: str) -> None:
    """Draw the colour bar, as high as the panel; a layout makes room for it, or else the panel."""
    figure = axes.get_figure()
    if figure.get_layout_engine() is not None:
        bar = figure.colorbar(mesh, label=label, cax=axes.inset_axes((1.03, 0.0, 0.045, 1.0)))
    else:
        room = min(
            0.7 * figure.dpi / axes.bbox.width, 0.35
        )  # for the bar, with what is written beside it
        bar = figure.colorbar(mesh, ax=axes, label=label, fraction=room, pad=0.0)
        axes.apply_aspect()
        panel = axes.get_position()
        bar.ax.set_box_aspect(None)
        bar.ax.set_position((panel.x1 + 0.02, panel.y0, 0.03, panel.height))
    bar.formatter.set_powerlimits((-3, 4))


def find_edges(x: NumpyArray) -> NumpyArray:
    """Return where cells begin and end around samples: midway between them.

    Examples
    --------
    >>> find_edges(np.array([0.0, 1.0, 3.0]))
    array([-0.5,  0.5,  2. ,  4. ])
    """
    if x.size == 1:
        return np.asarray([x[0] - 0.5, x[0] + 0.5])
    middles = (x[1:] + x[:-1]) / 2
    return np.concatenate([[2 * x[0] - middles[0]], middles, [2 * x[-1] - middles[-1]]])


def find_corners(x: NumpyArray) -> NumpyArray:
    """Return a coordinate of the corners of cells around the samples of a curved grid."""
    return np.apply_along_axis(find_edges, 0, np.apply_along_axis(find_edges, 1, x))


def _draw_arrows(axes: Any, field: PlotField) -> None:
    """Draw arrows uphill, whose lengths grow as the root of the slope does."""
    right, up = map(as_drawn, field.uphill)
    inches = axes.bbox.width / axes.get_figure().dpi
    count = int(np.clip(ARROWS * inches / 4, 10, ARROWS))
    y, x = field.places
    if field.is_curved:
        every: Any = spread_arrows(x, y, count)
        x, y = x.flat[every], y.flat[every]
        u, v = right.flat[every], up.flat[every]
    else:
        every = thin_arrows(right.shape, field.tallness, count)
        x, y = np.meshgrid(x[every[1]], y[every[0]])
        u, v = right[every], up[every]
    length = np.hypot(u, v)
    finite = length[np.isfinite(length) & (length > 0)]
    if not finite.size:
        return
    longest = np.quantile(finite, 0.9)  # one peak alone should not make all others short
    with np.errstate(all="ignore"):
        factor = np.sqrt(np.minimum(length / longest, 1.0)) / length
    drawn = np.isfinite(factor) & (factor > 0)
    axes.quiver(
        x[drawn], y[drawn], u[drawn] * factor[drawn], v[drawn] * factor[drawn], color="white",
        edgecolor="0.15", linewidth=0.4, width=0.09 / count, scale=count / 1.1, minlength=0.5,
        pivot="mid", zorder=3,
    )  # fmt: skip


def thin_arrows(shape: Sequence[int], tall: float, count: int) -> tuple[slice, slice]:
    """Return which samples have an arrow: as far apart upwards as across in the picture."""
    across = count if tall <= 1 else max(1, round(count / tall))
    upwards = max(1, round(count * min(tall, 1.0)))
    steps = [-(-n // most) for n, most in zip(shape, (upwards, across), strict=True)]
    starts = [(n - 1) % step // 2 for n, step in zip(shape, steps, strict=True)]
    return slice(starts[0], None, steps[0]), slice(starts[1], None, steps[1])


def spread_arrows(x: NumpyArray, y: NumpyArray, count: int) -> NumpyArray:
    """Return the numbers of samples of a curved grid, one in each square of the picture."""
    side = max(np.ptp(x), np.ptp(y)) / count or 1.0
    columns, rows = (x.ravel() - x.min()) / side, (y.ravel() - y.min()) / side
    beside = np.hypot(columns % 1 - 0.5, rows % 1 - 0.5)
    order = np.argsort(beside, kind="stable")
    square = np.floor(rows).astype(int) * (count + 1) + np.floor(columns).astype(int)
    return order[np.unique(square[order], return_index=True)[1]]


def _draw_streams(axes: Any, field: PlotField) -> None:
    """Draw lines along the gradient; they need even, increasing coordinates."""
    y, x = field.places
    if field.is_curved or min(x.size, y.size) < 3:
        return
    if not all(axis.is_monotonic for axis in field.axes):
        return
    even_y, even_x = (np.linspace(c.min(), c.max(), min(c.size, FINEST)) for c in (y, x))
    means = [
        _take_means(_take_means(as_drawn(slope), y, even_y).T, x, even_x).T for slope in field.flow
    ]
    if not any(np.nan_to_num(mean).any() for mean in means):
        return
    if any(np.isnan(mean).any() for mean in means):  # masks cost much time, so no others do
        means = [np.ma.masked_invalid(mean) for mean in means]
    axes.streamplot(even_x, even_y, *means, color="white", linewidth=0.6, arrowsize=0.7)


def _take_means(values: NumpyArray, c: NumpyArray, even: NumpyArray) -> NumpyArray:
    """Return means of rows at coordinates `c` around each of some even ones, NaN left out.

    Around a coordinate that has no row, the nearest one stands in.
    """
    order = np.argsort(c)
    c, values = c[order], values[order]
    edges = (even[1:] + even[:-1]) / 2
    starts = np.concatenate([[0], np.searchsorted(c, edges)])
    counts = np.diff(np.append(starts, c.size))
    near = np.rint(np.interp(even, c, np.arange(c.size))).astype(int)
    if counts.max() == 1:
        return np.asarray(values[near])
    is_valid = np.isfinite(values)
    sums, valid = (
        np.add.reduceat(rows, np.minimum(starts, c.size - 1), axis=0)
        for rows in (np.where(is_valid, values, 0.0), is_valid.astype(np.float64))
    )
    with np.errstate(invalid="ignore"):
        means = sums / valid
    return np.asarray(np.where((counts > 0)[:, None], means, values[near]))
