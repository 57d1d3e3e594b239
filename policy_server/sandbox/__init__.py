"""Uploaded code in a process of its own, within limits: the same while it is tried and served."""
