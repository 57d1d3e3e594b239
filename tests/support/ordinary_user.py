"""Commands as an ordinary user: limits of threads and processes do not hold for root."""

import os

NOBODY = "65534"
UNKNOWN = "1000650000"
"""As OpenShift chooses them."""
READS_THE_TREE = "+dac_override"
"""The right to read what root's folders hold, where the tests and what they use lie. It is lost in
a namespace of a user's own, so what is read there must be open to all."""


def as_ordinary_user(*command: str) -> list[str]:
    """The command to run instead, if this is root."""
    if os.geteuid() != 0:
        return list(command)
    rights = ["--inh-caps", READS_THE_TREE, "--ambient-caps", READS_THE_TREE]
    user = ["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]
    return ["setpriv", *user, *rights, "--", *command]


def as_user_without_an_entry(*command: str) -> list[str]:
    """The command as a user that no list of users has, in the group 0, without rights of root.

    It is this user by another number, so that it reads the tree.
    """
    return ["unshare", f"--map-user={UNKNOWN}", "--map-group=0", "--", *command]
