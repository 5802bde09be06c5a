"""Namespaces whose new arrays lie on a device, and the choice of a library by its GPU."""

from __future__ import annotations

import copy
import inspect
import os
import pickle
import subprocess
import sys
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from devices.creations import CREATIONS

import gpugrad
from internals import DeviceNamespace, Gpu, _devices, _gpus, _namespaces


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@pytest.mark.exhaustive(name="linspace")  # which loads half a thousand modules of PyTorch
@pytest.mark.exhaustive(name="arange")
@pytest.mark.exhaustive(name="fftfreq")
@pytest.mark.exhaustive(name="rfftfreq")
@pytest.mark.parametrize("name", CREATIONS)
def test_new_tensors_lie_on_the_device_unless_a_call_says_another(torch, name):
    xp = gpugrad.namespace("torch", device="meta")
    create = CREATIONS[name]
    assert create(xp).device.type == "meta"
    assert create(xp, device="cpu").device.type == "cpu"
    assert create(xp, device=None).device.type == "meta"
    on_host = gpugrad.namespace("torch", device="cpu")
    assert create(on_host).tolist() == create(gpugrad.namespace("torch")).tolist() or (
        name == "empty"
    )


@pytest.mark.parametrize("name", ["tensor", "rand"])
def test_functions_that_only_pytorch_has_take_the_device_too(torch, name):
    xp = gpugrad.namespace("torch", device="meta")
    assert getattr(xp, name)([3]).device.type == "meta"


def test_the_default_of_the_library_is_not_changed(torch):
    before = torch.get_default_device()
    gpugrad.namespace("torch", device="meta").zeros(3)
    assert torch.get_default_device() == before
    assert gpugrad.namespace("torch").zeros(3).device.type == "cpu"


def test_arrays_of_the_library_stay_where_they_are(torch):
    xp = gpugrad.namespace("torch", device="meta")
    x = torch.ones(3)
    assert xp.asarray(x) is x
    assert xp.zeros_like(x).device.type == "cpu"
    assert xp.asarray(x, device="meta").device.type == "meta"
    assert xp.asarray(xp.zeros(3)).device.type == "meta"


@pytest.mark.exhaustive  # PyTorch takes 1.6 s to learn the shapes of its operations
def test_derivatives_of_fields_made_there_stay_there(torch):
    xp = gpugrad.namespace("torch", device="meta")
    x = xp.linspace(0, 1, 11)
    for f in (gpugrad.gradient(x**2, 0.1), gpugrad.gradient(x**2, x, accuracy=4)):
        assert (f.device.type, f.shape) == ("meta", (11,))
    assert gpugrad.laplacian(xp.ones((4, 5))).device.type == "meta"
    slope = gpugrad.plan((11,), 0.1, like=xp, dtype="float32")
    assert slope(x).device.type == "meta"
    with pytest.raises(ValueError, match="must be on device meta, as planned; got cpu"):
        slope(torch.ones(11))
    table = gpugrad.tabulate(lambda x, y: x * y, slice(0, 1, 5j), slice(0, 2, 3j), like=xp)
    assert {x.device.type for x in (table.field, *table.coordinates)} == {"meta"}


def test_it_is_a_namespace_of_the_array_api(torch):
    plain, xp = gpugrad.namespace("torch"), gpugrad.namespace("torch", device="meta")
    assert (xp.float32, xp.int8, xp.pi, xp.sin) == (torch.float32, torch.int8, np.pi, plain.sin)
    assert xp.__array_api_version__ == plain.__array_api_version__
    assert dir(xp) == dir(plain)
    assert {*CREATIONS} & {*dir(xp)}
    information = xp.__array_namespace_info__()
    assert information.default_device() == torch.device("meta")
    assert information.default_dtypes() == plain.__array_namespace_info__().default_dtypes()
    assert "float64" in information.dtypes(kind="real floating")
    assert information.capabilities() == plain.__array_namespace_info__().capabilities()
    assert (xp.zeros.__name__, xp.rand.__name__) == ("zeros", "rand")
    assert inspect.signature(xp.zeros) == inspect.signature(plain.zeros)
    with pytest.raises(AttributeError, match="nothing_such"):
        xp.nothing_such  # noqa: B018


def test_it_says_what_it_is_and_is_the_same_after_pickling(torch):
    for device in ("meta", torch.device("meta")):
        xp = gpugrad.namespace("torch", device=device)
        assert repr(xp) == "<namespace array_api_compat.torch, new arrays on meta>"
        assert gpugrad.namespace("torch", device=device) is xp
        for other in (pickle.loads(pickle.dumps(xp)), copy.copy(xp), copy.deepcopy(xp)):
            assert other is xp
        assert pickle.loads(pickle.dumps(xp.fft)) is xp.fft


