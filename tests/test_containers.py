"""What each public function makes of each container: the page says it, and it is right."""

from __future__ import annotations

import importlib
import re
import sys
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import gpugrad
from conftest import assert_same_bits
from internals import offers

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "containers.md"
if not PAGE.is_file() or not (ROOT / "tools").is_dir():
    pytest.skip("the documentation or its tools are not here", allow_module_level=True)
sys.path.insert(0, str(ROOT / "tools"))
matrix = importlib.import_module("container_matrix")
samples = importlib.import_module("container_samples")


def _list_containers():
    """Yield all containers, with marks on those whose library is slow at first calls."""
    for name, container in samples.CONTAINERS.items():
        library = "dask" if "Dask" in name else container.library
        is_quick = library in ("numpy", "pandas", "polars", "scipy") or "sparse" in name.split()[-1]
        if library in ("sparse", "jax"):
            yield pytest.param(name, marks=pytest.mark.nightly)
        else:
            yield pytest.param(name, marks=() if is_quick else pytest.mark.exhaustive)


@pytest.fixture(scope="module")
def page():
    return PAGE.read_text(encoding="utf-8")


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", [*_list_containers()])
def test_the_page_says_what_happens(page, name, request):
    pytest.importorskip(samples.CONTAINERS[name].library)
    if samples.CONTAINERS[name].library == "jax":
        request.getfixturevalue("jax_without_64_bits")
    row, reasons = matrix.write_row(name), matrix.write_reasons(name)
    cure = "run `python tools/container_matrix.py docs/reference/containers.md`"
    assert row in page.splitlines(), f"{row}: {cure}"
    assert reasons in page, f"{reasons}: {cure}"
    assert bool(reasons) == (f"### {name}\n" in page)


def test_the_page_has_all_containers_and_no_others(page):
    table, reasons = page.split("## Rules")
    rows = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
    assert rows == ["container", *samples.CONTAINERS]
    assert {*re.findall(r"^### (.+)$", reasons, re.MULTILINE)} <= {*samples.CONTAINERS}
    wording = table.split("derivatives**", 1)[1]
    for name in gpugrad.__all__:
        function = getattr(gpugrad, name)
        takes_fields = callable(function) and not isinstance(function, type)
        others = ("stencil", "use_backend", "info", "namespace", "free_memory", "explain",
                  "asnumpy", "smooth_derivative", "plot")  # fmt: skip
        assert not takes_fields or name in others or f"`{name}`" in wording, name


class TestTheCheckCanFail:
    """A raw error, an error that helps nobody, and other numbers are each found."""

    def judge(self, call):
        function = matrix.Function(call)
        return matrix.try_call(samples.CONTAINERS["plain array"], function, "derivatives")

    def test_a_raw_error(self):
        assert self.judge(lambda make, f: make(f) + "text").fault.startswith("raw ")
        assert self.judge(lambda make, f: gpugrad.plan(make(f).tolist)).fault  # of another kind

    @pytest.mark.parametrize(
        ("message", "fault"),
        [
            ("wrong", "must hold"),
            ("`f` must be right.", "was given"),
            ("`f` must be right; got wrong.", "what to do"),
        ],
    )
    def test_an_error_without_what_it_should_say(self, monkeypatch, message, fault):
        monkeypatch.setattr(matrix, "ROOT", str(Path(__file__).parent))

        def call(make, f):
            raise TypeError(message)

        assert fault in self.judge(call).fault

    def test_other_numbers_and_shapes(self):
        numbers = iter([1.0, 1.5])
        assert "differ" in self.judge(lambda make, f: make(f) * next(numbers)).fault
        shapes = iter([3, 4])
        assert "shape" in self.judge(lambda make, f: make(f)[: next(shapes)]).fault

    def test_numbers_for_what_is_masked(self):
        function = matrix.Function(lambda make, f: np.asarray(make(f)))
        outcome = matrix.try_call(samples.CONTAINERS["masked array"], function, "derivatives")
        assert "missing" in outcome.fault

    def test_a_page_is_not_written_then(self, monkeypatch):
        function = matrix.Function(lambda make, f: make(f) + "text")
        monkeypatch.setattr(matrix, "FAMILIES", {"derivatives": {"wrong": function}})
        monkeypatch.setattr(matrix, "make_row", matrix.make_row.__wrapped__)
        with pytest.raises(SystemExit, match="raw"):
            matrix.write_row("plain array")


