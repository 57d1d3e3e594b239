"""A benchmark of this server beside others: `python -m benchmarks`."""
