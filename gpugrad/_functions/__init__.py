"""Derivatives of functions: Python callables, and formulas.

Differences with steps that suit the function, the complex step, automatic differentiation, and the
exact derivative through SymPy. Functions need no grid, so nothing here knows engines or operators.
"""
