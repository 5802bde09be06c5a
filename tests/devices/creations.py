"""Functions that make arrays, which take a device: each of a namespace and, maybe, of `device=`."""

from __future__ import annotations

import numpy as np

CREATIONS = {
    "asarray of a list": lambda xp, **to: xp.asarray([1.0, 2.0, 4.0], **to),
    "asarray of NumPy's": lambda xp, **to: xp.asarray(np.arange(3.0), **to),
    "zeros": lambda xp, **to: xp.zeros(3, **to),
    "ones": lambda xp, **to: xp.ones((2, 3), **to),
    "empty": lambda xp, **to: xp.empty(3, **to),
    "full": lambda xp, **to: xp.full((3,), 2.0, **to),
    "arange": lambda xp, **to: xp.arange(3.0, **to),
    "linspace": lambda xp, **to: xp.linspace(0, 1, 3, **to),
    "eye": lambda xp, **to: xp.eye(3, **to),
    "fftfreq": lambda xp, **to: xp.fft.fftfreq(4, **to),
    "rfftfreq": lambda xp, **to: xp.fft.rfftfreq(4, **to),
}
