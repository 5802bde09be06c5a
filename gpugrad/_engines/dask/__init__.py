"""Lazy arrays: a graph of tasks, each evaluated by another engine."""
