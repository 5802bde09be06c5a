"""**Formulas**: text or SymPy's expressions, differentiated exactly."""
