"""Example policies, each trained by its own script: `python -m examples.<name>.train`."""
