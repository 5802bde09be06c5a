"""The machine code of a kernel, and how many instructions a thread takes for a step of its way.

CuPy's own options are asked for, not repeated. What the compiler makes is disassembled into blocks,
which end where the code branches. The smallest loop that writes whole vectors is the way between
the ends of the axes. Of all ways through it the usual one reads and writes most; it goes through no
loop within the loop, and calls nothing, as only quotients do that cannot be had by products.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

RELEASE = (13, 0)
"""The release of the compiler for which instructions and registers are counted."""

BRANCH = re.compile(
    r"(?:@(?P<guard>\S+) )?(?P<name>BRA|EXIT|RET|BRX|JMP|CALL)\b[^`]*(?:`\((?P<to>[^)]+)\))?"
)


class Kernel(NamedTuple):
    """What the compiler makes of an instantiation: PTX, machine code, and what it says of it."""

    code: str
    binary: bytes
    registers: int
    spilled: int


def find_nvrtc():
    """Return CuPy's bindings of NVRTC, or None where the library is missing."""
    from cupy_backends.cuda.libs import nvrtc

    try:
        nvrtc.getVersion()
    except Exception:  # noqa: BLE001 - however its absence shows
        return None
    return nvrtc


class Recorded(Exception):
    """The compiler has been called, and nothing more is wanted."""


@cache
def options_of_cupy(architecture):
    """Return the options with which CuPy calls the compiler for the engine's kernels."""
    from cupy.cuda import compiler

    from internals import cuda_engine

    calls = []
    source = "the kernel"

    class Program:
        def __init__(self, source, *_, **__):
            self.source = source

        def compile(self, options=(), *_, **__):
            calls.append((self.source, tuple(options)))
            if self.source == source:
                raise Recorded
            return b"", {}  # CuPy asks for the compiler's version in this way

    name_architecture = compiler._get_arch_for_options_for_nvrtc.__wrapped__  # asks for no device
    with (
        patch.object(compiler, "_NVRTCProgram", Program),
        patch.object(compiler, "_get_arch_for_options_for_nvrtc", name_architecture),
        patch.object(compiler, "_empty_file_preprocess_cache", {}),
        contextlib.suppress(Recorded),
    ):
        compiler._compile_module_with_cache(source, cuda_engine.OPTIONS, arch=str(architecture))
    (options,) = (options for given, options in calls if given == source)
    return options


def compile_for(kernels, architecture):
    """Compile instantiations as CuPy does; return what comes of each, in one source together."""
    from internals import cuda_engine

    nvrtc = find_nvrtc()
    program = nvrtc.createProgram(cuda_engine.write_source(*kernels), "stencil.cu", (), ())
    options = (*options_of_cupy(architecture), "--ptxas-options=-v")
    try:
        nvrtc.compileProgram(program, options)
    except Exception as error:
        raise AssertionError(nvrtc.getProgramLog(program)) from error
    log, code = nvrtc.getProgramLog(program), nvrtc.getPTX(program).decode()
    binary = nvrtc.getCUBIN(program)
    made = []
    for i in range(len(kernels)):
        name = f"{cuda_engine.KERNEL}{i or ''}"
        said = re.search(rf"Compiling entry function '{name}' .*?Used (\d+) registers", log, re.S)
        spilled = max(map(int, re.findall(r"(\d+) bytes spill", said[0])))
        entry = re.search(rf"\.entry {name}\(.*?^}}", code, re.S | re.M)
        made.append(Kernel(entry[0], binary, int(said[1]), spilled))
    return made


def find_disassembler():
    """Return the path of nvdisasm, of its wheel or of the toolkit; None where it is missing."""
    try:
        files = metadata.files("nvidia-cuda-nvdisasm") or []
    except metadata.PackageNotFoundError:
        files = []
    found = [str(file.locate()) for file in files if file.stem == "nvdisasm"]
    return found[0] if found else shutil.which("nvdisasm")


def disassemble(binary):
    """Return machine code as text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "kernel.cubin")
        path.write_bytes(binary + b"\0")  # CuPy leaves the last byte out
        done = subprocess.run(
            [find_disassembler(), "-c", str(path)], capture_output=True, text=True, check=True
        )
    return done.stdout


class Loop(NamedTuple):
    """A loop: its first and last block, and the numbers of all."""

    first: int
    last: int
    blocks: set[int]


class MachineCode:
    """The blocks of a kernel, each a list of instructions, and which may follow which."""

    def __init__(self, text):
        self.blocks, labels = [[]], {}
        for line in text.splitlines():
            instruction = re.match(r"\s*/\*[0-9a-f]{4,}\*/\s+(.*?)\s*;", line)
            label = re.match(r"\s*(\.L\w+):", line)
            if label:
                if self.blocks[-1]:
                    self.blocks.append([])
                labels[label[1]] = len(self.blocks) - 1
            elif instruction:
                self.blocks[-1].append(instruction[1])
                if BRANCH.match(instruction[1]):
                    self.blocks.append([])
        self.following = [self._follow(i, labels) for i in range(len(self.blocks))]
        self.leading = [[] for _ in self.blocks]
        for block, others in enumerate(self.following):
            for other in others:
                self.leading[other].append(block)

    def _follow(self, block, labels):
        """Return the blocks that may come after one."""
        last = BRANCH.match(self.blocks[block][-1]) if self.blocks[block] else None
        after = [block + 1] if block + 1 < len(self.blocks) else []
        if last is None or last["name"] == "CALL":
            return after
        there = [labels[last["to"]]] if last["to"] in labels else []
        # A branch may ask a predicate before its name, and another behind it.
        asks = last["guard"] or re.search(r"BRA\S* !?U?P\d", last[0])
        return [*there, *after] if asks else there

    def list_loops(self):
        """Return all loops: each ends where the code branches back."""
        loops = []
        for last, others in enumerate(self.following):
            for first in others:
                if first > last:
                    continue
                members, waiting = {first, last}, [last] if last > first else []
                while waiting:
                    for block in self.leading[waiting.pop()]:
                        if block not in members:
                            members.add(block)
                            waiting.append(block)
                loops.append(Loop(first, last, members))
        return loops

    def count(self, block, pattern):
        """Count the instructions of a block that begin so, whatever guards them."""
        return sum(bool(re.match(rf"(?:@\S+ )?{pattern}", i)) for i in self.blocks[block])

    def list_usual_way(self):
        """Return the instructions of a usual step between the ends."""
        loops = self.list_loops()
        writing = [
            loop
            for loop in loops
            if any(self.count(block, r"STG\.E\.EF\.128") for block in loop.blocks)
        ]
        first, last, members = min(writing, key=lambda loop: len(loop.blocks))
        inner = [loop.blocks for loop in loops if loop.blocks < members and loop.first != first]
        taken = members.difference(*inner)
        taken -= {block for block in members if self.count(block, "CALL")}
        ways = {first: (0, 0, [])}
        for block in sorted(taken):
            if block not in ways:
                continue
            traffic, length, way = ways[block]
            traffic += self.count(block, r"(LDG|STG)\.")
            length -= len(self.blocks[block])
            ways[block] = traffic, length, [*way, block]
            for other in self.following[block]:
                if other in taken and other > block:
                    ways[other] = max(ways.get(other, ways[block]), ways[block])
        return [instruction for block in ways[last][2] for instruction in self.blocks[block]]


def count_kinds(instructions):
    """Return how many instructions there are of each kind, by name without suffixes."""
    return Counter(re.sub(r"^@\S+ ", "", i).split()[0].split(".")[0] for i in instructions)