SIZES = {
    "gradient": lambda f: gpugrad.gradient(f),
    "stack": lambda f: gpugrad.gradient(f, stack=True),
    "accuracy 4": lambda f: gpugrad.derivative(f, accuracy=4, axis=0),
    "gradient_norm": lambda f: gpugrad.gradient_norm(f),
    "laplacian": lambda f: gpugrad.laplacian(f),
    "hessian": lambda f: gpugrad.hessian(f),
    "divergence": lambda f: gpugrad.divergence([f, f]),
    "sphere": lambda f: gpugrad.Sphere(
        np.linspace(-80, 80, f.shape[0]), np.arange(f.shape[1]) * 360 / f.shape[1]
    ).gradient(f),
    "curved": lambda f: gpugrad.CurvilinearGrid(
        *np.meshgrid(*(np.arange(n) * 1.0 for n in f.shape), indexing="ij")
    ).laplacian(f),
}
LARGE = [
    "plain array", "masked array", "subclass of ndarray", "`numpy.matrix`", "memory map",
    "Fortran order", "big-endian", "integers", "float16", "bfloat16 (ml_dtypes)", "longdouble",
    "complex128", "durations (`timedelta64`)", "PyTorch tensor", "PyTorch subclass",
    "PyTorch conjugate view",
]  # fmt: skip


@pytest.mark.sampled(exhaustive=1)
@pytest.mark.parametrize("operator", SIZES)
@pytest.mark.parametrize("name", LARGE)
@pytest.mark.filterwarnings(
    "ignore::gpugrad.GpugradWarning", "ignore::RuntimeWarning", "ignore::PendingDeprecationWarning"
)
def test_types_depend_neither_on_the_size_nor_on_the_engine(monkeypatch, name, operator):
    container = samples.CONTAINERS[name]
    pytest.importorskip(container.library)
    monkeypatch.setattr(offers, "PATIENCE", 0)
    kinds = []
    for shape in ((12, 9), (400, 360)):
        f = container.make(np.resize(samples.FIELD, shape))
        try:
            kinds.append(samples.kind_of(SIZES[operator](f)))
        except TypeError as error:
            kinds.append(re.sub(r"\W", "", str(error)))
    assert kinds[0] == kinds[1]


class TestSubclasses:
    """The class and the attributes of a field are kept, as by NumPy."""

    class Tagged(np.ndarray):
        def __array_finalize__(self, source):
            self.tag = getattr(source, "tag", None)

    @pytest.fixture
    def f(self, rng):
        f = rng.normal(size=(9, 12)).view(self.Tagged)
        f.tag = "mine"
        return f

    @pytest.mark.parametrize("backend", ["auto", "slices"])
    def test_operators(self, f, backend):
        plain = np.asarray(f)
        for operator in (gpugrad.gradient, gpugrad.hessian, gpugrad.gradient_norm):
            for options in ({}, {"stack": True}):
                if operator is gpugrad.gradient_norm and options:
                    continue
                got = operator(f, backend=backend, **options)
                self.check(got, operator(plain, **options))

    def test_grids_and_smoothing(self, f):
        plain = np.asarray(f)
        sphere = gpugrad.Sphere(np.linspace(-90, 90, 9), np.arange(12) * 30.0)
        x, y = np.meshgrid(np.arange(9) ** 1.1, np.arange(12.0), indexing="ij")
        grid = gpugrad.CurvilinearGrid(x, y)
        for call in (
            sphere.gradient, sphere.laplacian, lambda f: sphere.gradient(f, stack=True),
            lambda f: sphere.curl(u=f, v=f), grid.gradient, grid.laplacian,
            lambda f: grid.jacobian((f, f)), gpugrad.smooth_derivative,
        ):  # fmt: skip
            self.check(call(f), call(plain))

    def test_large_fields_on_grids(self, f):
        big = np.resize(np.asarray(f), (600, 900)).view(self.Tagged)
        big.tag = "mine"
        grid = gpugrad.CurvilinearGrid(*np.meshgrid(np.arange(600.0), np.arange(900.0),
                                                    indexing="ij"))  # fmt: skip
        self.check(grid.gradient(big), grid.gradient(np.asarray(big)))

    def check(self, got, wanted):
        if isinstance(got, tuple):
            for pair in zip(got, wanted, strict=True):
                self.check(*pair)
        else:
            assert type(got) is self.Tagged
            assert got.tag == "mine"
            assert_same_bits(np.asarray(got), wanted)


