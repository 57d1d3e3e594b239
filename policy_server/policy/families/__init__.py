"""Families of distributions: one file each, from a network's output to actions.

Each has its mathematics for a batch and for one row, what golden cases may record of it, and where
it has one, its probability or density.
"""
