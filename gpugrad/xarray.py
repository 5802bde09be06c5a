"""The accessor ``.gpugrad`` for xarray's DataArrays and Datasets. Importing this registers it.

Examples
--------
>>> import numpy as np
>>> import xarray
>>> import gpugrad.xarray
>>> x = np.array([0.0, 1.0, 3.0, 4.0])
>>> T = xarray.DataArray(x**2, {"x": ("x", x, {"units": "m"})}, name="T", attrs={"units": "K"})
>>> T.gpugrad.gradient("x").attrs["units"]
'K m-1'
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gpugrad
from gpugrad._labels import axis_of_component, order_components
from gpugrad._stencils import OPERATORS, Operator

try:
    import xarray
except ImportError as _error:
    raise ImportError(
        'gpugrad.xarray needs xarray, which is not installed: pip install "gpugrad[files]".'
    ) from _error

__all__ = ["DataArrayAccessor", "DatasetAccessor", "FieldOnGrid", "VectorOnGrid", "WindsOnSphere"]


def __dir__() -> list[str]:
    return __all__  # and no names of what is imported here


def _unknown(accessor: Any, name: str, elsewhere: str) -> AttributeError:
    """Return the error for an operator that is not there, with those that are."""
    known = ", ".join(known for known in dir(accessor) if not known.startswith("_"))
    return AttributeError(
        f".gpugrad has no operator {name!r}; it has: {known} ({elsewhere})", name=name, obj=accessor
    )


*_OTHERS, _LAST = [name for name, row in OPERATORS.items() if row.takes != "field"]
_OF_DATASETS = f"{', '.join(_OTHERS)} and {_LAST}"


class FieldOnGrid:
    """The operators on a field on a curved grid or on a sphere.

    It is returned by ``sphere()`` and ``curvilinear()`` of a DataArray. The methods have the
    options of the methods of `gpugrad.Sphere` and `gpugrad.CurvilinearGrid`.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray
    >>> import gpugrad.xarray
    >>> places = {"lat": [0.0, 10.0, 20.0], "lon": [0.0, 10.0, 20.0]}
    >>> T = xarray.DataArray(np.ones((3, 3)), places, ("lat", "lon"), name="T")
    >>> on_sphere = T.gpugrad.sphere()
    >>> on_sphere
    <T on a Sphere of the coordinates of each field>
    >>> on_sphere.gradient_norm().dims
    ('lat', 'lon')
    """

    def __init__(self, grid: Any, f: xarray.DataArray) -> None:
        self._grid, self._f = grid, f

    def gradient(self, **options: Any) -> Any:
        """Return the gradient of the field."""
        return self._grid.gradient(self._f, **options)

    def gradient_norm(self, **options: Any) -> xarray.DataArray:
        """Return the length of the gradient of the field."""
        return self._grid.gradient_norm(self._f, **options)

    def laplacian(self, **options: Any) -> xarray.DataArray:
        """Return the Laplacian of the field."""
        return self._grid.laplacian(self._f, **options)

    def plot(self, **options: Any) -> Any:
        """Draw the field with its gradient.

        The options are those of `gpugrad.plot`.
        """
        return gpugrad.plot(self._f, self._grid, **options)

    def __repr__(self) -> str:
        return f"<{self._f.name or 'a field'} on a {self._grid!r}>"


class WindsOnSphere:
    """The operators on winds or other vector fields on a sphere.

    It is returned by ``sphere()`` of a Dataset. The components are variables of the dataset. The
    methods have the options of the methods of `gpugrad.Sphere`.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray
    >>> import gpugrad.xarray
    >>> places = {"lat": [0.0, 10.0, 20.0], "lon": [0.0, 10.0, 20.0]}
    >>> u = xarray.DataArray(np.ones((3, 3)), places, ("lat", "lon"), attrs={"units": "m s-1"})
    >>> winds = xarray.Dataset({"u": u, "v": u}).gpugrad.sphere()
    >>> winds.curl(u="u", v="v").attrs["units"]
    's-1'
    """

    def __init__(self, sphere: gpugrad.Sphere, pick: Callable[[Any], xarray.DataArray]) -> None:
        self._sphere, self._pick = sphere, pick

    def divergence(self, *, u: Any = "u", v: Any = "v", **options: Any) -> xarray.DataArray:
        """Return the divergence of the eastward component `u` and the northward component `v`."""
        result: xarray.DataArray = self._sphere.divergence(
            u=self._pick(u), v=self._pick(v), **options
        )
        return result

    def curl(self, *, u: Any = "u", v: Any = "v", **options: Any) -> xarray.DataArray:
        """Return the vertical component of the curl of the components `u` (eastward) and `v`
        (northward).
        """
        result: xarray.DataArray = self._sphere.curl(u=self._pick(u), v=self._pick(v), **options)
        return result

    def __repr__(self) -> str:
        return f"<winds on a {self._sphere!r}>"


class VectorOnGrid:
    """The operators on a vector field on a curved grid.

    It is returned by ``curvilinear()`` of a Dataset. The components are variables of the dataset
    and are given by name, in the order of the coordinates. The methods have the options of the
    methods of `gpugrad.CurvilinearGrid`.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray
    >>> import gpugrad.xarray
    >>> X, Y = np.array([[0.0, 1.0], [0.0, 1.0]]), np.array([[0.0, 0.0], [1.0, 2.0]])
    >>> u = xarray.DataArray(X, {"X": (("j", "i"), X), "Y": (("j", "i"), Y)}, ("j", "i"))
    >>> on_grid = xarray.Dataset({"u": u, "v": 0 * u}).gpugrad.curvilinear("X", "Y")
    >>> on_grid.divergence("u", "v").values
    array([[1., 1.],
           [1., 1.]])
    """

    def __init__(
        self, grid: gpugrad.CurvilinearGrid, pick: Callable[[Any], xarray.DataArray]
    ) -> None:
        self._grid, self._pick = grid, pick

    def divergence(self, *names: Any, **options: Any) -> xarray.DataArray:
        """Return the divergence of the vector field."""
        result: xarray.DataArray = self._grid.divergence([*map(self._pick, names)], **options)
        return result

    def curl(self, *names: Any, **options: Any) -> Any:
        """Return the curl of the vector field."""
        return self._grid.curl([*map(self._pick, names)], **options)

    def jacobian(self, *names: Any, **options: Any) -> Any:
        """Return the derivatives of all components with respect to all coordinates."""
        return self._grid.jacobian([*map(self._pick, names)], **options)

    def __repr__(self) -> str:
        return f"<vectors on a {self._grid!r}>"


@xarray.register_dataarray_accessor("gpugrad")
class DataArrayAccessor:
    """The operators on scalar fields, as methods of a DataArray.

    Dimensions are given by name, and the spacings are the coordinates of the array. The options are
    those of the functions of the same names, such as `gpugrad.gradient`. Results are DataArrays.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray
    >>> import gpugrad.xarray
    >>> x = np.array([0.0, 1.0, 3.0, 4.0])
    >>> T = xarray.DataArray(x**2, {"x": x}, name="T")
    >>> T.gpugrad.gradient("x", edge_order=2).values
    array([0., 2., 6., 8.])
    >>> T.gpugrad.derivative("x", order=2).name
    'd2T_dx2'
    """

    def __init__(self, f: xarray.DataArray) -> None:
        self._f = f

    def sphere(self, *coordinates: Any, **options: Any) -> FieldOnGrid:
        """Return the operators on a sphere: ``gradient()``, ``gradient_norm()``, ``laplacian()``.

        The options are those of `gpugrad.Sphere`. By default, latitude and longitude are found
        among the coordinates of the array.
        """
        return FieldOnGrid(gpugrad.Sphere(*coordinates, **options), self._f)

    def curvilinear(self, *coordinates: Any, **options: Any) -> FieldOnGrid:
        """Return the operators on a curved grid, whose coordinates are given by name.

        These are ``gradient()``, ``gradient_norm()`` and ``laplacian()``. The options are those of
        `gpugrad.CurvilinearGrid`.
        """
        return FieldOnGrid(gpugrad.CurvilinearGrid(*coordinates, **options), self._f)

    def turning_points(self, dim: Any, **options: Any) -> Any:
        """Return the minima and maxima of curves along a dimension.

        The options are those of `gpugrad.turning_points`.
        """
        return gpugrad.turning_points(self._f, axis=dim, **options)

    def inflection_points(self, dim: Any, **options: Any) -> Any:
        """Return the inflection points of curves along a dimension.

        The options are those of `gpugrad.inflection_points`.
        """
        return gpugrad.inflection_points(self._f, axis=dim, **options)

    def critical_points(self, **options: Any) -> Any:
        """Return the minima, maxima and saddles of the field.

        The options are those of `gpugrad.critical_points`.
        """
        return gpugrad.critical_points(self._f, **options)

    def plot(self, **options: Any) -> Any:
        """Draw the curve or the field with its gradient.

        The options are those of `gpugrad.plot`.
        """
        return gpugrad.plot(self._f, **options)

    def noise_level(self, dim: Any, **options: Any) -> Any:
        """Return the standard deviation of the noise of samples along a dimension.

        The options are those of `gpugrad.noise_level`.
        """
        return gpugrad.noise_level(self._f, axis=dim, **options)

    def smooth_derivative(self, dim: Any, **options: Any) -> Any:
        """Return the derivative of noisy samples along a dimension, by a filter or a spline.

        The options are those of `gpugrad.smooth_derivative`.
        """
        return gpugrad.smooth_derivative(self._f, axis=dim, **options)

    def recommended_spacing(self, **options: Any) -> Any:
        """Return the distance between samples at which noise and truncation errors are balanced.

        The options are those of `gpugrad.recommended_spacing`.
        """
        return gpugrad.recommended_spacing(self._f, **options)

    def error_estimate(self, dim: Any, **options: Any) -> Any:
        """Return the estimated error of a derivative along a dimension.

        The options are those of `gpugrad.error_estimate`.
        """
        return gpugrad.error_estimate(self._f, axis=dim, **options)

    def __getattr__(self, name: str) -> Any:
        raise _unknown(self, name, f"{_OF_DATASETS} are those of a Dataset")


@xarray.register_dataset_accessor("gpugrad")
class DatasetAccessor:
    """The operators on vector fields, as methods of a Dataset.

    The components of the vector field are variables of the dataset, given in one of three ways:

    - in the order of `axis`, as in ``divergence("u", "v", axis=("x", "y"))``;
    - by direction, as in ``divergence(u="u", v="v")``: u is the component along x or longitude, v
      the component along y or latitude, w the one along z. The names and CF attributes of the
      coordinates tell which dimension is x, y or z;
    - by dimension, as in ``divergence(x="u", y="v")``.

    Components that are given by name may be in any order, except for dimensions that are not known
    to be x, y or z.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray
    >>> import gpugrad.xarray
    >>> x = xarray.DataArray(np.arange(3.0), dims="x")
    >>> y = xarray.DataArray(np.arange(3.0), dims="y")
    >>> flow = xarray.Dataset({"u": 2 * x + 0 * y, "v": y + 0 * x})
    >>> float(flow.gpugrad.divergence(u="u", v="v").max())
    3.0
    """

    def __init__(self, data: xarray.Dataset) -> None:
        self._data = data

    def sphere(self, *coordinates: Any, **options: Any) -> WindsOnSphere:
        """Return the operators on a sphere: ``divergence()`` and ``curl()``.

        The options are those of `gpugrad.Sphere`. By default, latitude and longitude are found
        among the coordinates of the variables.
        """
        return WindsOnSphere(gpugrad.Sphere(*coordinates, **options), self._pick)

    def curvilinear(self, *coordinates: Any, **options: Any) -> VectorOnGrid:
        """Return the operators on a curved grid: ``divergence()``, ``curl()`` and ``jacobian()``.

        The coordinates of the grid are given by name. The options are those of
        `gpugrad.CurvilinearGrid`.
        """
        return VectorOnGrid(gpugrad.CurvilinearGrid(*coordinates, **options), self._pick)

    def __getattr__(self, name: str) -> Any:
        raise _unknown(self, name, 'of one variable there are others, as in ds["T"].gpugrad')

    def _call(self, operator: Any, names: Any, axis: Any, options: dict[str, Any]) -> Any:
        named = {key: options.pop(key) for key in [*options] if self._is_component(key)}
        if bool(names) == bool(named):
            raise TypeError(
                f"{operator.__name__} takes the components either in the order of `axis`, or by "
                f"name, as in u=..., v=...; got {names} and {named}."
            )
        if named:
            named = order_components(named, self._pick(next(iter(named.values()))))
        components = [self._pick(name) for name in names or named.values()]
        if named:
            axis = [axis_of_component(key, components[0]) for key in named]
        return operator(components, axis=None if axis is None else tuple(axis), **options)

    def _is_component(self, key: str) -> bool:
        return key in ("u", "v", "w") or key in self._data.dims

    def _pick(self, name: Any) -> xarray.DataArray:
        if isinstance(name, xarray.DataArray):
            return name
        if name not in self._data:
            known = ", ".join(map(str, self._data.data_vars))
            raise KeyError(f"the dataset has no variable {name!r}; it has: {known}")
        return self._data[name]


def _make_method(row: Operator) -> Any:
    """Return the method of an operator: along dimensions of an array, or of named components."""
    operator = getattr(gpugrad, row.name)

    def of_one(self: Any, dim: Any, **options: Any) -> Any:
        return operator(self._f, axis=dim, **options)

    def of_array(self: Any, *dims: Any, **options: Any) -> Any:
        # The gradient along one dimension alone is one array, and no tuple.
        is_alone = row.gives == "each" and len(dims) == 1
        return operator(self._f, axis=dims[0] if is_alone else dims or None, **options)

    def of_dataset(self: Any, *names: Any, axis: Any = None, **options: Any) -> Any:
        return self._call(operator, names, axis, options)

    if row.takes != "field":
        method: Any = of_dataset
        where = "The components are given by name, or in the order of `axis`."
    elif row.axes == (1, 1):
        method, where = of_one, "The dimension is given by name."
    else:
        method, where = of_array, "Dimensions are given by name; by default all are used."
    method.__name__ = row.name
    options = f"The options are those of `gpugrad.{row.name}`."
    method.__doc__ = f"Return {row.summary}.\n\n{where} {options}"
    return method


for _row in OPERATORS.values():
    _accessor = DataArrayAccessor if _row.takes == "field" else DatasetAccessor
    setattr(_accessor, _row.name, _make_method(_row))
