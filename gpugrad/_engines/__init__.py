"""The arithmetic.

An engine evaluates outputs, sums of terms, and says why it cannot take some. `slices`
is the reference: all others have its bits, faster. `dispatch` chooses one for each call;
`selection` is the switch with which users choose.
"""

from gpugrad._engines.dispatch import evaluate
from gpugrad._engines.selection import BACKENDS, name_in_force
