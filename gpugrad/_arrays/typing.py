"""Types of arrays, once for all folders."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

Array = Any
"""An array of any library that speaks the array API; there is no common type for them yet."""

Backend = Literal["auto", "slices", "numpy", "compiled", "cupy"]
"""Where the arithmetic runs."""

NumpyArray = np.ndarray[Any, Any]
"""An array of NumPy, of any dtype and shape."""
