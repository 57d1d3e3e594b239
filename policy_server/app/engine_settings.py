"""The settings of engines that run elsewhere: in processes of their own, and on other servers."""

from collections.abc import Mapping
from dataclasses import dataclass

from policy_server.app.engine_texts import inference_servers
from policy_server.app.setting import setting
from policy_server.app.setting_texts import count
from policy_server.policy.engines.servers import EngineServers


@dataclass(frozen=True)
class EngineSettings:
    """The settings of engines that run elsewhere."""

    engine_seconds: int = setting(
        "POLICY_SERVER_ENGINE_SECONDS",
        count(1, 3_600),
        30,
        "Most for one run of a network in a process of its own or on another server",
    )
    inference_servers: tuple[tuple[str, str], ...] = setting(
        "POLICY_SERVER_INFERENCE_SERVERS",
        inference_servers,
        (),
        "Servers of the Open Inference Protocol that uploads may name",
    )

    @property
    def engine_servers(self) -> EngineServers:
        """The servers that run networks for this one."""
        known: Mapping[str, str] = dict(self.inference_servers)
        return EngineServers(self.engine_seconds, known)