def test_a_device_that_cannot_be_pickled_is_named():
    jax = pytest.importorskip("jax")
    device = jax.devices()[0]
    xp = gpugrad.namespace("jax", device=device)
    assert xp.asarray([1.0]).devices() == {device}
    with pytest.raises(TypeError, match=r"namespace on .* cannot be pickled.*as text"):
        pickle.dumps(xp)
    named = gpugrad.namespace("jax", device="cpu:0")
    assert pickle.loads(pickle.dumps(named)) is named
    assert named.asarray([0.0, 1.0]).committed
    assert named.identity is jax.numpy.identity  # which takes no device


@pytest.mark.exhaustive
def test_arrays_of_jax_lie_on_the_device_that_is_named():
    pytest.importorskip("jax")
    code = """
import gpugrad, jax, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
devices = jax.devices()
xp = gpugrad.namespace("jax", device="cpu:2")
x = xp.linspace(0, 1, 5)
for made in (x, xp.asarray([1.0, 2.0]), xp.eye(3), xp.fft.fftfreq(4), gpugrad.gradient(x**2, x)):
    assert made.devices() == {devices[2]}, made.devices()
assert xp.zeros(3, device=devices[1]).devices() == {devices[1]}
assert xp.asarray(jax.device_put(x, devices[3])).devices() == {devices[3]}
assert jax.numpy.zeros(3).devices() == {devices[0]}
over = NamedSharding(Mesh(np.array(devices), "x"), PartitionSpec("x"))
assert gpugrad.namespace("jax", device=over).arange(8.0).sharding == over
try:
    gpugrad.namespace("jax", device="cpu:4")
except gpugrad.BackendError as error:
    assert "there are 4, counted from 0" in str(error)
else:
    raise AssertionError
"""
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env={**os.environ, **flags}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "device", "error", "words"),
    [
        ("numpy", "cuda", ValueError, "\"cpu\" for NumPy, which has no other; got 'cuda'"),
        ("torch", "moon", ValueError, r'"cpu", "cuda", .* for PyTorch; got \'moon\''),
        ("torch", True, ValueError, "for PyTorch; got True"),
        ("torch", 1.5, ValueError, "for PyTorch; got 1.5"),
        ("jax", 3, ValueError, "a Sharding for JAX; got 3"),
        ("jax", "cpu:x", ValueError, "a Sharding for JAX; got 'cpu:x'"),
        ("jax", "moon", gpugrad.BackendError, "JAX cannot use the device moon: RuntimeError"),
        ("jax", "cpu:99", gpugrad.BackendError, "there are .*, counted from 0. .* name another"),
        ("auto", "cpu", ValueError, '`device` must go with the name of a library; got "auto"'),
    ],
)
def test_a_device_that_makes_no_sense_is_an_error(name, device, error, words):
    if name != "auto":
        pytest.importorskip(name)
    with pytest.raises(error, match=words):
        gpugrad.namespace(name, device=device)


def test_the_one_device_of_numpy_changes_nothing():
    assert gpugrad.namespace("numpy", device="cpu") is gpugrad.namespace("numpy")


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "xpu", "mps", 0])
def test_a_gpu_that_pytorch_has_not_is_refused_with_reason_and_cure(torch, monkeypatch, device):
    gpu = Gpu(problem="it was built for the CPU", cure="install another")
    monkeypatch.setattr(_gpus, "find_gpu_of", lambda name: gpu)
    with pytest.raises(gpugrad.BackendError) as raised:
        gpugrad.namespace("torch", device=device)
    assert str(raised.value) == (
        f"PyTorch cannot use the device {device}: it was built for the CPU. To mend it: install "
        "another."
    )
    assert raised.value.reason == "it was built for the CPU"


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("cuda:2", "there are 2, counted from 0"),
        ("mps", 'its GPU here is "cuda"'),
        ("xla", "NotImplementedError"),
    ],
)
def test_a_gpu_that_is_not_among_those_there_are_is_refused(torch, monkeypatch, device, words):
    gpu = Gpu(devices=("a GPU", "another"), kind="cuda")
    monkeypatch.setattr(_gpus, "find_gpu_of", lambda name: gpu)
    with pytest.raises(gpugrad.BackendError, match=f"cannot use the device {device}: .*{words}"):
        gpugrad.namespace("torch", device=device)


