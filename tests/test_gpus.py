"""Which libraries compute on a GPU, and why not: machines and libraries that are played."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest

import gpugrad
from internals import Gpu, _devices, _gpus, find_gpu_of, info

NO_DRIVER = "there is no NVIDIA driver on this machine"


@pytest.fixture
def play(monkeypatch):
    """Play a machine: which libraries are installed, of which build, and what they do."""
    _gpus._try_out.cache_clear()

    def build(
        modules=(), driver=None, torch=(), plugins=(), packages=(), platform="linux", environment=()
    ):
        modules = dict(modules)

        def load(name):
            if isinstance(modules[name], Exception):
                raise modules[name]
            return modules[name]

        monkeypatch.setattr(_devices, "is_installed", lambda name: name in modules)
        monkeypatch.setattr(_devices, "driver_version", lambda: driver)
        monkeypatch.setattr(_gpus.importlib, "import_module", load)
        monkeypatch.setattr(_gpus.sys, "platform", platform)
        monkeypatch.setattr(_gpus, "_read_torch_build", lambda: dict(torch))
        monkeypatch.setattr(_gpus, "_find_plugins_of_jax", lambda: {*plugins})
        monkeypatch.setattr(_gpus, "_has", lambda name: name in packages)
        for name in ("JAX_PLATFORMS", "ONEAPI_DEVICE_SELECTOR"):
            monkeypatch.delenv(name, raising=False)
        for name, value in dict(environment).items():
            monkeypatch.setenv(name, value)

    yield build
    _gpus._try_out.cache_clear()


def fake_torch(cuda="13.0", hip=None, xpu=None, mps=False, error=None, wrong=0):
    def ones(n, device):
        assert device in ("cuda", "xpu", "mps")
        if error:
            raise error
        return np.ones(n) + wrong

    named = SimpleNamespace(device_count=lambda: 2, get_device_name=lambda i: f"GPU {i}")
    return SimpleNamespace(
        version=SimpleNamespace(cuda=cuda, hip=hip, xpu=xpu),
        backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: mps)),
        ones=ones,
        cuda=named,
        xpu=named,
    )


def fake_jax(*kinds, error=None):
    def list_devices(backend=None):
        if backend == "gpu":
            raise error
        return [SimpleNamespace(platform="cpu", device_kind="cpu")] if error else gpus

    gpus = [SimpleNamespace(platform="gpu", device_kind=kind) for kind in kinds]
    return SimpleNamespace(local_devices=list_devices, device_put=lambda values, device: values)


def fake_mlx(error=None, default="gpu", name="Apple M4"):
    def add(x, y, stream):
        assert stream == "gpu"
        if error:
            raise error
        return x + y

    return SimpleNamespace(
        add=add,
        array=np.array,
        gpu="gpu",
        Device=str,
        default_device=lambda: default,
        device_info=lambda device: {"device_name": name},
    )


def fake_sycl(*filters, error=None):
    def ones(n, dtype, device):
        assert device.is_gpu
        if error:
            raise error
        return np.ones(n, dtype)

    found = [
        SimpleNamespace(filter_string=name, is_gpu="gpu" in name, name=name) for name in filters
    ]
    dpctl = SimpleNamespace(get_devices=lambda: found)
    return {"dpctl": dpctl, "dpnp": SimpleNamespace(ones=ones)}


def torch_build(version="2.9.0", cuda=None, hip=None, xpu=None):
    return {"__version__": version, "cuda": cuda, "hip": hip, "xpu": xpu}


def with_torch(**how):
    return {
        "driver": 13000,
        "torch": torch_build(cuda="13.0"),
        "modules": {"torch": fake_torch(**how)},
    }


def with_jax(module, driver=13000):
    return {"driver": driver, "plugins": ["xla_cuda13"], "modules": {"jax": module}}


def with_mlx(module, *packages, **machine):
    return {"driver": 13000, "packages": packages, "modules": {"mlx.core": module}, **machine}


NO_KERNEL = RuntimeError("CUDA error: no kernel image is available for execution on the device")
REASONS = [
    # library, machine, problem, cure
    ("torch", {}, "PyTorch is not installed", "pip install torch"),
    (
        "torch",
        {"modules": {"torch": None}, "torch": torch_build("2.9.0+cpu")},
        "PyTorch 2.9.0\\+cpu is built for the CPU alone",
        "pytorch.org/get-started",
    ),
    (
        "torch",
        {"modules": {"torch": None}, "torch": torch_build(cuda="13.0")},
        NO_DRIVER,
        "install the NVIDIA driver",
    ),
    (
        "torch",
        with_torch(error=RuntimeError("No CUDA GPUs are available")),
        "PyTorch sees no GPU",
        "CUDA_VISIBLE_DEVICES",
    ),
    (
        "torch",
        with_torch(error=RuntimeError("The NVIDIA driver on your system is too old (found ...)")),
        "driver is too old for this build of PyTorch",
        "update the driver",
    ),
    ("torch", with_torch(error=NO_KERNEL), "no code for this GPU", "newer build of PyTorch"),
    (
        "torch",
        with_torch(error=RuntimeError("CUDA out of memory. Tried to allocate 2.00 MiB")),
        "no memory left",
        "nvidia-smi",
    ),
    (
        "torch",
        with_torch(error=OSError("it burns\nfor a long time")),
        "a small computation of PyTorch fails: OSError: it burns$",
        "nvidia-smi",
    ),
    ("torch", with_torch(wrong=1), r"fails: RuntimeError: 1 \+ 1 gives \[3.0, 3.0\]", ""),
    (
        "torch",
        {
            "driver": 13000,
            "torch": torch_build(cuda="13.0"),
            "modules": {"torch": OSError("libcudart.so.13: cannot open shared object file")},
        },
        "PyTorch cannot be imported: OSError: libcudart",
        "fresh environment",
    ),
    (
        "torch",
        {"platform": "darwin", "modules": {"torch": fake_torch(cuda=None)}},
        "neither CUDA, ROCm, XPU nor MPS",
        "Apple's processor",
    ),
    ("jax", {}, "JAX is not installed", 'driver, then pip install "jax[cuda13]"'),
    ("jax", {"driver": 12080}, "JAX is not installed", 'pip install "jax[cuda12]"'),
    ("jax", {"platform": "darwin"}, "JAX is not installed", "PyTorch or MLX"),
    (
        "jax",
        {"modules": {"jax": None}, "driver": 13000},
        "for the CPU alone: it has no plugin",
        'pip install "jax[cuda13]"',
    ),
    ("jax", with_jax(None, driver=None), NO_DRIVER, "install the NVIDIA driver"),
    (
        "jax",
        {**with_jax(None), "environment": {"JAX_PLATFORMS": "cpu"}},
        "JAX_PLATFORMS, cpu, leaves out the GPU",
        "unset it",
    ),
    (
        "jax",
        with_jax(fake_jax(error=RuntimeError("Unknown backend: 'gpu' requested"))),
        "JAX sees no GPU",
        "nvidia-smi",
    ),
    (
        "jax",
        with_jax(fake_jax(error=RuntimeError("Backend 'cuda' failed to initialize: broken"))),
        "JAX fails: RuntimeError: Backend 'cuda' failed to initialize: broken",
        "nvidia-smi",
    ),
    ("mlx", {}, "MLX is not installed", 'pip install "mlx[cuda13]"'),
    ("mlx", {"platform": "darwin"}, "MLX is not installed", "pip install mlx"),
    ("mlx", with_mlx(None), "outside of macOS the package mlx needs another", '"mlx[cpu]"'),
    ("mlx", with_mlx(None, "mlx-cpu"), "for the CPU alone", 'pip install "mlx[cuda13]"'),
    ("mlx", with_mlx(None, "mlx-cuda-13", driver=None), NO_DRIVER, "install the NVIDIA driver"),
    (
        "mlx",
        with_mlx(fake_mlx(ValueError("[default_stream] Cannot get gpu stream")), "mlx-cuda-13"),
        "a small computation of MLX fails",
        "nvidia-smi",
    ),
    (
        "mlx",
        with_mlx(fake_mlx(default="cpu"), platform="darwin"),
        "default device has been set to the CPU",
        "set_default_device",
    ),
    ("dpnp", {}, "dpnp is not installed", "pip install dpnp"),
    (
        "dpnp",
        {"modules": fake_sycl()},
        "SYCL finds no device at all, not even the CPU",
        "OCL_ICD_FILENAMES to .*libintelocl.so before Python starts",
    ),
    (
        "dpnp",
        {"modules": fake_sycl("opencl:cpu:0")},
        "SYCL finds no GPU, only opencl:cpu:0$",
        "compute runtime",
    ),
    (
        "dpnp",
        {
            "modules": fake_sycl("opencl:cpu:0"),
            "environment": {"ONEAPI_DEVICE_SELECTOR": "opencl:cpu"},
        },
        "only opencl:cpu:0, by the variable ONEAPI_DEVICE_SELECTOR, opencl:cpu",
        "",
    ),
    (
        "dpnp",
        {"modules": fake_sycl("level_zero:gpu:0", error=RuntimeError("UR_RESULT_ERROR"))},
        "a small computation of dpnp fails: RuntimeError: UR_RESULT_ERROR",
        "",
    ),
    ("cupynumeric", {}, "cuPyNumeric is not installed", "nvidia-cupynumeric"),
    ("cupynumeric", {"modules": {"cupynumeric": None}}, NO_DRIVER, "NVIDIA driver"),
    (
        "cupynumeric",
        {"modules": {"cupynumeric": None}, "driver": 13000},
        "not tried: to import it starts Legate",
        "legate --gpus 1",
    ),
]


@pytest.mark.parametrize(("name", "machine", "problem", "cure"), REASONS)
def test_why_a_library_has_no_gpu(play, name, machine, problem, cure):
    play(**machine)
    gpu = find_gpu_of(name)
    assert not gpu.usable
    assert gpu.devices == ()
    assert re.search(problem, gpu.problem), gpu.problem
    assert cure in gpu.cure or re.search(cure, gpu.cure), gpu.cure


@pytest.mark.parametrize(
    ("name", "machine", "gpu"),
    [
        ("torch", with_torch(), Gpu(devices=("GPU 0", "GPU 1"), kind="cuda")),
        (
            "torch",
            {"torch": torch_build(hip="6.4"), "modules": {"torch": fake_torch(None, hip="6.4")}},
            Gpu(devices=("GPU 0", "GPU 1"), kind="cuda"),
        ),
        (
            "torch",
            {"torch": torch_build(xpu="2025"), "modules": {"torch": fake_torch(None, xpu="2025")}},
            Gpu(devices=("GPU 0", "GPU 1"), kind="xpu"),
        ),
        (
            "torch",
            {"platform": "darwin", "modules": {"torch": fake_torch(None, mps=True)}},
            Gpu(devices=("Apple GPU",), kind="mps"),
        ),
        ("jax", with_jax(fake_jax("NVIDIA H100")), Gpu(devices=("NVIDIA H100",))),
        (
            "mlx",
            with_mlx(fake_mlx(), platform="darwin", driver=None),
            Gpu(devices=("Apple M4",), kind="gpu"),
        ),
        (
            "mlx",
            with_mlx(fake_mlx(name="NVIDIA H100"), "mlx-cuda-13"),
            Gpu(devices=("NVIDIA H100",), kind="gpu"),
        ),
        (
            "dpnp",
            {"modules": fake_sycl("opencl:cpu:0", "level_zero:gpu:0")},
            Gpu(devices=("level_zero:gpu:0",), kind="gpu"),
        ),
    ],
)
def test_a_library_that_computes_on_its_gpu_is_usable(play, name, machine, gpu):
    play(**machine)
    assert find_gpu_of(name) == gpu
    assert find_gpu_of(name).usable
    unproven = find_gpu_of(name, probe=False)
    assert not unproven.usable
    assert unproven.problem.startswith("not tried")
    assert "gpugrad.info(probe=True)" in unproven.cure


@pytest.fixture
def nothing_is_loaded(monkeypatch):
    """Have every import of a library fail the test."""

    def refuse(name):
        raise AssertionError(f"{name} has been imported")

    monkeypatch.setattr(_gpus.importlib, "import_module", refuse)


def test_what_files_tell_needs_no_import(play, monkeypatch, nothing_is_loaded):
    monkeypatch.setattr(info, "find_gpu", lambda: Gpu(problem="no GPU", cure="buy one"))
    monkeypatch.setattr(info, "_installed_version", lambda name: None)  # which takes long
    monkeypatch.setattr(_devices, "find_gpu", lambda: Gpu(problem="no GPU", cure="buy one"))
    report = gpugrad.info()
    assert {*report.gpus} == {"cupy", "torch", "jax", "mlx", "dpnp", "cupynumeric"}
    assert report.gpus["cupy"] == report.gpu


def test_info_has_rows_for_each_library_and_tries_where_it_is_told_to(monkeypatch):
    def find(name, probe):
        if name == "torch" and probe:
            return Gpu(devices=("GPU 0", "GPU 1"), kind="cuda")
        return Gpu(problem=f"{name} is lazy", cure=f"wake {name}")

    monkeypatch.setattr(info, "find_gpu_of", find)
    monkeypatch.setattr(info, "_installed_version", lambda name: None)
    rows = [re.split("  +", line.strip()) for line in str(gpugrad.info(probe=True)).splitlines()]
    assert ["GPU by PyTorch", "GPU 0, GPU 1"] in rows
    at = rows.index(["GPU by dpnp", "not used"])
    assert rows[at + 1 : at + 3] == [["because", "dpnp is lazy"], ["to mend it", "wake dpnp"]]
    assert ["GPU by PyTorch", "not used"] in [
        re.split("  +", line.strip()) for line in str(gpugrad.info()).splitlines()
    ]


def test_the_command_tries_the_libraries(monkeypatch, capsys):
    from internals import cli_main

    asked = []
    monkeypatch.setattr(gpugrad, "info", lambda **options: asked.append(options) or "a table")
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "true")  # what users say stays
    assert cli_main.main(["info"]) == 0
    assert asked == [{"probe": True}]
    assert capsys.readouterr().out == "a table\n"


def test_the_build_of_pytorch_is_read_without_running_it():
    torch = pytest.importorskip("torch")
    build = _gpus._read_torch_build()
    assert build["__version__"] == torch.__version__
    assert build["cuda"] == torch.version.cuda
    assert build["hip"] == torch.version.hip


def test_plugins_of_jax_are_found_as_jax_finds_them(tmp_path, monkeypatch):
    assert not any("rocm99" in name for name in _gpus._find_plugins_of_jax())
    (tmp_path / "jax_plugins" / "rocm99").mkdir(parents=True)
    (tmp_path / "jax_plugins" / "rocm99" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert "rocm99" in _gpus._find_plugins_of_jax()


def test_mlx_built_by_its_user_is_tried(play, tmp_path, monkeypatch):
    (tmp_path / "mlx" / "lib").mkdir(parents=True)
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path / "mlx")])
    monkeypatch.setattr(_gpus, "find_spec", lambda name: spec)
    play(**with_mlx(fake_mlx(name="own")))
    assert find_gpu_of("mlx").devices == ("own",)


def test_a_library_is_tried_once(play):
    tries = []
    module = fake_torch()
    ones = module.ones
    module.ones = lambda *arguments, **options: tries.append(1) or ones(*arguments, **options)
    play(driver=13000, torch=torch_build(cuda="13.0"), modules={"torch": module})
    assert find_gpu_of("torch") is find_gpu_of("torch")
    assert tries == [1]
