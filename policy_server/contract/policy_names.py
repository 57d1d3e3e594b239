"""How the policies of one server are called, and below which paths their APIs lie."""

import re

DEFAULT = "default"
"""The one whose API is `/api`."""
ROOT = "/policies"
"""What the paths of all others begin with."""
PATTERN = r"[a-z0-9][a-z0-9_-]{0,62}"
"""What a name can be: a label of metrics, a folder on every disk, a part of a path."""
RULE = "A policy is called by up to 63 of a-z, 0-9, - and _, of which - and _ do not come first"
_NAME = re.compile(PATTERN)


def is_policy_name(text: str) -> bool:
    """Whether a policy beside the default one can be called so."""
    return _NAME.fullmatch(text) is not None and text != DEFAULT


def path_of(name: str) -> str:
    """What the paths of a policy begin with, its API's `/api` and others: `/policies/NAME`."""
    return f"{ROOT}/{name}"
