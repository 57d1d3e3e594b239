"""How many connections a process can keep: each of them is a descriptor."""

import logging
import resource
from dataclasses import replace

from policy_server.web.patience import ConnectionLimits

SPARE = 64
"""Descriptors for files, pipes and listeners."""
LEAST_SHARE = 4
"""Of few descriptors at least a quarter are for connections."""

logger = logging.getLogger(__name__)


def affordable(limits: ConnectionLimits) -> ConnectionLimits:
    """The same limits, with no more connections than there are descriptors for.

    A process that has none left accepts nobody. The soft limit is raised as far
    as is needed and allowed.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.connections + SPARE
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    most = max(soft - SPARE, soft // LEAST_SHARE)
    if most >= limits.connections:
        return limits
    logger.warning(
        "no more than %d connections at a time, not %d: there are %d descriptors; raise the limit "
        "(ulimit -n, LimitNOFILE of systemd)",
        most,
        limits.connections,
        soft,
    )
    return replace(limits, connections=most)
