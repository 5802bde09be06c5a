"""What an array is.

An array's library, namespace, device and dtype; copies from and to the host; where results may be
written; memory that is used again; threads; and whether a GPU is usable. Nothing here knows what a
derivative is.
"""

from typing import TYPE_CHECKING

from gpugrad._arrays.arrays import (
    HALF_PRECISION,
    PLAIN,
    BackendError,
    GpugradWarning,
    as_field,
    asnumpy,
    assign,
    convert_sequence,
    has_plain_type,
    is_unmasked_subclass,
    library_of_labels,
    refuse_labels,
    result_dtype,
    warn_caller,
    widest_float,
    without_warnings,
    working_dtype,
    wrap_like,
)
from gpugrad._arrays.integers import loses_digits, subtract_integers
from gpugrad._arrays.libraries import (
    complete,
    device_of,
    dtype_name,
    from_host,
    host_values,
    is_differentiated,
    is_library_array,
    is_tracer,
    is_transformed,
    library_of,
    namespace_of,
    place_of,
    real_floats,
    row_of,
)
from gpugrad._arrays.memory import empty, keep_freed_memory
from gpugrad._arrays.out import (
    check_out,
    deliver,
    flatten_rows,
    overlap_any,
    resemble,
    stack_results,
    view_to_write,
)
from gpugrad._arrays.placement import find_apart, place_of_values, require_one_place, tell_apart
from gpugrad._arrays.strange import as_regular, refuse_datasets, refuse_sparse
from gpugrad._arrays.threads import Gate, Lane, run_whole
from gpugrad._arrays.typing import Array, Backend, NumpyArray
from gpugrad._late import load_late

if TYPE_CHECKING:
    from gpugrad._arrays.devices import Gpu, find_gpu, is_installed
    from gpugrad._arrays.gpus import GPU_LIBRARIES, find_gpu_of
    from gpugrad._arrays.namespaces import namespace

__getattr__ = load_late(
    __name__,
    {
        "devices": "Gpu find_gpu is_installed",
        "gpus": "GPU_LIBRARIES find_gpu_of",
        "namespaces": "namespace",
    },
)
