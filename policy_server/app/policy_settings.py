"""Settings of the policies beside the default one."""

from dataclasses import dataclass

from policy_server.app import setting_texts
from policy_server.app.setting import setting
from policy_server.serving.policies import PolicyLimits

BYTES_PER_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class PolicySettings:
    """How many policies beside the default one a worker keeps loaded."""

    policies_megabytes: int = setting(
        "POLICY_SERVER_POLICIES_MEGABYTES",
        setting_texts.count(1, 1_000_000),
        1000,
        "Most memory, about, of the policies beside the default one in each worker; the one that "
        "nobody has asked for longest is unloaded, and comes back when it is asked",
    )
    policy_idle_seconds: int = setting(
        "POLICY_SERVER_POLICY_IDLE_SECONDS",
        setting_texts.count(1, 31_536_000),
        900,
        "After which such a policy is unloaded if nobody asks for it",
    )

    @property
    def policy_limits(self) -> PolicyLimits:
        """What they may take of a worker."""
        bytes_ = self.policies_megabytes * BYTES_PER_MEGABYTE
        return PolicyLimits(bytes_, self.policy_idle_seconds)
