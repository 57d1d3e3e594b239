"""Readers of models: one file for each format, and the registry that asks them."""
