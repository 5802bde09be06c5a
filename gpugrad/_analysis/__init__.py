"""What derivatives are for.

Turning, inflection and critical points; how much noise there is, how large the error is, and which
spacing is best.
"""
