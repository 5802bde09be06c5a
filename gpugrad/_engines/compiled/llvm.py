"""Functions made with llvmlite: how one is written, compiled for this processor, and called."""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from itertools import count
from typing import Any, NamedTuple

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir

from gpugrad._arrays import run_whole

WORD = ir.IntType(64)
INT = ir.IntType(32)


class LlvmFunction:
    """The function that a module is named after, under construction: words, loads and loops."""

    def __init__(self, module: ir.Module, result: ir.Type, arguments: int) -> None:
        kind = ir.FunctionType(result, [WORD] * arguments)
        self.module = module
        self.function = ir.Function(module, kind, module.name)
        self.build = ir.IRBuilder(self.function.append_basic_block("start"))

    def word(self, address: ir.Value, i: int) -> ir.Value:
        """Return the word with number `i` after an address."""
        return self.load(self.build.add(address, WORD(8 * i)), WORD)

    def load(self, address: ir.Value, kind: ir.Type) -> ir.Value:
        """Return what lies at an address, aligned or not."""
        value = self.build.load(self.build.inttoptr(address, kind.as_pointer()), typ=kind)
        value.align = 1
        return value

    @contextmanager
    def loop(self, start: ir.Value, stop: ir.Value, step: int = 1) -> Iterator[ir.Value]:
        """Write a loop around what is written in the block; it may run no times at all."""
        build, before = self.build, self.build.block
        head, after = build.append_basic_block("loop"), build.append_basic_block("after")
        build.cbranch(build.icmp_signed("<", start, stop), head, after)
        build.position_at_end(head)
        i = build.phi(WORD)
        i.add_incoming(start, before)
        yield i
        following = build.add(i, WORD(step))
        # Not the block "loop": what was written inside may have ended in a block of its own.
        i.add_incoming(following, build.block)
        build.cbranch(build.icmp_signed("<", following, stop), head, after)
        build.position_at_end(after)


_KERNEL = ir.FunctionType(ir.VoidType(), [WORD] * 3).as_pointer()


def _declare_flags(module: ir.Module) -> tuple[ir.Function, ir.Function, ir.Constant]:
    """Return what clears the processor's flags of trouble, what tests them, and all of them."""
    kind = ir.FunctionType(INT, [INT])
    forget, ask = (ir.Function(module, kind, name) for name in ("feclearexcept", "fetestexcept"))
    return forget, ask, INT(sum(Trouble.here()))


def _write_runner(module: ir.Module) -> None:
    """Write the loop over items, each between forgetting and asking what went wrong."""
    runner = LlvmFunction(module, INT, 3)
    build, (items, count, troubles) = runner.build, runner.function.args
    forget, ask, everything = _declare_flags(module)
    build.call(forget, [everything])
    total = build.alloca(INT)
    build.store(INT(0), total)
    with runner.loop(WORD(0), count) as i:
        item = build.add(items, build.mul(i, WORD(32)))
        address, *arguments = [runner.word(item, k) for k in range(4)]
        build.call(build.inttoptr(address, _KERNEL), arguments)
        trouble = build.call(ask, [everything])
        with build.if_then(build.icmp_unsigned("!=", trouble, INT(0)), likely=False):
            place = build.add(troubles, build.mul(i, WORD(4)))
            build.store(trouble, build.inttoptr(place, INT.as_pointer()))
            build.store(build.or_(build.load(total, typ=INT), trouble), total)
            build.call(forget, [everything])
    build.fence("seq_cst")  # results stored past the cache become visible to other threads
    build.ret(build.load(total, typ=INT))


@lru_cache(maxsize=1)
def compile_runner() -> Callable[[int, int, int], int]:
    """Return ``run(items, count, troubles)``, which calls kernels in turn, without the GIL.

    An item is four words: a kernel, its layout, where to start and where to stop. What went wrong
    in the arithmetic of all of them is returned as the bits of `Trouble`. Of each item with any,
    they are written to its 32 bits at `troubles`, which must be zero before.
    """
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
    run: Callable[[int, int, int], int] = kind(compile_module(_write_runner))
    return run


def _write_launcher(module: ir.Module) -> None:
    """Write what lays out a program for the arrays of a call, and runs it: see `ProgramCall`."""
    launcher = LlvmFunction(module, INT, 2)
    build, (header, arrays) = launcher.build, launcher.function.args
    size, words, count, places, owners, items, last = (launcher.word(header, k) for k in range(7))
    layout = build.ptrtoint(build.alloca(WORD, size=size), WORD)

    def element(address: ir.Value, i: ir.Value) -> ir.Value:
        return launcher.load(build.add(address, build.mul(i, WORD(8))), WORD)

    def store(value: ir.Value, i: ir.Value) -> None:
        place = build.add(layout, build.mul(i, WORD(8)))
        build.store(value, build.inttoptr(place, WORD.as_pointer()))

    with launcher.loop(WORD(0), size) as i:
        store(element(words, i), i)
    with launcher.loop(WORD(0), count) as i:
        # Where Python keeps the members of a tuple, and NumPy the address of an array's memory.
        first_member = build.add(arrays, WORD(tuple.__basicsize__))
        array = element(first_member, element(owners, i))
        memory = launcher.load(build.add(array, WORD(object.__basicsize__)), WORD)
        place = element(places, i)
        store(build.add(element(layout, place), memory), place)
    forget, ask, everything = _declare_flags(module)
    build.call(forget, [everything])
    with launcher.loop(WORD(0), last) as i:
        item = build.add(items, build.mul(i, WORD(32)))
        address, offset, start, stop = [launcher.word(item, k) for k in range(4)]
        arguments = [build.add(offset, layout), start, stop]
        build.call(build.inttoptr(address, _KERNEL), arguments)
    build.fence("seq_cst")
    build.ret(build.call(ask, [everything]))


