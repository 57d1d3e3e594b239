"""How much a build may take."""

from dataclasses import dataclass, field

from policy_server.policy.engines.registry import ONNXRUNTIME
from policy_server.sandbox.limits import ProcessLimits

AUTO, CPU = "auto", "cpu"


@dataclass(frozen=True)
class BuildLimits:
    """How much a build may take.

    Attributes:
        unpacked_bytes: Of all members of a model's archive together.
        members: Files and folders of an archive.
        ratio: Unpacked bytes for each packed one, of the whole archive; trained weights hardly
            compress, a zip bomb does.
        memory_bytes: Of the build's processes together, shared memory included.
        disk_bytes: Of all that a build writes: files that it keeps, and temporary ones.
        model_seconds: For each step of a model's build.
        preprocessor_seconds: For each step of the trial of a preprocessor.
        golden_tolerance: Largest difference between what a golden case records and what is found,
            relative where what is recorded exceeds 1.
        isolation: What a preprocessor may take where it serves, and so where it is tried.
        engine: Name of the one that is to run SavedModels, if it can.
        device: Whether ONNX Runtime may run networks on a device: not (CPU), where there is one
            that is faster (AUTO), or so that a report says why it does not (the engine's name).
        device_seconds: A network that takes less for a row is left to the processor: to ask the
            process of the device takes about that.
        device_share: The device runs what takes it at most this part of the processor's time.
    """

    unpacked_bytes: int = 2_000_000_000
    members: int = 10_000
    ratio: int = 200
    memory_bytes: int = 4_000_000_000
    disk_bytes: int = 6_200_000_000
    model_seconds: float = 300.0
    preprocessor_seconds: float = 10.0
    golden_tolerance: float = 0.001
    isolation: ProcessLimits = field(default_factory=ProcessLimits)
    engine: str = ONNXRUNTIME
    device: str = AUTO
    device_seconds: float = 100e-6
    device_share: float = 0.9
