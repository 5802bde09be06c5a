"""Compiled code: a program for each kind of call, written in LLVM's language."""
