"""Pictures: figures of Matplotlib."""

from __future__ import annotations

from typing import assert_type

import numpy as np
from matplotlib.figure import Figure

import gpugrad

f = np.zeros((4, 5))

figure = gpugrad.plot(f, 0.5, panels=("field", 0), points=(), skipna=True)
assert_type(figure, Figure)
assert_type(gpugrad.plot(f, spacing=0.5, prominence=0.1, accuracy=4), Figure)
figure.savefig("f.png")

# Wrong calls.
gpugrad.plot(f, pannels="field")  # type: ignore[call-arg]
gpugrad.plot(f, panels=1.5)  # type: ignore[arg-type]
