"""The way out of training: what a framework trained becomes a folder that `publish` takes.

These files run in training environments, where this server is not installed. A file imports NumPy,
its framework and files of this room; `script.py`, which makes one file of them, stays here.
"""
