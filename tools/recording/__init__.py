"""The parts of `tools/record_calls.py`: tables of calls, and what their results are as text."""