@pytest.mark.parametrize("backend", ["auto", "slices"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [">f8", ">f4", ">c8", "f8"])
def test_byte_order_and_memory_order_are_kept(rng, dtype, order, backend):
    f = np.asarray(rng.normal(size=(9, 12)), dtype=dtype, order=order)
    x, y = np.meshgrid(np.arange(9) ** 1.1, np.arange(12.0), indexing="ij")
    sphere = gpugrad.Sphere(np.linspace(-90, 90, 9), np.arange(12) * 30.0)
    grid = gpugrad.CurvilinearGrid(x, y)
    results = [
        *gpugrad.gradient(f, backend=backend), gpugrad.laplacian(f, backend=backend),
        gpugrad.derivative(f, accuracy=4, backend=backend),
        gpugrad.hessian(f, backend=backend)[0][1],
        gpugrad.curl((f, f), backend=backend), *sphere.gradient(f, backend=backend),
        sphere.divergence(u=f, v=f, backend=backend), *grid.gradient(f, backend=backend),
        gpugrad.smooth_derivative(f),
    ]  # fmt: skip
    for df in results:
        assert df.dtype == f.dtype
        assert df.strides == f.strides
    for stacked in (
        gpugrad.gradient(f, stack=True, backend=backend),
        gpugrad.hessian(f, stack=True, backend=backend),
        sphere.gradient(f, stack=True, backend=backend),
        grid.gradient(f, stack=True, backend=backend),
    ):
        assert stacked.dtype == f.dtype
    masked = gpugrad.gradient(np.ma.array(f), stack=True)
    assert masked.dtype == f.dtype
    norm = gpugrad.gradient_norm(f, backend=backend)
    assert norm.dtype.byteorder == f.dtype.byteorder


class TestObjects:
    """Objects that are numbers become floats; others are errors that show one of them."""

    @pytest.mark.parametrize("make", [Decimal, Fraction, int, float])
    @pytest.mark.parametrize("is_list", [True, False])
    def test_numbers(self, make, is_list):
        f = [make(i * i) for i in range(6)]
        f = f if is_list else np.array(f, object)
        for operator in (gpugrad.gradient, gpugrad.laplacian, gpugrad.smooth_derivative):
            np.testing.assert_allclose(operator(f), operator(np.arange(6.0) ** 2), rtol=1e-12)

    def test_decimals_among_others(self):
        f = np.array([Decimal(0), 1, Fraction(4), 9.0], object)
        assert_same_bits(gpugrad.gradient(f), np.array([1.0, 2, 4, 5]))

    @pytest.mark.parametrize(
        ("entry", "cure"),
        [
            (None, "NaN, as in `numpy.asarray.*skipna=True"),
            ("2", "numpy.asarray"),
            (1j, "dtype=complex"),
            (importlib.import_module("datetime").date(2024, 1, 1), "datetime64"),
            (importlib.import_module("datetime").timedelta(1), "timedelta64"),
            ([1], "numpy.asarray"),
        ],
    )
    def test_others(self, entry, cure):
        f = np.empty(3, object)
        f[:] = [1.0, entry, 4.0]
        sphere = gpugrad.Sphere(np.linspace(-80, 80, 3), np.arange(3) * 120.0)
        field = np.broadcast_to(f, (3, 3))
        for call in (
            lambda: gpugrad.gradient(f), lambda: gpugrad.laplacian(f),
            lambda: gpugrad.turning_points(f), lambda: gpugrad.noise_level(f),
            lambda: sphere.gradient(field), lambda: gpugrad.smooth_derivative(f),
        ):  # fmt: skip
            with pytest.raises(TypeError, match=rf"must hold numbers; got objects such as.*{cure}"):
                call()

    def test_what_is_masked_is_not_looked_at(self):
        f = np.ma.array([1.0, None, 4.0, 9.0], mask=[0, 1, 0, 0], dtype=object)
        assert gpugrad.gradient(f)[-1] == 5

    def test_text_and_records(self):
        records = np.zeros(4, [("t", "f8"), ("u", "f8")])
        for f, match in (
            (np.array(["1", "2", "4"]), r"got text\. .*dtype=float"),
            (np.array([b"1", b"2"]), r"got text\. .*dtype=float"),
            (["1", "2", "4"], r"got text\. .*dtype=float"),
            (records, r"got records of t, u\. Pick one of them, as in `f\['t'\]`"),
        ):
            with pytest.raises(TypeError, match=match):
                gpugrad.gradient(f)


class TestSparse:
    """Arrays that their libraries cannot slice are refused, with the way to dense ones."""

    @pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
    def test_torch(self):
        torch = pytest.importorskip("torch")
        dense = torch.eye(4, dtype=torch.float64)
        for f in (dense.to_sparse(), dense.to_sparse_csr()):
            for call in (
                gpugrad.gradient,
                gpugrad.turning_points,
                gpugrad.derivative_of(torch.sin),
            ):
                with pytest.raises(TypeError, match=r"must be dense.*to_dense\(\)"):
                    call(f)
            np.testing.assert_array_equal(gpugrad.asnumpy(f), np.eye(4))
        nested = torch.nested.nested_tensor([dense[0], dense[1, :2]], layout=torch.jagged)
        for call in (gpugrad.gradient, gpugrad.asnumpy, gpugrad.noise_level):
            with pytest.raises(TypeError, match=r"must be dense.*unbind\(\)"):
                call(nested)

    @pytest.mark.filterwarnings("ignore:The PyTorch API of MaskedTensors")
    def test_torch_masked(self):
        torch = pytest.importorskip("torch")
        f = torch.masked.masked_tensor(torch.arange(4.0), torch.tensor([True, True, False, True]))
        for call in (gpugrad.gradient, gpugrad.laplacian, gpugrad.turning_points):
            with pytest.raises(TypeError, match=r"must be dense.*where=f.get_mask\(\)"):
                call(f)

    @pytest.mark.exhaustive  # sparse compiles its functions
    @pytest.mark.parametrize(
        "options", [{"boundary": 2.0}, {"boundary": "odd-reflect"}, {"skipna": True}]
    )
    def test_what_sparse_leaves_out_is_one_number(self, options):
        f = pytest.importorskip("sparse").COO(np.add.outer(np.arange(5.0), np.arange(4.0)))
        for call in (gpugrad.gradient, gpugrad.laplacian):
            with pytest.raises(TypeError, match=r"must be dense.*COO of sparse.*todense\(\)"):
                call(f, **options)

    def test_scipy(self):
        sparse = pytest.importorskip("scipy.sparse")
        for f in (sparse.csr_array(np.eye(3)), sparse.coo_matrix(np.eye(3))):
            with pytest.raises(TypeError, match=r"must be dense.*toarray\(\)"):
                gpugrad.gradient(f)

    @pytest.mark.exhaustive
    def test_jax(self):
        sparse = pytest.importorskip("jax.experimental.sparse")
        with pytest.raises(TypeError, match=r"must be dense.*todense\(\)"):
            gpugrad.gradient(sparse.BCOO.fromdense(np.eye(3)))


class TestTensors:
    """Subclasses of tensors stay what they are; views that are conjugated have right values."""

    @pytest.fixture
    def torch(self):
        return pytest.importorskip("torch")

    def test_named_engines_refuse_subclasses(self, torch):
        f = torch.arange(9.0).as_subclass(type("Mine", (torch.Tensor,), {}))
        for backend in ("numpy", "compiled"):
            with pytest.raises(gpugrad.BackendError, match="plain tensors, and `f` is a Mine"):
                gpugrad.gradient(f, backend=backend)
        assert type(gpugrad.gradient(f, torch.arange(9.0) ** 2 + 1)) is type(f)
        filtered = gpugrad.smooth_derivative(f, window_length=5, polyorder=2)
        assert type(filtered) is type(f)

    def test_conjugate_views(self, torch):
        f = torch.complex(torch.arange(9.0), torch.arange(9.0) ** 2).conj()
        assert_same_bits(
            gpugrad.gradient(f).resolve_conj().numpy(), np.gradient(f.resolve_conj().numpy())
        )
        with pytest.raises(gpugrad.BackendError, match=r"conjugate view.*resolve_conj\(\)"):
            gpugrad.gradient(f, backend="numpy")


def test_several_variables_are_no_field():
    xarray = pytest.importorskip("xarray")
    data = xarray.Dataset({"T": ("x", np.arange(5.0)), "S": ("x", np.arange(5.0))})
    for f, match in (
        (data, r"Dataset.*T, S.*`x\[\"T\"\]`"),
        (xarray.DataTree(data), "DataTree.*group/T"),
    ):
        for call in (
            gpugrad.gradient, gpugrad.turning_points, gpugrad.asnumpy, gpugrad.noise_level,
            lambda f: gpugrad.divergence([f]), lambda f: gpugrad.gradient(np.arange(5.0), f),
        ):  # fmt: skip
            with pytest.raises(TypeError, match=match):
                call(f)


def test_names_of_dimensions_may_be_tuples():
    xarray = pytest.importorskip("xarray")
    name = ("a", "b")
    values = np.random.default_rng(0).normal(size=(8, 9))
    f = xarray.DataArray(values, dims=[name, "x"], name="T")
    for axis in (name, [name], 0):
        assert_same_bits(gpugrad.gradient(f, axis=axis).values, np.gradient(values, axis=0))
    down, along = gpugrad.gradient(f, axis=(name, "x"))
    assert_same_bits(along.values, np.gradient(values, axis=1))
    assert down.dims == f.dims
    assert gpugrad.noise_level(f, axis=name).dims == ("x",)
    gpugrad.turning_points(f, axis=name)
    assert {*gpugrad.critical_points(f).position["axis"].values} == {"('a', 'b')", "x"}


@pytest.mark.exhaustive
@pytest.mark.parametrize("option", ["axis", "order", "accuracy", "edge_order", "skipna"])
def test_options_that_jax_traces_are_named(option):
    jax = pytest.importorskip("jax")
    f = jax.numpy.arange(9.0)
    call = jax.jit(lambda f, value: gpugrad.derivative(f, **{option: value}))
    with pytest.raises(TypeError, match=rf'`{option}` must be known.*static_argnames="{option}"'):
        call(f, 0)