class FakeCupy:
    """CuPy on a machine with two GPUs: arrays are the number of the device that was current."""

    class Device:
        def __init__(self, number=None):
            self.id = number or 0

        def __enter__(self):
            FakeCupy.current.append(self.id)

        def __exit__(self, *error):
            FakeCupy.current.pop()

    current = (0,)
    cuda = SimpleNamespace(
        Device=Device, runtime=SimpleNamespace(getDeviceCount=lambda: 2, getDevice=lambda: 0)
    )

    @staticmethod
    def zeros(shape, dtype=None, device=None):
        return FakeCupy.current[-1]


@pytest.fixture
def two_gpus(monkeypatch):
    """Play a machine on which CuPy sees two GPUs."""
    monkeypatch.setattr(_devices, "find_gpu", lambda: Gpu(devices=("a GPU", "another")))
    monkeypatch.setattr(_devices, "is_installed", lambda name: True)
    monkeypatch.setattr(FakeCupy, "current", [0])
    fake = type(sys)("cupy")
    fake.__dict__.update(cuda=FakeCupy.cuda, zeros=FakeCupy.zeros)
    monkeypatch.setattr(_namespaces.importlib, "import_module", lambda name: fake)
    _namespaces._bind.cache_clear()
    yield fake
    _namespaces._bind.cache_clear()


def test_cupy_makes_arrays_on_the_gpu_that_is_named(two_gpus):
    for device in (1, "cuda:1", FakeCupy.Device(1)):
        xp = gpugrad.namespace("cupy", device=device)
        assert xp.zeros(3) == 1
        assert FakeCupy.current == [0]
        for given in (0, "cuda:0", FakeCupy.Device(0)):
            assert xp.zeros(3, device=given) == 0
    assert gpugrad.namespace("cupy", device="cuda") is two_gpus
    with pytest.raises(gpugrad.BackendError, match="device cuda:2: there are 2, counted from 0"):
        gpugrad.namespace("cupy", device="cuda:2")
    for wrong in ("cpu", "cuda:", -1, False):
        with pytest.raises(ValueError, match='"cuda", "cuda:1" or the number of a GPU for CuPy'):
            gpugrad.namespace("cupy", device=wrong)


@contextmanager
def gpus_by(monkeypatch, **usable):
    """Play a machine on which these libraries compute on a GPU, which they spell like this."""
    asked = []

    def find(name, probe=True):
        asked.append(name)
        if name in usable:
            return Gpu(devices=("a GPU",), kind=usable[name])
        return Gpu(problem="there is none", cure="buy one")

    monkeypatch.setattr(_gpus, "find_gpu_of", find)
    yield asked


def test_the_first_library_with_a_usable_gpu_is_taken(torch, monkeypatch):
    with gpus_by(monkeypatch, torch="meta", jax="") as asked:
        xp = gpugrad.namespace("auto", prefer=("cupy", "torch", "jax"))
        assert asked == ["cupy", "torch"]
        assert isinstance(xp, DeviceNamespace)
        assert xp.zeros(3).device.type == "meta"
        assert xp is gpugrad.namespace("auto", prefer=["torch", "cupy"])
    pytest.importorskip("jax")
    with gpus_by(monkeypatch, torch="meta", jax=""):
        assert gpugrad.namespace(prefer=("jax", "torch")).__name__ == "jax.numpy"


def test_without_a_usable_gpu_every_preference_ends_at_numpy(monkeypatch):
    names = ("mlx", "dpnp", "jax", "torch", "cupy")
    with gpus_by(monkeypatch) as asked:
        xp = gpugrad.namespace("auto", prefer=names)
        assert xp is gpugrad.namespace("numpy")
        assert tuple(asked) == names


def test_without_a_preference_it_is_cupy_alone(monkeypatch):
    with gpus_by(monkeypatch, torch="meta") as asked:
        assert gpugrad.namespace() is gpugrad.namespace("numpy")
        assert asked == ["cupy"]


@pytest.mark.parametrize(
    ("prefer", "words"),
    [
        ((), r"must be a tuple or a list of names of cupy, torch, jax, mlx, dpnp; got none"),
        ([], "got none"),
        ("torch", "the best first; got 'torch'"),
        ({"torch"}, "the best first; got {'torch'}"),
        (3, "the best first; got 3"),
        (("torch", "dask"), "got 'dask' among them"),
        (("torch", None), "got None among them"),
        (("cupy", "numpy"), "got 'numpy', which is taken where none of them is usable"),
    ],
)
def test_a_preference_is_an_order_of_libraries_with_gpus(prefer, words):
    with pytest.raises(ValueError, match=words):
        gpugrad.namespace("auto", prefer=prefer)


def test_a_preference_goes_with_auto_alone():
    with pytest.raises(ValueError, match=r"`prefer` must go with the name .auto.*got 'numpy'"):
        gpugrad.namespace("numpy", prefer=("torch",))