@cache
def compile_launcher(lets_others_in: bool) -> Callable[[int, tuple[Any, ...]], int]:
    """Return ``launch(header, arrays)``, which runs a program on a tuple of NumPy's arrays.

    The header is seven words: how many words a layout has, and where they are; how many of them
    are addresses, where their numbers are, and where those of their arrays; where the items are,
    and how many. What went wrong is returned as the bits of `Trouble`. To let other threads of
    Python in meanwhile takes longer than a small program.
    """
    make = ctypes.CFUNCTYPE if lets_others_in else ctypes.PYFUNCTYPE
    kind = make(ctypes.c_int, ctypes.c_void_p, ctypes.py_object)
    launch: Callable[[int, tuple[Any, ...]], int] = kind(_compile_launcher())
    return launch


@cache
def _compile_launcher() -> int:
    return compile_module(_write_launcher)


@cache
def can_launch() -> bool:
    """Tell whether addresses of arrays lie where the launcher looks for them."""
    array, word = np.zeros(1), ctypes.c_void_p
    arrays = (array,)
    member = word.from_address(id(arrays) + tuple.__basicsize__).value
    memory = word.from_address(id(array) + object.__basicsize__).value
    return member == id(array) and memory == array.__array_interface__["data"][0]


class Trouble(NamedTuple):
    """The bits by which this machine tells what went wrong in floating-point arithmetic."""

    invalid: int
    divide: int
    over: int
    under: int

    @classmethod
    def here(cls) -> Trouble:
        """Return the bits that ``<fenv.h>`` has on this machine."""
        machine = "windows" if sys.platform == "win32" else platform.machine().lower()
        return cls(*_TROUBLES.get(machine, _TROUBLES["aarch64"]))


_INTEL = (1, 4, 8, 16)
_TROUBLES = {
    "windows": (16, 8, 4, 2), "x86_64": _INTEL, "amd64": _INTEL, "i386": _INTEL, "i686": _INTEL,
    "aarch64": (1, 2, 4, 8), "arm64": (1, 2, 4, 8), "riscv64": (16, 8, 4, 2),
    "ppc64le": (1 << 29, 1 << 26, 1 << 28, 1 << 27), "s390x": (1 << 23, 1 << 22, 1 << 21, 1 << 20),
}  # fmt: skip
"""The bits of `Trouble` by machine; Windows has its own on all of them."""


class _Compiler(NamedTuple):
    """What compiles all modules of the process, one after the other.

    llvmlite lets other threads of Python in at each of its calls, and one that never waits keeps
    this one out for 5 milliseconds each time. So there are few calls for each module: what all of
    them share is made once.
    """

    engine: llvm.ExecutionEngine
    passes: llvm.ModulePassManager
    builder: llvm.PassBuilder
    triple: str
    numbers: Iterator[int]


def compile_module(write: Callable[[ir.Module], None]) -> int:
    """Return the address of a module's `LlvmFunction`, as machine code for this processor.

    llvmlite has a lock that an exception from a handler of signals, or a fork, may leave locked.
    """
    return run_whole(lambda: _compile(write))


def _compile(write: Callable[[ir.Module], None]) -> int:
    compiler = _start_compiler()
    module = ir.Module(f"function{next(compiler.numbers)}")
    module.triple = compiler.triple
    write(module)
    parsed = llvm.parse_assembly(str(module))
    parsed.verify()
    compiler.passes.run(parsed, compiler.builder)
    compiler.engine.add_module(parsed)
    compiler.engine.finalize_object()
    return int(compiler.engine.get_function_address(module.name))


@cache
def _start_compiler() -> _Compiler:
    """Return the compiler of this process, which is never closed: its code may be running.

    Kernels are written as they shall run: in vectors, with each value taken once, outside of the
    loops that do not change it. So they are only simplified. The other passes of LLVM take as long
    as everything else that the compiler does, and kernels are no faster for them.
    """
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine, triple = _target_machine(), llvm.get_process_triple()
    passes = llvm.create_new_module_pass_manager()
    passes.add_simplify_cfg_pass()
    passes.add_instruction_combine_pass()
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options())
    # An engine begins with a module, and keeps the machine that it is given.
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target_machine())
    return _Compiler(engine, passes, builder, triple, count())


@cache
def converts_half() -> bool:
    """Tell whether the processor itself converts half precision: else there may be no code for it.

    x86 says so; processors of ARM with 64 bits all do.
    """
    try:
        has_conversion = bool(llvm.get_host_cpu_features().get("f16c"))
    except RuntimeError:
        has_conversion = False
    return has_conversion or platform.machine().lower() in ("arm64", "aarch64")


def _target_machine() -> llvm.TargetMachine:
    try:
        features = llvm.get_host_cpu_features().flatten()
    except RuntimeError:  # not known on every architecture
        features = ""
    return llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3, jit=True
    )
