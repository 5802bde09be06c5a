"""Fields in files: read piece by piece, differentiated in bounded memory, written safely.

`run.differentiate` is the way in, for the command `gpugrad grad`.
"""
