"""What compilers make of the GPU's kernel, with CuPy's own options: no GPU is needed for that."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest

import gpugrad

pytest.importorskip("cupy", reason="CuPy is not installed")
import kernel_cases
from kernels_on_host import HostCuda, host_array, running_on_host
from machine_code import (
    RELEASE,
    MachineCode,
    compile_for,
    count_kinds,
    disassemble,
    find_disassembler,
    find_nvrtc,
    options_of_cupy,
)

from internals import cuda_engine

ARCHITECTURES = (75, 80, 90, 100, 120)
SHAPES = {1: (4096,), 2: (64, 128), 3: (16, 32, 64)}

needs_nvrtc = pytest.mark.skipif(find_nvrtc() is None, reason="NVRTC is not installed")
needs_release = pytest.mark.skipif(
    find_nvrtc() is None or find_nvrtc().getVersion() != RELEASE,
    reason="what it takes is known of one release of NVRTC, and this is another",
)


def list_calls():
    """Return calls of every kind, by name: operator, axes, dtype, accuracy, and what is special."""
    calls = {}
    for operator in ("gradient", "laplacian"):
        for axes in (1, 2, 3) if operator == "gradient" else (2, 3):
            for dtype in ("f4", "f8"):
                for accuracy in (2, 4, 8):
                    for kind in ("even", "uneven", "odd", "masked"):
                        if kind == "masked" and (accuracy > 2 or operator == "laplacian"):
                            continue
                        name = f"{operator} {axes}-D {dtype} {accuracy} {kind}"
                        calls[name] = operator, SHAPES[axes], dtype, accuracy, kind
    for dtype in ("f2", "c8", "c16", "i4"):
        calls[f"gradient 3-D {dtype} 2 even"] = "gradient", SHAPES[3], dtype, 2, "even"
    for operator in ("gradient_norm", "divergence", "curl"):
        for dtype in ("f4", "f8"):
            calls[f"{operator} 3-D {dtype} 2 even"] = operator, SHAPES[3], dtype, 2, "even"
    return calls


CALLS = list_calls()


def find_kernel(name):
    """Return the instantiation that a call takes."""
    operator, shape, dtype, accuracy, kind = CALLS[name]
    if kind == "odd":
        shape = tuple(n - 1 for n in shape)
    rng = np.random.default_rng(3)
    spacing, options = [0.3], {"accuracy": accuracy} if accuracy > 2 else {}
    if kind == "uneven":
        spacing = [rng.uniform(0.5, 1.5, n).cumsum().astype(dtype) for n in shape]
    if kind == "masked":
        options["where"] = host_array(rng.random(shape) < 0.9)
    f = host_array(np.zeros(shape, dtype))
    fields = [f] * len(shape) if operator in ("divergence", "curl") else f
    with running_on_host(HostCuda("")) as cuda:
        getattr(gpugrad, operator)(fields, *spacing, **options)
    (kernel,) = cuda.wanted
    return kernel


def deal(names, architecture):
    """Return the share of an architecture: all get as many, and each kind gets to several."""
    return names[ARCHITECTURES.index(architecture) :: len(ARCHITECTURES)]


USUAL = [
    "gradient 1-D f8 2 even", "gradient 1-D f4 8 odd", "gradient 2-D f8 4 uneven",
    "gradient 3-D f4 2 even", "laplacian 3-D f4 8 even", "gradient 3-D f4 2 uneven",
    "gradient 3-D f8 2 even", "laplacian 2-D f4 4 uneven", "gradient 3-D f4 2 odd",
    "gradient 1-D f4 2 masked",
]  # fmt: skip
SPILLING = {
    "gradient 2-D f8 8 uneven",
    "laplacian 2-D f8 8 uneven",
    "gradient 3-D f4 8 uneven",
    "gradient 3-D f8 8 uneven",
    "laplacian 3-D f4 8 uneven",
    "laplacian 3-D f8 8 uneven",
}
"""Calls for which there are not quite enough registers."""

RARE = [
    name
    for name, (operator, _, dtype, _, _) in CALLS.items()
    if operator not in ("gradient", "laplacian") or dtype not in ("f4", "f8") or name in SPILLING
]
OTHERS = [name for name in CALLS if name not in {*USUAL, *RARE}]
OF_EVERY_KIND = [*RARE, *map(str, np.random.default_rng(1).permutation(OTHERS)[: 35 - len(RARE)])]


def assert_keeps_small_numbers(code):
    """Check that PTX has no float instruction, save comparisons, that takes small numbers for 0."""
    flushing = {*re.findall(r"\b\w+(?:\.\w+)*\.ftz\S*", code)}
    assert {word for word in flushing if not word.startswith("setp")} == set()


def assert_converts_nothing(code):
    """Check that PTX has no conversion between float and double."""
    assert re.findall(r"\bcvt\S*\.f(?:64\.f32|32\.f64)\b", code) == []


def check(names, architecture):
    """Compile what calls take, and check the code and what the assembler says."""
    compiled = compile_for([find_kernel(name) for name in names], architecture)
    for name, kernel in zip(names, compiled, strict=True):
        assert_keeps_small_numbers(kernel.code)
        dtype = CALLS[name][2]
        if dtype in ("f2", "f4", "c8"):
            assert_converts_nothing(kernel.code)
            assert re.search(r"\.f64\b", kernel.code) is None
            assert "add.rn.f32" in kernel.code
        else:
            assert re.search(r"\.f64\b", kernel.code)
        assert kernel.spilled <= (32 if name in SPILLING else 0), (name, kernel.spilled)
        assert kernel.registers <= 128, name  # two blocks of 256 threads at least
    return compiled


class TestCode:
    """In PTX: nothing takes small numbers for zero, and what is float is float throughout."""

    @needs_nvrtc
    @pytest.mark.parametrize("architecture", ARCHITECTURES)
    def test_usual_kernels(self, architecture):
        check(deal(USUAL, architecture), architecture)

    @needs_nvrtc
    @pytest.mark.nightly
    @pytest.mark.parametrize("architecture", ARCHITECTURES)
    def test_kernels_of_every_kind(self, architecture):
        check(deal(OF_EVERY_KIND, architecture), architecture)

    @needs_nvrtc
    @pytest.mark.nightly
    @pytest.mark.parametrize("architecture", ARCHITECTURES)
    def test_all_kernels_on_all_architectures(self, architecture):
        for name in CALLS:
            check([name], architecture)

    @needs_nvrtc
    @pytest.mark.exhaustive
    def test_kernels_with_all_parts(self):
        kernels = kernel_cases.list_kernels(kernel_cases.cases())
        some = kernel_cases.cover_parts(kernels, together=1)
        assert 20 < len(some) < 40
        for kernel in compile_for(some, 75):
            assert_keeps_small_numbers(kernel.code)

    @needs_nvrtc
    @pytest.mark.nightly
    @pytest.mark.parametrize("architecture", ARCHITECTURES)
    def test_kernels_with_all_pairs_of_parts(self, architecture):
        # The compiler of the host takes all of them.
        kernels = kernel_cases.cover_parts(kernel_cases.list_kernels(kernel_cases.cases()))
        share = deal(kernels, architecture)
        assert len(share) > 15
        for kernel in compile_for(share, architecture):
            assert_keeps_small_numbers(kernel.code)

    def test_kernels_are_of_every_kind(self):
        taken = [*USUAL, *OF_EVERY_KIND]
        assert len(taken) == len({*taken}) == 45  # and 25 with all parts
        kinds = [{*name.split()} - {"2", "4", "8"} for name in taken]
        for axes in ("1-D", "2-D", "3-D"):
            for kind in ("even", "uneven", "odd", "masked"):
                assert any({axes, kind} <= parts for parts in kinds), (axes, kind)
        assert {CALLS[name][3] for name in taken} == {2, 4, 8}


BARS = {
    "laplacian 3-D f4 2 even": 185,
    "laplacian 3-D f4 8 even": 440,
    "gradient 3-D f8 2 even": 140,
    "laplacian 3-D f8 2 even": 140,
    "gradient 3-D f4 2 even": 165,
    "gradient 3-D f4 2 uneven": 150,
    "gradient 3-D f4 8 even": 420,
}
"""The most instructions for a step between the ends, of sm_90: few more than there are."""


class TestInstructions:
    """In machine code: what a thread does for each step of its way."""

    @needs_nvrtc
    @needs_release
    @pytest.mark.skipif(find_disassembler() is None, reason="nvdisasm is not installed")
    @pytest.mark.parametrize(
        "name",
        [
            pytest.param(name, marks=() if i == 0 else pytest.mark.exhaustive)
            for i, name in enumerate(BARS)
        ],
    )
    def test_steps_between_the_ends_take_few(self, name):
        (kernel,) = compile_for([find_kernel(name)], 90)
        way = MachineCode(disassemble(kernel.binary)).list_usual_way()
        assert 0.8 * BARS[name] < len(way) <= BARS[name]
        kinds = count_kinds(way)
        operator, shape, dtype, _, kind = CALLS[name]
        results = len(shape) if operator == "gradient" else 1
        assert kinds["STG"] == sum("STG.E.EF.128" in i for i in way) == results
        # What belongs to the arithmetic is there: the way is a whole one.
        quotients = 0 if kind == "uneven" else len(shape) * (4 if dtype == "f4" else 2)
        assert kinds["FFMA" if dtype == "f4" else "DFMA"] == 2 * quotients
        assert kinds["MUFU"] == kinds["CALL"] == kinds["F2F"] == kinds["LDL"] == 0


class TestCupy:
    """How CuPy calls the compiler, and what it keeps."""

    def test_its_options_come_after_ours(self):
        options = options_of_cupy(90)
        assert options[: len(cuda_engine.OPTIONS)] == cuda_engine.OPTIONS
        assert "-arch=sm_90" in options

    @needs_nvrtc
    def test_it_takes_small_numbers_for_zero_in_plain_code(self, monkeypatch):
        source = 'extern "C" __global__ void gpugrad(float* x) { *x += 1; }'
        monkeypatch.setattr(cuda_engine, "write_source", lambda *kernels: source)
        (kernel,) = compile_for(["any"], 90)
        with pytest.raises(AssertionError, match=r"ftz"):
            assert_keeps_small_numbers(kernel.code)

    @needs_nvrtc
    @pytest.mark.exhaustive
    def test_a_conversion_is_found(self, monkeypatch):
        source = cuda_engine.read_source()
        spoiled = source.replace(
            "{ return as_real<Value>(word); }", "{ return cast<Value>(as_double(word)); }"
        )
        assert spoiled != source
        monkeypatch.setattr(cuda_engine, "read_source", lambda: spoiled)
        (kernel,) = compile_for([find_kernel("gradient 1-D f4 2 even")], 90)
        with pytest.raises(AssertionError):
            assert_converts_nothing(kernel.code)

    @needs_nvrtc
    def test_a_mistake_in_the_source_is_found(self, monkeypatch):
        monkeypatch.setattr(cuda_engine, "read_source", lambda: "void evaluate() { x = 1; }")
        with pytest.raises(AssertionError, match=r"stencil.cu\(1\).*undefined"):
            compile_for(["evaluate"], 90)

    @needs_nvrtc
    def test_kernels_are_found_on_disk_in_another_process(self, monkeypatch, tmp_path):
        from cupy.cuda import compiler

        monkeypatch.setenv("CUPY_CACHE_DIR", str(tmp_path))
        monkeypatch.setenv("CUPY_CACHE_IN_MEMORY", "0")
        if hasattr(compiler, "_kernel_cache_backend"):  # it has read the variable long ago
            backend = type(compiler._kernel_cache_backend)(str(tmp_path))
            monkeypatch.setattr(compiler, "_kernel_cache_backend", backend)
        name_architecture = compiler._get_arch_for_options_for_nvrtc.__wrapped__
        monkeypatch.setattr(compiler, "_get_arch_for_options_for_nvrtc", name_architecture)
        monkeypatch.setattr(compiler.function, "Module", lambda: SimpleNamespace(
            load=lambda binary: loaded.append(bytes(binary)), _set_mapping=lambda names: None
        ))  # fmt: skip
        compiled, loaded = [], []
        compile_program = compiler._NVRTCProgram.compile

        def compile_and_count(program, *arguments, **keywords):
            compiled.append(program.src)
            return compile_program(program, *arguments, **keywords)

        monkeypatch.setattr(compiler._NVRTCProgram, "compile", compile_and_count)

        class RawKernel:
            """CuPy's, as far as it goes without a device."""

            def __init__(self, code, name, options):
                self.arguments = code, options

            def compile(self):
                code, options = self.arguments
                compiler._compile_module_with_cache(code, options, arch="90")

        monkeypatch.setattr(cuda_engine.cupy, "RawKernel", RawKernel)
        kernel = find_kernel("gradient 1-D f4 2 even")
        for _ in range(2):
            cuda_engine.Cuda().load(kernel)
        assert sum("evaluate" in source for source in compiled) == 1
        assert len(loaded) == 2
        assert loaded[0] == loaded[1]
        assert len([*tmp_path.glob("*.cubin")]) == 1
