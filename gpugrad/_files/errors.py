"""What can go wrong with a file, in one line for who runs the command."""

from __future__ import annotations

from importlib import import_module
from typing import Any

EXTRA = "files"
"""The extra that brings what Zarr and NetCDF need."""


class FileError(Exception):
    """A file can't be read or written as asked; the message says what to do."""


def import_library(name: str, extra: str, purpose: str, package: str = "") -> Any:
    """Import a module, or raise FileError with how to install its package."""
    try:
        return import_module(name)
    except ImportError as error:
        raise need(extra, package or name, purpose) from error


def need(extra: str, package: str, purpose: str) -> FileError:
    """Return the error for a package that is not installed."""
    return FileError(
        f"{purpose} needs {package}, which is not installed. "
        f'Install it: pip install "gpugrad[{extra}]".'
    )
