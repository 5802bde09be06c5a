"""The public operators on arrays.

Each parses its arguments with `_grids`, takes its terms from the table in `_stencils`, and has them
evaluated by `_engines`. Curved grids, the sphere and reusable plans are here too.
"""

from typing import TYPE_CHECKING

from gpugrad._late import load_late
from gpugrad._operators.components import check_mixed
from gpugrad._operators.gradient import derivative

if TYPE_CHECKING:
    from gpugrad._operators.curved.sphere import EARTH, Sphere
    from gpugrad._operators.curved.sphere_rows import SphereRows
    from gpugrad._operators.stages import Stages, plan_stages

__getattr__ = load_late(
    __name__,
    {
        "curved.sphere": "EARTH Sphere",
        "curved.sphere_rows": "SphereRows",
        "stages": "Stages plan_stages",
    },
)
