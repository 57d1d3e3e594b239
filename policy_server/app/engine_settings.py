"""The settings of engines that run elsewhere: in processes of their own, and on other servers."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from policy_server.app.engine_texts import inference_servers, server_url
from policy_server.app.setting import setting
from policy_server.app.setting_texts import count, one_of
from policy_server.policy.engines.registry import CUDA, ONNXRUNTIME, TENSORFLOW_SERVING
from policy_server.policy.engines.servers import CUDA_PROVIDER, Device, EngineServers
from policy_server.proving.limits import AUTO, CPU
from policy_server.sandbox.model_server import ModelServer, device_kind

PROGRAM = "tensorflow_model_server"
DEVICES = (AUTO, CPU, CUDA)


@dataclass(frozen=True)
class EngineSettings:
    """The settings of engines that run elsewhere."""

    engine: str = setting(
        "POLICY_SERVER_ENGINE",
        one_of(ONNXRUNTIME, TENSORFLOW_SERVING),
        ONNXRUNTIME,
        "What runs SavedModels that are uploaded from now on, where it can",
    )
    tensorflow_model_server: str = setting(
        "POLICY_SERVER_TENSORFLOW_MODEL_SERVER",
        str,
        PROGRAM,
        "The program of TensorFlow Serving, which is started: a name on the PATH, or a path",
    )
    tensorflow_serving_port: int = setting(
        "POLICY_SERVER_TENSORFLOW_SERVING_PORT",
        count(0, 65_535),
        0,
        "Where that program listens; 0 takes a free port",
    )
    tensorflow_serving_url: str = setting(
        "POLICY_SERVER_TENSORFLOW_SERVING_URL",
        server_url,
        "",
        "A TensorFlow Serving that runs already; set: none is started",
    )
    device: str = setting(
        "POLICY_SERVER_DEVICE",
        one_of(*DEVICES),
        AUTO,
        "Where ONNX Runtime runs networks: `cuda` and `auto` take the device where it is faster",
    )
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

    def engine_servers(self, base_path: Path) -> EngineServers:
        """The servers that run networks for this one.

        Args:
            base_path: Below which lies what they are told.
        """
        known: Mapping[str, str] = dict(self.inference_servers)
        tensorflow = None
        if self.engine == TENSORFLOW_SERVING:
            program, port = self.tensorflow_model_server, self.tensorflow_serving_port
            tensorflow = ModelServer(base_path, program, self.tensorflow_serving_url, port)
        device = None
        if self.device != CPU:
            process = ModelServer(base_path, sys.executable, kind=device_kind(CUDA_PROVIDER))
            device = Device(process, CUDA_PROVIDER, required=self.device == CUDA)
        return EngineServers(
            self.engine_seconds, inference=known, tensorflow=tensorflow, device=device
        )
