"""Instrumentations: `base` is the contract, every other file is one library."""
