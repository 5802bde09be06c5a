"""PyTorch's tensors that take part in automatic differentiation, forwards and backwards.

`autograd` has any engine compute what tensors hold, and leads gradients back through transposed
plans.
"""
