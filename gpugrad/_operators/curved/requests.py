"""What a call of a grid's method asks for besides its fields."""

from __future__ import annotations

from typing import Any, NamedTuple


class GridRequest(NamedTuple):
    """The options that methods share."""

    out: Any = None
    stack: bool = False
    where: Any = None
    skipna: bool = False
    backend: str | None = None
