"""What becomes of spans, and of the program, when things go wrong: `python -m benchmarks.reliability`."""
