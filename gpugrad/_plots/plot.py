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
    Samples of a curve, or of a field of two axes: real numbers in an array of any library, a
    DataArray of xarray, a quantity, a Series of pandas, or a sequence. A Dask array is computed,
    once. Samples that are NaN, infinite or masked are grey.
""",
    spacing="""
*spacing : number, array, Sphere or CurvilinearGrid, optional
    The distance between samples, or their coordinates, as in `gradient`, with 1-D coordinates; or
    a grid, whose gradient is drawn then. A DataArray of two axes that are latitude and longitude
    is drawn as a map, with slopes per metre; pass a spacing for other slopes.
""",
    time_unit="""
time_unit : str, optional
    The unit of time ("s", "h", "D", "ns", ...) that rates are per, where coordinates are dates or
    spans of time. By default the largest of day, hour, minute and second of which the field
    spans three.
""",
    panels="""
panels : str, int or sequence, optional
    What is drawn, each in a panel. Of a curve "curve" and "slope", by default both. Of a field
    "field" (its values, with arrows uphill), "magnitude" (the length of its gradient, with stream
    lines), and the number or the name of an axis for the derivative along it; by default the first
    two.
""",
    points="""
points : str or sequence of str, optional
    What is marked: "turning" or "inflection" points of a curve, "critical" points of a field,
    ``()`` for none. By default the turning or critical points, if there are no more than 40 of
    them and no more than four million samples.
""",
    prominence="""
prominence : number, optional
    Leave out turning points that stand out by less, in the unit of `f`. That needs SciPy.
""",
    ax="""
ax : Axes of Matplotlib or sequence of these, optional
    Where to draw, one for each panel. By default in a new figure of `matplotlib.pyplot`.
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

    It is the quick look at data and their slopes: where a curve rises, falls and turns; which way
    a field rises, how steeply, and where it is level.

    Parameters
    ----------
    {parameters: help() shows this}

    Returns
    -------
    matplotlib.figure.Figure
        The figure; ``figure.axes`` are its panels. With `ax` it is the figure of these.

    {errors: help() shows this}
    ImportError
        If Matplotlib is not installed.

    See Also
    --------
    gradient : The derivatives that are drawn.
    turning_points, inflection_points, critical_points : The points that are marked.
    Sphere, CurvilinearGrid : Grids that are not straight.

    Notes
    -----
    Axis 0 of a field points upwards, axis 1 to the right. Where both axes have one unit, or none,
    lengths on them are equal, unless the picture would be a thin stripe; maps are true to scale at
    their middle latitude. The lengths of arrows grow as the square root of the slope does. Where
    axes have units of their own, a direction has no meaning beyond the picture: arrows and stream
    lines then run at right angles to the level lines of the picture, and the length of the
    gradient is said to be of mixed units. Stream lines follow means of the slope over a
    fortieth of each side; on curved grids there are none.

    Of more than 1200 samples along a side, every second, third, ... is drawn, with the derivatives
    that the whole field has there. Long curves are drawn by the lowest and the highest of
    neighbouring samples, so that no peak is lost.

    A figure is returned rather than axes, because a picture has several panels, and a figure is
    what is saved: ``plot(f).savefig("f.png")``. `matplotlib.pyplot` knows it, so that
    ``pyplot.show()`` shows it and a notebook does, once. With `ax` nothing but these axes
    changes, and colour bars take some of their room.

    Examples
    --------
    >>> import numpy as np
    >>> import gpugrad
    >>> x = np.linspace(0, 6, 61)
    >>> figure = gpugrad.plot(np.sin(x), x)
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['f', 'df/dx']
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
