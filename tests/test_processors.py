"""The compiled engine's kernels as machine code for processors that these tests don't run on."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import pytest

import gpugrad

pytest.importorskip("llvmlite", reason="llvmlite is not installed")
import llvmlite.binding as llvm

from internals import compiled_kernels, compiled_llvm, compiled_mender, compiled_program, offers

RNG = np.random.default_rng(4)
F = RNG.random((12, 20, 40))
X = RNG.random(40).cumsum()

CALLS = {
    "even": lambda: gpugrad.gradient(F, 0.3),
    "uneven": lambda: gpugrad.gradient(F, X, axis=2, edge_order=2),
    "float32": lambda: gpugrad.gradient(F.astype("f4"), 0.3, edge_order=2),
    "integers": lambda: gpugrad.gradient((F * 100).astype("i4")),
    "complex": lambda: gpugrad.gradient(F + 1j * F, 0.3),
    "complex64": lambda: gpugrad.gradient((F + 1j * F).astype("c8"), X.astype("f4"), axis=2),
    "accurate": lambda: gpugrad.gradient(F, 0.3, accuracy=8),
    "sums": lambda: gpugrad.laplacian(F, 0.3),
    "norms": lambda: gpugrad.gradient_norm(F, 0.3),
    "vectors": lambda: gpugrad.curl([F, F, F], 0.3),
    "periodic": lambda: gpugrad.derivative(F, 0.3, axis=1, order=2, boundary="periodic"),
    "other bytes": lambda: gpugrad.gradient(F.astype(F.dtype.newbyteorder())),
    "apart": lambda: gpugrad.gradient(F[..., ::2], 0.3),
    "masked": lambda: gpugrad.gradient(F, 0.3, where=F > 0.1),
}


class Target(NamedTuple):
    """A system and processor: how its code calls, computes in vectors, and joins product and sum.

    `cpu` is the least of its kind that the engine may meet, `own` what its own compilers call.
    """

    cpu: str
    features: str
    call: str
    vectors: str
    joined: str = r"\bv?fn?m(add|sub|la|ls)[\d\w]*\b"
    own: tuple[str, ...] = ()


ARM = {"features": "", "vectors": r"\bf(add|sub)(\.[24][sd])?\s+v\d+", "call": r"^\s+bl\s+(\S+)"}
INTEL = {"features": "+f16c", "vectors": r"\bv?(add|sub)p[sd]\b", "call": r"^\s+callq?\s+([^*\s]+)"}
TARGETS = {
    "x86_64-unknown-linux-gnu": Target(cpu="x86-64", **INTEL),
    "x86_64-apple-darwin": Target(cpu="core2", **INTEL),
    "x86_64-pc-windows-msvc": Target(cpu="haswell", **INTEL, own=("__chkstk",)),
    "aarch64-unknown-linux-gnu": Target(cpu="generic", **ARM),
    "arm64-apple-darwin": Target(cpu="apple-m1", **ARM),
    "aarch64-pc-windows-msvc": Target(cpu="generic", **ARM, own=("__chkstk",)),
}
ANYWHERE = {"feclearexcept", "fetestexcept", "memcpy", "memmove", "memset"}
"""Functions that the C library of every system has."""


@pytest.fixture(scope="module")
def modules():
    """Return all that the engine hands to the compiler, by name: no processor is named in it."""
    found, begun, compile_here = {}, ["all"], compiled_llvm._compile
    caches = [compiled_mender.compile_mender, compiled_llvm.compile_runner]
    caches += [compiled_llvm.compile_launcher, compiled_llvm._compile_launcher]

    def record(write):
        module = compiled_llvm.ir.Module(f"function{len(found)}")
        write(module)
        found[f"{len(found)} of {begun[-1]}"] = str(module)
        return compile_here(write)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled_llvm, "_compile", record)
        patch.setattr(compiled_kernels, "addresses", {})
        patch.setattr(compiled_program, "STREAM_BYTES", 0)  # small fields as large ones
        patch.setattr(compiled_program, "STREAM_ROW_BYTES", 0)
        for cache in (offers.programs.clear, *(each.cache_clear for each in caches)):
            cache()
        compiled_llvm.compile_runner()
        compiled_llvm.compile_launcher(True)
        with gpugrad.use_backend("compiled"):
            for name, call in CALLS.items():
                begun.append(name)
                call()
        offers.programs.clear()
    return found


RARE = (
    "x86_64-unknown-linux-gnu", "x86_64-apple-darwin", "aarch64-pc-windows-msvc",
    "aarch64-unknown-linux-gnu",
)  # fmt: skip
"""Targets whose processor or system is another one's, too."""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(triple, marks=[pytest.mark.exhaustive] if triple in RARE else [])
        for triple in TARGETS
    ],
)
def assembled(request, modules):
    """Return a target, and the assembly of each module for it."""
    triple, target = request.param, TARGETS[request.param]
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=3, jit=True
    )
    passes = llvm.create_new_module_pass_manager()
    passes.add_simplify_cfg_pass()
    passes.add_instruction_combine_pass()
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options())
    codes = {}
    for name, text in modules.items():
        here = re.search('target triple = "(.*)"', text)
        parsed = llvm.parse_assembly(text.replace(here[1], triple) if here else text)
        passes.run(parsed, builder)
        codes[name] = machine.emit_assembly(parsed)
    assert len(machine.emit_object(parsed)) > 100
    return target, codes


def test_all_kinds_of_code_are_looked_at(modules):
    assert {name.partition(" of ")[2] for name in modules} == {*CALLS, "all"}
    text = "".join(modules.values())
    # Past the cache, roots, quotients, other byte orders, flags of trouble, memory of a call's own.
    for word in ("!nontemporal", "llvm.sqrt", "fdiv", "bswap", "fetestexcept", "alloca i64, i64"):
        assert word in text


def test_code_calls_nothing_that_the_system_lacks(assembled):
    target, codes = assembled
    for name, code in codes.items():
        called = {word.lstrip("_#") for word in re.findall(target.call, code, re.M)}
        called = {word.removesuffix("@PLT") for word in called}
        assert called <= ANYWHERE | {word.lstrip("_") for word in target.own}, name


def test_no_product_is_joined_with_a_sum(assembled):
    # It would be rounded once where NumPy rounds twice.
    target, codes = assembled
    for name, code in codes.items():
        assert re.findall(target.joined, code) == [], name


def test_sums_are_computed_in_vectors(assembled):
    target, codes = assembled
    for call in CALLS:  # of its kernels those at the ends of axes may write single results
        of_it = [code for name, code in codes.items() if name.endswith(f" of {call}")]
        assert any(re.search(target.vectors, code) for code in of_it), call
