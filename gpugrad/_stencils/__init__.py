"""The mathematics.

Weights, boundaries and schemes; a derivative along an axis as data (`Formula`, `AxisPlan`, `Term`),
its transpose, and its piece for some rows; the table of operators. All of it is pure: no engine
and no user's argument is known here. Who can read Fornberg's paper can read this folder.
"""

from typing import TYPE_CHECKING

from gpugrad._late import load_late
from gpugrad._stencils.boundaries import MAX_ACCURACY, MAX_ORDER, TABLE, Scheme, Side, Sides
from gpugrad._stencils.masked import plan_beside_masked
from gpugrad._stencils.numpy_scheme import find_formulas_again, first_derivative
from gpugrad._stencils.operators import OPERATORS, Operator, arrange_hessian, each_derivative
from gpugrad._stencils.plan import (
    IDENTITY,
    AxisPlan,
    Formula,
    Norm,
    Outputs,
    Region,
    Seam,
    Steps,
    Term,
    add_up,
    bind_fields,
    change_terms,
    convert_fields,
    cut_weight,
    describe_outputs,
    distinct_arrays,
    distinct_fields,
    distinct_masks,
    is_single,
    list_formulas,
    replace_fields,
    rows_of,
)
from gpugrad._stencils.repeated_ends import ends_agree, repeats_its_first
from gpugrad._stencils.schemes import plan_derivative
from gpugrad._stencils.weights import central_reach, exact_weights

if TYPE_CHECKING:
    from gpugrad._stencils.pieces import (
        ChunkPlan,
        Piece,
        Span,
        Stretch,
        cut_at_seams,
        cut_plan,
        cut_plans,
        find_reach,
        find_row,
        find_stretches,
    )
    from gpugrad._stencils.transpose import transpose_plan
    from gpugrad._stencils.validity import choose_rows, find_results, find_usable, find_usable_rows

__getattr__ = load_late(
    __name__,
    {
        "pieces": (
            "ChunkPlan Piece Span Stretch cut_at_seams cut_plan cut_plans find_reach find_row "
            "find_stretches"
        ),
        "transpose": "transpose_plan",
        "validity": "choose_rows find_results find_usable find_usable_rows",
    },
)
