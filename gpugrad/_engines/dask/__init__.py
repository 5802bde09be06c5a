"""The engine for lazy arrays: a graph (`graph`) of tasks (`tasks`), a few for each block.

A task evaluates a block by whichever engine suits the block.
"""
