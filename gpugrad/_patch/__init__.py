"""gpugrad's gradient in the place of the one that existing code calls.

A table has a row for each library: where its gradient is, and what stands in for it. Libraries that
are imported later are seen by a finder. `patch_numpy` keeps the order of those that hold.
"""
