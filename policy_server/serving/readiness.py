"""Whether a server can decide: all of its workers, and each policy; whichever worker is asked."""

from collections import Counter
from typing import Any

from policy_server.contract.policy_names import DEFAULT
from policy_server.errors import NoActivePolicy
from policy_server.serving.live import LivePolicy
from policy_server.serving.shutdown import Shutdown
from policy_server.serving.siblings import Siblings


def readiness(live: LivePolicy, siblings: Siblings, shutdown: Shutdown) -> dict[str, Any]:
    """What the workers of this server decide with.

    Raises:
        NoActivePolicy: None of them can decide.
        Stopping: All of them are about to stop.
    """
    others = siblings.others
    told = Counter(each.version for each in others if each.version is not None)
    faults = [each.fault for each in others if each.fault is not None]
    if not told:
        shutdown.check()
        live.current()
    workers = len(others)
    deciding: Counter[str] = Counter()  # first what is known, then what was told a moment ago
    if not shutdown.begun:
        workers += 1
        if (current := live.loaded) is not None:
            if (fault := current.policy.fault) is not None:
                raise NoActivePolicy(f"Version {current.name} cannot decide at present: {fault}.")
            deciding[current.name] += 1
        own = live.deviation or (None if current is None else current.policy.degraded)
        faults[:0] = [each for each in (own, siblings.told.fault) if each is not None]
    deciding += told
    (version, _), *_ = deciding.most_common()
    policy: dict[str, Any] = {
        "policy": DEFAULT,
        "status": "degraded" if faults else "ok",
        "version": version,
        "workers": {"deciding": deciding.total(), "all": workers},
    }
    if faults:
        policy["detail"] = faults[0]
    overall = {name: value for name, value in policy.items() if name != "policy"}
    return {**overall, "policies": [policy]}
