"""Families of distributions: one file each, from a network's output to actions.

Each has its mathematics for a batch and for one row, its answers, what golden cases may record of
it, and what it is recognised by. `family`, `numbered`, `real`, `softmax` and `recognition` are
shared by several; all others are imported by the registry alone.
"""
