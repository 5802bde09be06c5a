"""Reliability in figures: what was tried to make gpugrad wrong, how often, and how it went."""
