"""The picture of a sampled field with its gradient."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from gpugrad._arrays import Array, Backend
from gpugrad._grids import ONE_SIDED, Boundary, EdgeOrder, Period
from gpugrad._keywords import accepts_keywords
from gpugrad._operators.descriptions import describe
from gpugrad._plots.draw import draw_field
from gpugrad._plots.read import read_field

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@accepts_keywords
@describe(
    f="""
f : array of shape (n,) or (n_0, n_1)
    Samples of a curve, or of a field with two axes: real numbers in an array of any library, a
    DataArray of xarray, a quantity, a Series of pandas, or a sequence. A Dask array is computed
    once. Samples that are NaN, infinite or masked are shown in grey.
""",
    spacing="""
*spacing : number, array, Sphere or CurvilinearGrid, optional
    The distance between samples, or their 1-D coordinates, as in `gradient`; or a grid, whose
    gradient is drawn. A DataArray on latitude and longitude is drawn as a map, with derivatives
    per metre, unless a spacing is given.
""",
    time_unit="""
time_unit : str, optional
    The unit of time of the derivatives, such as "s", "h", "D" or "ns", where the coordinates are
    dates or time spans. By default the largest of day, hour, minute and second that fits into
    the extent of the field at least three times.
""",
    panels="""
panels : str, int or sequence, optional
    What to draw, each in its own panel. For a curve "curve" and "slope", by default both. For a
    field "field" (the values, with arrows that point uphill), "magnitude" (the length of the
    gradient, with stream lines), and the number or the name of an axis (the derivative along this
    axis); by default "field" and "magnitude".
""",
    points="""
points : str or sequence of str, optional
    Which points to mark: "turning" or "inflection" points of a curve, "critical" points of a
    field, or ``()`` for none. By default the turning or critical points are marked, if there are at
    most 40 of them and at most four million samples.
""",
    prominence="""
prominence : number, optional
    Mark only turning points of at least this prominence, in the unit of `f`; see
    `turning_points`. This needs SciPy.
""",
    no_unit="",
    backend_errors="""If a backend that is requested by name can't run this call.
ImportError
    If Matplotlib is not installed""",
    ax="""
ax : Axes of Matplotlib or sequence of these, optional
    The axes to draw on, one for each panel. By default those of a new figure of
    `matplotlib.pyplot`.
""",
)
def plot(
    f: Any,
    *spacing: Any,
    edge_order: EdgeOrder | None = None,
    accuracy: int = 2,
    boundary: Boundary = ONE_SIDED,
    edge_accuracy: int | None = None,
    period: Period | None = None,
    time_unit: str | None = None,
    where: Array | None = None,
    skipna: bool = False,
    backend: Backend | None = None,
    panels: Any = None,
    points: Any = None,
    prominence: Any = None,
    ax: Any = None,
) -> Figure:
    """Draw a sampled curve or field with its gradient.

    The picture shows where a curve rises, falls and turns, or in which direction a field rises, how
    steeply, and where it is level.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    matplotlib.figure.Figure
        The figure; ``figure.axes`` are its panels. With `ax`, it is the figure to which these
        belong.

    {errors: help() shows this}

    See Also
    --------
    gradient : The derivatives that are drawn.
    turning_points, inflection_points, critical_points : The points that are marked.
    Sphere, CurvilinearGrid : Spherical and curved grids.

    Notes
    -----
    Axis 0 of a field points upwards, axis 1 to the right. If both axes have the same unit, or none,
    they have the same scale, unless the picture would be very narrow. Maps are true to scale at
    their middle latitude. The length of an arrow is proportional to the square root of the slope.
    If the axes have different units, directions depend on the scales of the picture: arrows and
    stream lines are then perpendicular to the level lines in the picture, and the length of the
    gradient is labelled as having mixed units. Stream lines follow averages of the slope over a
    fortieth of each side; on curved grids there are no stream lines.

    If there are more than 1200 samples along a side, every second, third, ... sample is drawn, with
    derivatives that are computed from all samples. Long curves are drawn through the lowest and the
    highest of neighbouring samples, so that no peak is lost.

    The function returns a figure, because a picture may have several panels, and figures are what
    is saved: ``plot(f).savefig("f.png")``. The figure is registered with `matplotlib.pyplot`, so
    that ``pyplot.show()`` and notebooks show it. With `ax`, only the given axes are changed, and
    colour bars take some of their space.

    Examples
    --------
    A sine and its slope, in two panels:

    >>> import numpy as np
    >>> import gpugrad
    >>> x = np.linspace(0, 6, 61)
    >>> figure = gpugrad.plot(np.sin(x), x)
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['f', 'df/dx']

    A hill, with its summit marked:

    >>> y = np.linspace(-1, 1, 21)
    >>> hill = np.exp(-(x - 3) ** 2 - y[:, None] ** 2)
    >>> figure = gpugrad.plot(hill, y, x, panels="field")
    >>> figure.axes[0].get_legend_handles_labels()[1]
    ['maximum']
    """
    pyplot = import_matplotlib("matplotlib.pyplot")
    options = {
        "edge_order": edge_order, "accuracy": accuracy, "boundary": boundary,
        "edge_accuracy": edge_accuracy, "period": period, "time_unit": time_unit,
        "where": where, "skipna": skipna, "backend": backend,
    }  # fmt: skip
    with np.errstate(invalid="ignore"):  # of infinite samples, which are grey
        field = read_field(f, spacing, options)
    figure: Figure = draw_field(
        field, panels, points, prominence, ax, make_figure=partial(_make_figure, pyplot)
    )
    return figure


def import_matplotlib(module: str) -> Any:
    """Import a module of Matplotlib, or raise ImportError with how to install it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ImportError(
            'drawing needs Matplotlib, which is not installed: pip install "gpugrad[plot]".'
        ) from error


def _make_figure(pyplot: Any, **options: Any) -> Any:
    """Return a figure that pyplot knows, and that a notebook shows once."""
    figure = pyplot.figure(**options)
    # A notebook shows the last value of a cell, and all figures of pyplot that are open, too.
    # IPython asks the value for this method first.
    figure._ipython_display_ = partial(_leave_pyplot, figure)
    return figure


def _leave_pyplot(figure: Any) -> None:
    """Close a figure that a notebook is about to show, and leave showing to the notebook."""
    from matplotlib import get_backend, pyplot

    if get_backend().rpartition(".")[2] in ("inline", "backend_inline"):
        pyplot.close(figure)
    raise NotImplementedError  # IPython's word for: show it in the usual way
