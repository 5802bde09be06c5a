"""**The mathematics.** Weights, boundaries, schemes; a derivative as data."""
