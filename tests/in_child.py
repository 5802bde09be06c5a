"""What tests have other processes do; a child imports this module and what it needs, no test."""

from __future__ import annotations

import gpugrad
from internals import compiled_engine


def differentiate(f):
    """Return the gradient of a small field, computed as that of a large one is."""
    compiled_engine.THREADED_BYTES = 0
    with gpugrad.use_backend("compiled", threads=2):
        return gpugrad.gradient(f, 0.5, edge_order=2)
