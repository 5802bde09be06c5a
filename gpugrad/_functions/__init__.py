"""**Derivatives of functions**: Python callables, and formulas."""
