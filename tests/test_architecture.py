"""The rules that keep the package light and its arrows pointing one way."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import gpugrad

PACKAGE = Path(gpugrad.__file__).parent
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in PACKAGE.rglob("*.py")
}
HEAVY = (
    "cupy",
    "numba",
    "llvmlite",
    "dask",
    "sympy",
    "torch",
    "jax",
    "scipy",
    "matplotlib",
    "argparse",
)

# What each module may import of the package. An arrow not drawn here is a decision to be made.
ARROWS = {
    "__init__": {
        "_callable",
        "_sample",
        "_arrays",
        "_memory",
        "_noise",
        "_backend",
        "_operators",
        "_devices",
        "_critical",
        "_inflection",
        "_symbolic",
        "_magnitude",
        "_turning",
        "_sphere",
        "_stencil",
        "_vector",
        "_plans",
    },
    "__main__": {"_cli"},
    "_arrays": set(),
    "_weights": {"_memory", "_threads"},
    "_stencil": {"_weights"},
    "_threads": set(),
    "_memory": set(),
    "_plan": {"_arrays", "_weights"},
    "_gaps": {"_plan"},
    "_warn": set(),
    "_spacing": {"_arrays", "_gaps", "_plan", "_warn"},
    "_output": {"_arrays"},
    "_engines.__init__": set(),
    "_engines.slices": {"_arrays", "_plan"},
    "_engines.numpy_cpu": {"_plan", "_memory", "_threads", "_engines"},
    "_engines.numpy_steps": {"_arrays", "_plan"},
    "_engines.numpy_subclasses": {"_arrays", "_engines", "_plan"},
    "_engines.llvm_functions": {"_threads"},
    "_engines.llvm_kernels": {"_engines"},
    "_engines.llvm_recipes": set(),
    "_engines.llvm_vectors": {"_engines"},
    "_engines.llvm_operands": {"_engines"},
    "_engines.numba_boxes": {"_plan"},
    "_engines.numba_sums": {"_engines", "_plan"},
    "_engines.numba_program": {"_engines", "_plan"},
    "_engines.numba_cpu": {"_engines", "_memory", "_plan", "_threads"},
    "_engines.gpu_program": {"_arrays", "_engines", "_plan"},
    "_engines.transpose": {"_plan"},
    "_engines.torch_gpu": {"_arrays", "_engines", "_plan"},
    "_engines.cupy_gpu": {"_arrays", "_engines", "_plan"},
    "_engines.chunk_rows": {"_plan"},
    "_engines.windows": {"_engines", "_plan"},
    "_engines.chunk_windows": {"_engines", "_plan"},
    "_engines.dask_blocks": {"_arrays", "_plan", "_engines"},
    "_engines.dask_tasks": {"_arrays", "_plan", "_threads", "_engines"},
    # `_devices` only when a GPU is asked for and there is none: it knows why.
    "_backend": {"_arrays", "_devices", "_memory", "_plan", "_output", "_threads", "_engines"},
    "_devices": {"_backend", "_threads"},
    "_boundaries": {"_weights"},
    "_options": {"_arrays", "_boundaries"},
    "_schemes": {"_arrays", "_boundaries", "_plan", "_weights"},
    "_holes": {"_boundaries", "_plan", "_schemes", "_weights"},
    "_masks": {"_arrays", "_backend", "_options", "_plan"},
    "_components": {"_arrays", "_plan"},
    "_magnitude": {"_arrays", "_axes", "_components", "_labels", "_masks", "_options", "_plan"},
    "_axes": {"_arrays", "_holes", "_options", "_plan", "_schemes", "_spacing", "_warn"},
    "_curvilinear": {
        "_arrays",
        "_axes",
        "_backend",
        "_boundaries",
        "_components",
        "_options",
        "_output",
        "_plan",
        "_spacing",
        "_warn",
    },
    "_sphere": {"_arrays", "_components", "_labels", "_output", "_sphere_grid"},
    "_sphere_grid": {"_arrays", "_curvilinear", "_operators", "_options", "_plan", "_spacing"},
    "_terms": {"_plan"},
    "_choices": {"_arrays", "_engines", "_plan"},
    "_program": {"_arrays", "_choices", "_engines", "_plan"},
    "_matrix": {"_arrays", "_choices", "_plan", "_program"},
    "_recipes": {
        "_arrays",
        "_axes",
        "_choices",
        "_components",
        "_options",
        "_plan",
        "_program",
        "_terms",
    },
    "_plans": {
        "_arrays",
        "_backend",
        "_masks",
        "_matrix",
        "_options",
        "_output",
        "_program",
        "_recipes",
    },
    "_expressions": set(),
    "_symbolic": {"_expressions", "_symbolic_function", "_symbolic_run"},
    # `_devices` only where a library is asked for by name.
    "_symbolic_function": {"_arrays", "_devices", "_symbolic_run"},
    "_symbolic_run": {"_arrays"},
    "_vector": {
        "_arrays",
        "_axes",
        "_components",
        "_labels",
        "_curvilinear",
        "_masks",
        "_options",
        "_output",
        "_plan",
        "_terms",
    },
    "_operators": {
        "_arrays",
        "_axes",
        "_backend",
        "_curvilinear",
        "_labels",
        "_masks",
        "_options",
        "_plan",
        "_terms",
        "_smoothing",
    },
    "_cli": {"_bench", "_cli_grad", "_demo", "_files", "_plotting", "__init__"},
    "_plotting": {"_files", "_units", "__init__"},
    "_bench": {"_files", "_plotting", "__init__"},
    "_units": set(),
    "_naming": {"_units"},
    "_labels": {"_labelled"},
    "_labelled": {"_labels", "_pint_fields", "_point_fields", "_sphere_fields", "_xarray_fields"},
    "_pint_fields": {"_labels", "_units"},
    "_xarray_fields": {"_faces", "_labels", "_naming", "_xarray_spacings"},
    "_xarray_spacings": {"_labels", "_units"},
    "_faces": {"_options"},
    "_point_fields": {"_labels", "_pint_fields", "_units", "_xarray_fields", "_xarray_spacings"},
    "_sphere_fields": {"_cf_axes", "_labels", "_naming", "_xarray_fields", "_xarray_spacings"},
    "_cf_axes": set(),
    "xarray": {"__init__", "_cf_axes"},
    "_cli_grad": {"_cli_options", "_files", "__init__"},
    "_cli_options": {"_backend", "_boundaries"},
    "_files.__init__": set(),
    "_files.errors": set(),
    "_files.raw": {"_files"},
    "_files.journal": {"_files"},
    "_files.blocks": {"_engines", "_files", "_plan"},
    "_files.sources": {"_files"},
    "_files.datasets": {"_files"},
    "_files.targets": {"_files"},
    "_files.layout": {"_files"},
    "_files.joins": {"_files"},
    "_files.wording": {"_files"},
    "_files.places": {"_faces", "_files"},
    "_files.operators": {
        "_arrays",
        "_axes",
        "_faces",
        "_files",
        "_naming",
        "_options",
        "_plan",
        "_terms",
        "_units",
    },
    "_files.job": {"_backend", "_files", "_masks", "_threads"},
    "_files.run": {"_engines", "_files", "__init__"},
    "_points": {"_arrays", "_memory"},
    "_function": {"_arrays"},
    "_steps": {"_arrays", "_memory", "_weights"},
    "_extrapolation": {"_arrays", "_steps"},
    "_ends": {"_arrays", "_steps"},
    "_tracked": set(),
    "_complex_step": {"_arrays", "_memory", "_steps", "_tracked"},
    "_autodiff": {"_arrays"},
    "_methods": {
        "_arrays",
        "_autodiff",
        "_complex_step",
        "_ends",
        "_extrapolation",
        "_function",
        "_points",
        "_memory",
        "_steps",
        "_tracked",
    },
    "_sample": {"_arrays", "_devices", "_function"},
    "_callable": {"_arrays", "_function", "_methods", "_options", "_points"},
    "_smoothing": {"_arrays", "_output", "_plan", "_spacing"},
    "_noise": {"_arrays", "_labels", "_operators", "_options", "_spacing", "_stencil"},
    "_turns": {"_arrays", "_labels", "_spacing"},
    "_turning": {"_arrays", "_labels", "_turns"},
    "_inflection": {"_arrays", "_labels", "_spacing", "_turns"},
    "_newton": {"_turns"},
    "_critical": {"_arrays", "_labels", "_newton", "_options", "_spacing", "_turns"},
    "_demo": {"_files", "_plotting", "__init__"},
}


@cache
def parse(path):
    return ast.parse(path.read_text())


@cache
def imports_of(path):
    """Return (module, whether at import time) for each import in a file."""
    return [*find_imports(path)]


def find_imports(path):
    tree = parse(path)
    at_import = set()

    def visit(node, inside):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.Import, ast.ImportFrom)) and not inside:
                at_import.add(child)
            typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
            function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            visit(child, inside or typing_only or function)

    visit(tree, False)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node in at_import
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: absolute imports only"
            for alias in node.names:
                if node.module in ("gpugrad", "gpugrad._engines"):
                    yield f"{node.module}.{alias.name}", node in at_import
                else:
                    yield node.module, node in at_import


@pytest.mark.parametrize("name", sorted(MODULES))
def test_arrows_run_one_way(name):
    used = set()
    for module, _ in imports_of(MODULES[name]):
        if module.split(".")[0] == "gpugrad":
            part = [*module.split("."), "__init__"][1]
            used.add(part if part in {m.split(".")[0] for m in MODULES} else "__init__")
    assert used <= ARROWS[name], f"{name} imports {used - ARROWS[name]}"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_modules_load_nothing_heavy(name):
    loaded = {module.split(".")[0] for module, at_import in imports_of(MODULES[name]) if at_import}
    if name.startswith("_engines.llvm_"):
        loaded -= {"llvmlite"}  # an engine's own library; nothing loads these but the engine
    if name.startswith("_engines.dask_"):
        loaded -= {"dask"}
    if name.startswith("_engines.") and ("gpu_" in name or name.endswith("_gpu")):
        loaded -= {"cupy", "torch"}
    if name not in ("_bench", "_cli", "_cli_grad", "_cli_options", "_plotting", "__main__"):
        assert not loaded & set(HEAVY)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_nobody_calls_numpys_gradient(name):
    calls = [
        node
        for node in ast.walk(parse(MODULES[name]))
        if isinstance(node, ast.Attribute)
        and node.attr == "gradient"
        and isinstance(node.value, ast.Name)
        and node.value.id in ("np", "numpy", "cupy", "torch", "jnp", "da")
    ]
    # The demo and the benchmark compare with NumPy, in the open.
    assert not calls or name in ("_demo", "_bench")


def test_no_call_reaches_numpys_gradient(monkeypatch):
    def forbidden(*args, **keywords):
        raise AssertionError("numpy.gradient has been called")

    monkeypatch.setattr(np, "gradient", forbidden)
    monkeypatch.setattr(np.lib._function_base_impl, "gradient", forbidden)
    f = np.arange(12.0).reshape(3, 4)
    for field in (f, np.ma.array(f), f.astype(object), f.astype("i4"), f.astype("m8[s]")):
        for backend in ("auto", "slices"):
            assert len(gpugrad.gradient(field, backend=backend)) == 2


def loaded_by(code):
    run = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(*sorted(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(run.stdout.split())


def test_a_fresh_import_loads_numpy_and_array_api_compat_only():
    ours = loaded_by("import gpugrad")
    baseline = loaded_by("import numpy, array_api_compat")
    added = {name.split(".")[0] for name in ours - baseline}
    assert not added & set(HEAVY)
    third_party = {name for name in added if name not in sys.stdlib_module_names}
    assert third_party == {"gpugrad"}


def test_small_calls_load_nothing_more():
    before = loaded_by("import gpugrad, numpy as np")
    after = loaded_by(
        "import gpugrad, numpy as np\n"
        "gpugrad.gradient(np.arange(10.0), [0,1,2,4,5,6,7,8,9,11], edge_order=2)"
    )
    assert {name for name in after - before if not name.startswith("gpugrad")} == set()


def test_every_public_name_is_documented_and_typed():
    for name in gpugrad.__all__:
        thing = getattr(gpugrad, name)
        assert len(thing.__doc__.splitlines()) >= (1 if name == "BackendError" else 10)
        assert name in dir(gpugrad)
    assert (PACKAGE / "py.typed").exists()
    with pytest.raises(AttributeError, match="no attribute 'grad'"):
        gpugrad.grad  # noqa: B018


def test_the_changelog_knows_this_version():
    changelog = PACKAGE.parent / "CHANGELOG.md"
    if not changelog.exists():
        pytest.skip("not a checkout")
    assert re.search(rf"^## .*{re.escape(gpugrad.__version__)}", changelog.read_text(), re.M)
