"""**The public operators on arrays.** From grids and terms to results."""
