"""The rules that keep the package light and its arrows pointing one way."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import defaultdict
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import gpugrad
from gpugrad._late import load_late

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

# Folders, ground floor first. A file imports its own folder and those before it.
LAYERS = (
    "_version", "_late", "_docs", "_keywords", "_arrays", "_stencils", "_grids", "_labels",
    "_engines", "_operators", "_functions", "_analysis", "_patch", "_plots", "_files", "_cli",
)  # fmt: skip
# What is below and yet not for them: engines know no user's argument, functions no engine.
OWN_LIBRARIES = {
    "compiled": {"llvmlite"},
    "cuda": {"cupy", "torch"},
    "dask": {"dask"},
    "jax": {"jax"},
    "torch": {"torch"},
}
STRANGERS = {"_engines": {"_grids", "_labels"}, "_functions": {"_engines", "_operators"}}


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
            for alias in node.names:  # of a folder, what is imported may be a file
                yield f"{node.module}.{alias.name}", node in at_import


def list_imports(name):
    """Return the modules of the package that a module imports, anywhere in it."""
    for module, _ in imports_of(MODULES[name]):
        package, *parts = module.split(".")
        if package == "gpugrad":
            # A name that is imported may be a file's, or one in the file or the face before it.
            places = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
            files = (m for place in places for m in (place, f"{place}.__init__") if m in MODULES)
            yield next(files, "__init__")


def of_each_module(test):
    """Make a rule for the name of a module a test of all modules of a folder."""

    @pytest.mark.parametrize("folder", sorted({name.split(".")[0] for name in MODULES}))
    def of_folder(folder):
        for name in MODULES:
            if name.split(".")[0] == folder:
                try:
                    test(name)
                except AssertionError as error:
                    error.add_note(f"in the module {name}")
                    raise

    return of_folder


@of_each_module
def test_imports_point_down(name):
    folder = name.split(".")[0]
    if folder not in LAYERS:
        return
    below = {*LAYERS[: LAYERS.index(folder) + 1]} - STRANGERS.get(folder, set())
    allowed = below | ({"__init__", "xarray"} if folder == "_cli" else set())
    used = {m.split(".")[0] for m in list_imports(name)}
    assert used <= allowed, f"{name} imports {used - allowed}"


def test_no_files_import_each_other_in_a_circle():
    later = {
        name: {*list_imports(name)} - {name} for name in MODULES if name.split(".")[0] in LAYERS
    }
    while True:
        done = {name for name, used in later.items() if not used & later.keys()}
        if not done:
            break
        later = {name: used for name, used in later.items() if name not in done}
    assert not later, f"one of these imports itself, by way of others: {sorted(later)}"


def names_imported(tree):
    """Yield (module, name) for each name that a tree imports from the package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "gpugrad":
            yield from ((node.module, alias.name) for alias in node.names)


def exports_of(folder):
    """Return the names that a folder's face imports, and with that exports."""
    tree = parse(MODULES[f"{folder}.__init__"[8:]])
    return {name for module, name in names_imported(tree) if module.startswith(f"{folder}.")}


@of_each_module
def test_what_a_folder_exports_is_taken_from_its_face(name):
    own = f"gpugrad.{name.split('.')[0]}"
    if name in ("__init__", "xarray") or name.endswith(".__init__"):
        return
    for module, imported in names_imported(parse(MODULES[name])):
        folder = ".".join(module.split(".")[:2])
        if folder == own:
            assert module != own or f"{module}.{imported}"[8:] in MODULES, "its own face"
        elif module != folder and f"{folder}.__init__"[8:] in MODULES:
            assert imported not in exports_of(folder)


@pytest.mark.parametrize("name", [name for name in sorted(MODULES) if name.endswith("__init__")])
def test_faces_say_what_their_folder_is_for_and_load_what_they_promise(name):
    face = import_module(f"gpugrad.{name}".removesuffix(".__init__"))
    assert len(face.__doc__.splitlines()) >= 3
    for exported in exports_of(face.__name__):  # those for type checkers alone are found late
        assert not isinstance(getattr(face, exported), ModuleType)


