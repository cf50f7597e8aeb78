"""Helpers shared by the tests: sample files and folders, synthetic data, and calls of the command line."""

from support import typechecking as typechecking  # jaxtyping's import hook accesses it as an attribute
