"""The arithmetic.

An engine evaluates outputs, sums of terms, and says why it cannot take some. `slices`
is the reference: all others have its bits, faster. `dispatch` chooses one for each call;
`selection` is the switch with which users choose.
"""

from typing import TYPE_CHECKING

from gpugrad._engines.dispatch import evaluate
from gpugrad._engines.selection import (
    BACKENDS,
    check_name,
    choose_for_process,
    is_auto_in_force,
    name_in_force,
)
from gpugrad._late import load_late

if TYPE_CHECKING:
    from gpugrad._engines.explanation import Explanation, explain_call

__getattr__ = load_late(__name__, {"explanation": "Explanation explain_call"})
