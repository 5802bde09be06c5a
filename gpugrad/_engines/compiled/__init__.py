"""The engine for large fields on the CPU: one pass over memory, compiled by LLVM.

A call becomes a program (`program`): boxes of a field (`tiles`) and a kernel for each kind of box
(`kernel_spec`), which `kernel` writes in LLVM's language. `engine` runs the boxes on threads.
"""
