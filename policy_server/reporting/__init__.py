"""A report about a version, as one file of HTML that needs nothing else."""
