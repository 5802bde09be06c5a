"""What users say about their samples.

Axes, spacings, coordinates, masks and options: each is parsed and checked here, once, and becomes a
plan or a record. Most errors about arguments are raised here.
"""

from gpugrad._grids.axes import parse_one_axis, plan_axes, plan_gradient, warn_of_repeats
from gpugrad._grids.coordinates import (
    are_dates,
    find_calendar_start,
    read_coordinates,
    read_numbers,
)
from gpugrad._grids.masks import as_mask, choose_beside_masked, copy_mask, find_valid, is_masked
from gpugrad._grids.options import (
    ONE_SIDED,
    Options,
    is_side,
    list_by_axis,
    parse_boundaries,
    parse_periods,
    parse_positive,
    parse_scheme,
    parse_staggers,
    translate_boundary,
)
from gpugrad._grids.spacing import parse_axes, parse_spacings, widen
from gpugrad._grids.steps import find_fine_steps
from gpugrad._grids.times import refuse_times
from gpugrad._grids.typing import Axes, Axis, Boundary, EdgeOrder, Period, Side, Spacing, Stagger
