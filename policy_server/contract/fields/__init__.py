"""The types that a field of an observation may have, one file each, and their registry."""
