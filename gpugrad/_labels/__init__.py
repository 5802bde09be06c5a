"""Names and units.

What xarray, pint and the CF conventions say beside the numbers is taken off on the way in and put
on again on the way out. Operators are handed in: this folder calls them and imports none.
"""

from typing import TYPE_CHECKING

from gpugrad._labels.dispatch import accepts_labels
from gpugrad._late import load_late

if TYPE_CHECKING:
    from gpugrad._labels.cf_axes import (
        axis_of_component,
        find_mixed,
        geographic_kind,
        order_components,
    )
    from gpugrad._labels.cf_units import per, unit_of_time
    from gpugrad._labels.names import Labels, kept_attributes
    from gpugrad._labels.staggered import StaggeredResults, adds_components
    from gpugrad._labels.units import compare, has_units, split

__getattr__ = load_late(
    __name__,
    {
        "cf_axes": "axis_of_component find_mixed geographic_kind order_components",
        "cf_units": "per unit_of_time",
        "names": "Labels kept_attributes",
        "staggered": "StaggeredResults adds_components",
        "units": "compare has_units split",
    },
)
