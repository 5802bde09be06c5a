"""One CUDA kernel for all outputs of a call."""
