"""The public operators on arrays.

Each parses its arguments with `_grids`, takes its terms from the table in `_stencils`, and has them
evaluated by `_engines`. Curved grids, the sphere and reusable plans are here too.
"""

from gpugrad._operators.components import check_mixed
from gpugrad._operators.gradient import derivative
from gpugrad._operators.stages import Stages, plan_stages
