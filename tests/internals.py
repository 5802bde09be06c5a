"""What tests need of the package's insides: one place to mend where modules move.

A test imports `gpugrad` where it can. What it cannot say by the public API alone it takes from
here, as in ``from internals import Term``; the groups below say why. A name is looked up when it
is asked for: some modules need a library that is not installed everywhere.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

# Modules whose limits a test lowers, so that small fields take the way of large ones, or in which
# it puts a spy or a stand-in.
MODULES = {
    # The choice of an engine, and the pool of threads.
    "dispatch": "gpugrad._engines.dispatch",
    "_threads": "gpugrad._arrays.threads",
    # Whether there is a GPU: a machine with one, or with a broken one, is played.
    "_devices": "gpugrad._arrays.devices",
    "_gpus": "gpugrad._arrays.gpus",
    "_namespaces": "gpugrad._arrays.namespaces",
    "info": "gpugrad._engines.info",
    "selection": "gpugrad._engines.selection",
    "_memory": "gpugrad._arrays.memory",
    # Checks of arrays that have no values to compute with: CuPy's, over memory of the host.
    "_arrays": "gpugrad._arrays",
    "libraries": "gpugrad._arrays.libraries",
    # Engines, one by one, on what they are given; their programs, blocks and slabs.
    "slices": "gpugrad._engines.slices",
    "numpy_blocks": "gpugrad._engines.numpy_blocks",
    "numpy_calls": "gpugrad._engines.numpy_calls",
    "ready": "gpugrad._engines.ready",
    "half_precision": "gpugrad._engines.half_precision",
    "numpy_subclasses": "gpugrad._engines.numpy_subclasses",
    "masked_arrays": "gpugrad._engines.masked_arrays",
    "compiled_engine": "gpugrad._engines.compiled.engine",
    "compiled_factors": "gpugrad._engines.compiled.factors",
    "compiled_program": "gpugrad._engines.compiled.program",
    "program_call": "gpugrad._engines.compiled.program_call",
    "compiled_tiles": "gpugrad._engines.compiled.tiles",
    "masked_sums": "gpugrad._engines.compiled.masked_sums",
    "compiled_kernel": "gpugrad._engines.compiled.kernel",
    "compiled_kernels": "gpugrad._engines.compiled.kernels",
    "compiled_llvm": "gpugrad._engines.compiled.llvm",
    "compiled_mender": "gpugrad._engines.compiled.mender",
    "offers": "gpugrad._engines.compiled.offers",
    "kernel_spec": "gpugrad._engines.compiled.kernel_spec",
    "dask_graph": "gpugrad._engines.dask.graph",
    "dask_tasks": "gpugrad._engines.dask.tasks",
    "jax_engine": "gpugrad._engines.jax.engine",
    "pieces": "gpugrad._stencils.pieces",
    # The registry of units, of which each library has its own.
    "cf_units": "gpugrad._labels.cf_units",
    # The kernel for GPUs, which tests compile for the host and call by a stand-in of CUDA.
    "cuda_engine": "gpugrad._engines.cuda.engine",
    "cuda_program": "gpugrad._engines.cuda.program",
    "torch_calls": "gpugrad._engines.torch.calls",
    "torch_tensors": "gpugrad._engines.cuda.torch_tensors",
    # Where plans and weights are made: what a call that comes again must not do a second time.
    "_axes": "gpugrad._grids.axes",
    "_boundaries": "gpugrad._stencils.boundaries",
    "_schemes": "gpugrad._stencils.schemes",
    # Calls that come again, which a test that changes limits has to forget.
    "prepared": "gpugrad._operators.prepared",
    "prepared_calls": "gpugrad._operators.prepared_calls",
    "prepared_shapes": "gpugrad._operators.prepared_shapes",
    "prepared_programs": "gpugrad._operators.prepared_programs",
    # Slabs of curved grids and spheres, to be made small.
    "slabs": "gpugrad._operators.curved.slabs",
    "sphere_fields": "gpugrad._operators.curved.sphere_fields",
    "sphere_rows": "gpugrad._operators.curved.sphere_rows",
    "linear_operator": "gpugrad._operators.linear_operator",
    # The criterion of smoothing splines, to be compared with its definition.
    "cross_validation": "gpugrad._operators.cross_validation",
    # How many curves are looked at together.
    "noise": "gpugrad._analysis.noise",
    "extrema": "gpugrad._analysis.extrema",
    # How points, grids and formulas are cut into blocks, or become code.
    "complex_step": "gpugrad._functions.complex_step",
    "_tabulate": "gpugrad._functions.tabulate",
    "formula_tape": "gpugrad._functions.formulas.evaluate",
    "formula_deadline": "gpugrad._functions.formulas.deadline",
    # The command in this process, as starting one for each test takes long; and its parts.
    "cli_main": "gpugrad._cli.main",
    # What stands in for other libraries' gradients: calls are counted there.
    "patch_stand_ins": "gpugrad._patch.stand_ins",
    "patch_stand_ins_jax": "gpugrad._patch.stand_ins_jax",
    "patch_late_imports": "gpugrad._patch.late_imports",
    "cli_grad": "gpugrad._cli.grad",
    "cli_demo": "gpugrad._cli.demo",
    "plot_command": "gpugrad._cli.plot",
    "plot_axes": "gpugrad._plots.axes",
    "plot_curves": "gpugrad._plots.curves",
    "plot_panels": "gpugrad._plots.panels",
    # Fields in files: blocks that are small, disks that are full, runs that are cut short.
    "blocks": "gpugrad._files.blocks",
    "job": "gpugrad._files.job",
    "run": "gpugrad._files.run",
    "source": "gpugrad._files.source",
    "targets": "gpugrad._files.targets",
}

NAMES = {
    # What engines are given: terms, formulas and plans that no operator makes, too.
    "gpugrad._stencils.plan": (
        "AxisPlan", "Formula", "Steps", "Norm", "Region", "Seam", "Term", "distinct_fields",
        "distinct_masks", "replace_fields",
    ),
    "gpugrad._stencils.numpy_scheme": ("first_derivative",),
    "gpugrad._stencils.repeated_ends": ("repeats_its_first",),
    "gpugrad._stencils.transpose": ("transpose_plan",),
    "gpugrad._stencils.pieces": ("cut_plan", "find_samples"),
    "gpugrad._grids.axes": ("plan_axes",),
    "gpugrad._engines.store": ("Store",),
    "gpugrad._keywords": ("accepts_keywords",),
    "gpugrad._grids.options": ("Options", "parse_boundaries", "parse_staggers"),
    # Every boundary that there is, and the formulas of schemes, to be compared with theory.
    "gpugrad._stencils.boundaries": ("TABLE", "Scheme", "Side"),
    "gpugrad._stencils.schemes": ("plan_derivative",),
    "gpugrad._stencils.operators": ("OPERATORS",),
    "gpugrad._stencils.masked": ("plan_beside_masked",),
    # Weights in floating point and of many rows, which `stencil` has not.
    "gpugrad._stencils.weights": ("any_weights", "middle_of_many", "middle_of_three"),
    "gpugrad._arrays.devices": ("Gpu", "find_gpu"),
    "gpugrad._arrays.device_namespace": ("DeviceNamespace",),
    "gpugrad._arrays.gpus": ("find_gpu_of",),
    # What formulas as text may hold, all of it.
    "gpugrad._functions.formulas.parse": ("FUNCTIONS", "MAX_LENGTH", "parse"),
    # What a function sees that is differentiated by the complex step.
    "gpugrad._functions.analytic_array": ("Tracked",),
    # The command's parts: words to options, errors in its words, runs without a process.
    "gpugrad._cli.grad_options": ("parse_boundary",),
    "gpugrad._plots.draw": ("draw_field",),
    "gpugrad._files.errors": ("FileError",),
    "gpugrad._files.journal": ("Journal",),
    "gpugrad._files.layout": ("Layout",),
    "gpugrad._files.work": ("FileRequest",),
    "gpugrad._files.raw": ("PIECE_BYTES", "RawArray", "compute_checksum", "cut_pieces"),
    "gpugrad._files.run": ("COPIES", "LIBRARY_BYTES", "OWN_BYTES", "Summary"),
    "gpugrad._files.readers": ("open_sources",),
    "gpugrad._files.wording": ("say",),
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in MODULES:
        return import_module(MODULES[name])
    for module, names in NAMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"tests take nothing of the name {name!r} from the package's insides")
