"""Warnings that point to the line which called this package, however deep they arise."""

from __future__ import annotations

import sys
import warnings


def warn_caller(message: str) -> None:
    """Warn the user, at the line of theirs that led here."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "gpugrad":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, UserWarning, stacklevel=level)
