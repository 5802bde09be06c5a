"""Types for those who call gpugrad in functions of their own, as `numpy.typing` is for NumPy.

Examples
--------
>>> import gpugrad
>>> from gpugrad.typing import Backend, Boundary
>>> def slope(f, boundary: Boundary = "periodic", backend: Backend | None = None):
...     return gpugrad.derivative(f, boundary=boundary, backend=backend)
"""

from gpugrad._arrays import Backend as Backend
from gpugrad._grids import Axes as Axes
from gpugrad._grids import Axis as Axis
from gpugrad._grids import Boundary as Boundary
from gpugrad._grids import EdgeOrder as EdgeOrder
from gpugrad._grids import Period as Period
from gpugrad._grids import Side as Side
from gpugrad._grids import Spacing as Spacing
from gpugrad._grids import Stagger as Stagger
