"""A picture of a field: its panels, side by side or one below the other, in a figure or in axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gpugrad._plots.curves import draw_curve_panel
from gpugrad._plots.field import PlotField
from gpugrad._plots.panels import draw_field_panel
from gpugrad._plots.points import parse_points

PANELS = {True: ("curve", "slope"), False: ("field", "magnitude")}
"""The panels that curves have, and that fields have; besides, fields have one for each axis."""

Panel = str | int


def draw_field(
    field: PlotField,
    panels: Any = None,
    points: Any = None,
    prominence: Any = None,
    ax: Any = None,
    *,
    make_figure: Callable[..., Any],
) -> Any:
    """Draw a field and return the figure; the options are those of `gpugrad.plot`.

    ``make_figure(figsize=..., layout=...)`` makes a figure where no axes are given.
    """
    chosen = _parse_panels(panels, field, ax)
    marks = parse_points(points, field, prominence)
    if ax is None:
        figure, axes = _make_axes(field, len(chosen), make_figure)
    else:
        axes = _list_axes(ax)
        if len(axes) != len(chosen):
            raise ValueError(
                f"`ax` must have one entry for each panel, {', '.join(map(str, chosen))}; got "
                f"{len(axes)}. Name as many `panels`."
            )
        figure = axes[0].get_figure()
    draw = draw_curve_panel if field.is_curve else draw_field_panel
    for panel, axis in zip(chosen, axes, strict=True):
        draw(axis, field, panel, marks)
    if ax is None:
        _share_labels(field, axes)
    return figure


def _list_axes(ax: Any) -> list[Any]:
    axes = [*ax.flat] if hasattr(ax, "flat") else [*ax] if isinstance(ax, (tuple, list)) else [ax]
    for axis in axes:
        if not hasattr(axis, "pcolormesh"):
            raise TypeError(
                f"`ax` must be axes of Matplotlib, or a sequence of them; got {type(axis).__name__}"
                ". Make some, as in `figure, ax = matplotlib.pyplot.subplots()`."
            )
    return axes


def _parse_panels(panels: Any, field: PlotField, ax: Any) -> list[Panel]:
    """Return the panels by name; those of derivatives by the number of the axis in the picture."""
    usual = PANELS[field.is_curve]
    if panels is None:
        return [*usual] if ax is None else [*usual[: len(_list_axes(ax))]]
    named = [panels] if isinstance(panels, (str, int)) else [*panels]
    known = [f'"{name}"' for name in usual]
    if not field.is_curve:
        known += [f'"{d[2]}"' if len(d) > 2 else str(d[0]) for d in field.dims]
    chosen: list[Panel] = []
    for panel in named:
        along = [k for k, names in enumerate(field.dims) if panel in names]
        if not (panel in usual or (along and not field.is_curve)):
            raise ValueError(
                f"`panels` must be some of {', '.join(known)}; got {panel!r}. Numbers and names "
                "of axes stand for the derivatives along them."
                if not field.is_curve
                else f"`panels` of a curve must be some of {', '.join(known)}; got {panel!r}."
            )
        chosen.append(panel if panel in usual else along[0])
    if not chosen:
        raise ValueError(f"`panels` must name at least one of {', '.join(known)}; got none.")
    return chosen


def _make_axes(
    field: PlotField, count: int, make_figure: Callable[..., Any]
) -> tuple[Any, list[Any]]:
    """Return a new figure, and its axes."""
    if field.is_curve:
        figure = make_figure(figsize=(8, 1.0 + 2.3 * count), layout="constrained")
        axes = figure.subplots(count, 1, sharex=True, squeeze=False)
        return figure, [*axes.flat]
    columns = 2 if count == 4 else min(count, 3)
    rows = -(-count // columns)
    width = 5.2 if columns > 1 else 6.2
    high = min(max(1.1 + (width - 1.6) * field.tallness, 2.6), 7.0)  # with the colour bar beside
    figure = make_figure(figsize=(width * columns, high * rows), layout="constrained")
    # The label of a colour bar must be nearer to its bar than to the next panel.
    figure.get_layout_engine().set(wspace=0.08)
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    drawn = [*axes.flat]
    for spare in drawn[count:]:
        spare.remove()
    return figure, drawn[:count]


def _share_labels(field: PlotField, axes: Sequence[Any]) -> None:
    """Leave labels of axes to the outermost panels."""
    for axis in axes:
        axis.label_outer()
