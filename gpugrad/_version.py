"""The version of the package, below all else: files and `info` tell it."""

__version__ = "0.1.0"
