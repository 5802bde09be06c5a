"""Formulas: text or SymPy's expressions, differentiated exactly.

Text is parsed by a grammar of our own (`parse`): nothing in it is ever executed.
"""
