"""Pictures of fields with their gradients.

A field of any library is read once, with its labels, units and derivatives, and becomes a record of
plain numbers and texts. What draws reads this record alone. Only Matplotlib is needed, which is
loaded at the first picture.
"""

from gpugrad._plots.axes import PlotAxis, read_axis
from gpugrad._plots.draw import draw_field
from gpugrad._plots.field import PlotField, thin_axes
from gpugrad._plots.maps import append_seam
