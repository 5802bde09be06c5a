"""Types of what this folder is handed, once for all its files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Call = Callable[..., Any]
"""An operator as users call it, which takes fields with labels and without."""