def test_no_two_classes_share_a_name():
    places = defaultdict(list)
    for name, module in MODULES.items():
        for node in ast.walk(parse(module)):
            if isinstance(node, ast.ClassDef):
                places[node.name.lstrip("_")].append(name)
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_type_checkers_read_the_names_that_there_are():
    tree = ast.parse(Path(gpugrad.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    imported = [(module, name) for module, name in names_imported(tree) if name in gpugrad.__all__]
    for module, name in imported:
        assert getattr(gpugrad, name) is getattr(import_module(module), name)
    operators = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert {name for _, name in imported} | operators == {*gpugrad.__all__}


@pytest.mark.exhaustive
def test_no_file_hides_a_public_function():
    others = {"__init__", "__main__", "cuda", "dask", "jax", "torch"}  # those need CuPy, Dask, ...
    files = [name for name in sorted(MODULES) if others.isdisjoint(name.split("."))]
    code = "".join(f"import gpugrad.{name}\n" for name in files)
    code += "kinds = {name: type(getattr(gpugrad, name)).__name__ for name in gpugrad.__all__}\n"
    code += "print(*[name for name, kind in kinds.items() if kind == 'module'])"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "symbolic\n"


@of_each_module
def test_modules_load_nothing_heavy(name):
    loaded = {module.split(".")[0] for module, at_import in imports_of(MODULES[name]) if at_import}
    for folder, libraries in OWN_LIBRARIES.items():  # nothing loads these but the engine
        if name.startswith(f"_engines.{folder}."):
            loaded -= libraries
    if name not in ("__main__",) and not name.startswith("_cli."):
        assert not loaded & set(HEAVY)


@of_each_module
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
    assert not calls or name in ("_cli.demo", "_cli.bench")


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
        is_raised = isinstance(thing, type) and issubclass(thing, Exception)
        assert len(thing.__doc__.splitlines()) >= (1 if is_raised else 10)
        assert name in dir(gpugrad)
    assert (PACKAGE / "py.typed").exists()
    with pytest.raises(AttributeError, match="no attribute 'grad'"):
        gpugrad.grad  # noqa: B018
    public = {name for name in dir(gpugrad) if not name.startswith("_")}
    modules = {name for name in public if isinstance(getattr(gpugrad, name), ModuleType)}
    assert public - modules <= {*gpugrad.__all__} <= public


@pytest.mark.parametrize("name", ["symbolic", "typing", "xarray"])
def test_public_modules_list_their_own_names_alone(name):
    if name == "xarray":
        pytest.importorskip("xarray")
    module = import_module(f"gpugrad.{name}")
    things = {key: getattr(module, key) for key in dir(module) if key[0] != "_"}
    others = (ModuleType, type(annotations))  # such as `import numpy`, `from __future__ import ...`
    assert not [key for key, thing in things.items() if isinstance(thing, others)]
    assert not things.keys() & {"Any", "Callable", "Literal", "NamedTuple", "TypeVar", "overload"}
    assert things.keys() == {*getattr(module, "__all__", things)}


def test_names_are_kept_once_they_have_been_looked_up():
    code = (
        "import gpugrad\nfor name in gpugrad.__all__:\n"
        "    assert getattr(gpugrad, name) is vars(gpugrad)[name]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", gpugrad._MOVED)
def test_names_that_have_left_are_told_by_their_new_names(name):
    new = gpugrad._MOVED[name]
    if name in gpugrad.__all__:
        pytest.skip("it has not left yet")
    with pytest.raises(AttributeError) as raised:
        getattr(gpugrad, name)
    assert str(raised.value) == (
        f"module 'gpugrad' has no attribute {name!r}: it is `gpugrad.{new}` now"
    )
    assert raised.value.obj is None  # for which Python finds no name that is spelt alike
    thing = gpugrad
    for attribute in re.sub(r"\(.*?\)", "", new).split("."):
        thing = getattr(thing, attribute)
    assert callable(thing)


def test_late_names_may_be_moved_or_be_modules():
    find = load_late("gpugrad", {"xarray": "xarray", "_version": "__version__"}, {"old": "new"})
    assert find("__version__") == gpugrad.__version__
    with pytest.raises(AttributeError, match=r"no attribute 'old': it is `gpugrad\.new` now"):
        find("old")
    with pytest.raises(AttributeError, match=r"no attribute 'other'$"):
        find("other")
    pytest.importorskip("xarray")
    assert isinstance(find("xarray"), ModuleType)


def test_python_suggests_a_name_that_is_spelt_alike():
    command = [sys.executable, "-c", "import gpugrad; gpugrad.hesian"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "has no attribute 'hesian'. Did you mean: 'hessian'?" in run.stderr


def calls_of(name):
    """Yield what a file calls, and its arguments; no matter what module it is taken from."""
    for node in ast.walk(parse(MODULES[name])):
        if isinstance(node, ast.Call):
            called = node.func
            yield getattr(called, "attr", getattr(called, "id", "")), [
                *node.args, *(keyword.value for keyword in node.keywords)
            ]  # fmt: skip


@of_each_module
def test_warnings_are_of_our_own_class_unless_numpy_would_give_them(name):
    for called, arguments in calls_of(name):
        assert called not in ("warn", "warn_explicit") or name == "_arrays.arrays", "`warn_caller`"
        if called == "warn_caller" and name != "_engines.compiled.trouble":  # overflow and its like
            assert len(arguments) == 1, "a category is given"
    classes = [node for node in ast.walk(parse(MODULES[name])) if isinstance(node, ast.ClassDef)]
    of_warnings = {c.name for c in classes if any("Warning" in ast.dump(b) for b in c.bases)}
    assert of_warnings <= {"GpugradWarning"}


def test_the_page_of_signatures_is_what_is_written_today(monkeypatch):
    root = Path(__file__).parents[1]
    page = root / "docs" / "reference" / "api.md"
    if not page.is_file() or not (root / "tools").is_dir():
        pytest.skip("the documentation or its tools are not here")
    monkeypatch.syspath_prepend(root / "tools")
    written = import_module("list_signatures").write_page()
    cure = "python tools/list_signatures.py docs/reference/api.md"
    assert written == page.read_text(encoding="utf-8"), f"run `{cure}`"
