"""Engines: what runs a network, one file each, and the registry that loads them by name."""
