"""The engine for GPUs: one launch of the kernel in `stencil.cu` writes all outputs.

A call becomes a program (`program`): the name of an instantiation, and its arguments. `engine` runs
it on CuPy's arrays; `torch_tensors` on PyTorch's, and backwards.
"""
