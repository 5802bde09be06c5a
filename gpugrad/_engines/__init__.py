"""Engines: each evaluates signed sums of differentiated fields, and trusts the plans it is given.

An engine is a module with two functions. ``evaluate(outputs, out=None)`` returns one array per
output, where an output is a sequence of `Term`; ``unsupported(outputs)`` says in words why it
can't, or returns None. Only an engine's own module imports its library.
"""
