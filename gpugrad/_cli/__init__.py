"""The command `gpugrad`.

It parses words, calls the package, and prints.
"""
