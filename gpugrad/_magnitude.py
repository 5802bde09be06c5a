"""The magnitude of a gradient: the one operator that is not a sum of derivatives."""

from __future__ import annotations

from typing import Any

from gpugrad._arrays.arrays import Array, as_field, dtype_name
from gpugrad._components import check_axes
from gpugrad._grids.axes import plan_axes
from gpugrad._grids.options import ONE_SIDED, Options
from gpugrad._labels.dispatch import accepts_labels
from gpugrad._samples import Samples
from gpugrad._stencils.plan import Norm


@accepts_labels
def gradient_norm(
    f: Any,
    *spacing: Any,
    axis: Any = None,
    accuracy: int = 2,
    boundary: Any = ONE_SIDED,
    edge_accuracy: int | None = None,
    period: Any = None,
    time_unit: str | None = None,
    where: Any = None,
    skipna: bool = False,
    out: Any = None,
    backend: str | None = None,
) -> Array:
    r"""Return the magnitude of the gradient of a sampled field, in one pass over it.

    Parameters
    ----------
    f : array of shape (n_0, ..., n_k)
        Samples of a field, real or complex, of any kind that `gradient` takes but dates.
    *spacing, axis, accuracy, boundary, edge_accuracy, period, time_unit, where, skipna,
    backend
        As for `divergence`.
    out : array, optional
        Where to write, an array of the shape of `f`. May overlap with it.

    Returns
    -------
    array of shape (n_0, ..., n_k)
        The length of the gradient, in the unit of `f` per unit of the spacing: real, not
        negative. Library, device and precision are those of `f`; integers become floats.

    Raises
    ------
    TypeError, ValueError
        As for `derivative`; dates have no squares.

    Notes
    -----
    .. math:: |\nabla f| = \sqrt{\sum_{i=1}^{n} \left|\frac{\partial f}{\partial x_i}\right|^2}

    The derivatives are those of `gradient` with the same options. Each is rounded to the
    precision of the result and squared (a complex one as :math:`a^2 + b^2` of its parts), the
    squares are added from left to right, and the root is correctly rounded: the bits are those
    of these steps, array by array. No array of the size of `f` is made but the result. In half
    precision all of it is computed in float32 and rounded once.

    Nothing is rescaled, so squares overflow where a derivative is larger than about 1e19 in
    float32 and 1e154 in float64, and are lost below 1e-23 and 1e-162: choose units accordingly.

    Where the gradient is zero, automatic differentiation takes the slope of its length as zero.

    Examples
    --------
    >>> import numpy as np
    >>> import gpugrad
    >>> x, y = np.meshgrid(np.arange(3.0), np.arange(4.0), indexing="ij")
    >>> gpugrad.gradient_norm(3 * x + 4 * y)
    array([[5., 5., 5., 5.],
           [5., 5., 5., 5.],
           [5., 5., 5., 5.]])
    """
    f = as_field(f)
    if dtype_name(f.dtype).startswith(("datetime", "timedelta")):
        raise TypeError(
            f"`f` must hold numbers to have a gradient with a length; got dtype {f.dtype}. Divide "
            "by a unit of time first, as in `f / numpy.timedelta64(1, 's')`."
        )
    samples = Samples([f], where, skipna)
    f = samples.fields[0]
    options = samples.choose(Options(1, accuracy, edge_accuracy, boundary, period))
    plans = plan_axes(f, spacing, axis, time_unit, options)
    check_axes(plans, "gradient's length")
    outputs = [Norm([samples.term(plan) for plan in plans])]
    result: Array = samples.evaluate(outputs, out, False, backend)[0]
    return result
