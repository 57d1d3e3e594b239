"""Protocols beside the API itself, one file each."""
