"""Immutable versions on disk, and which one is active."""
