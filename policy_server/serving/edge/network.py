"""What a program must know to run the network of a version: names, shapes and types."""

from dataclasses import dataclass
from math import prod
from pathlib import Path

from policy_server.errors import VersionConflict

TYPES = {
    "tensor(float)": ("float", "FLOAT"),
    "tensor(double)": ("double", "DOUBLE"),
    "tensor(uint8)": ("uint8_t", "UINT8"),
    "tensor(int32)": ("int32_t", "INT32"),
    "tensor(int64)": ("int64_t", "INT64"),
}
"""Types of ONNX Runtime: what C calls their numbers, and what ONNX Runtime's header calls them."""


@dataclass(frozen=True)
class Port:
    """An input or an output of a network.

    Attributes:
        name: As the network has it.
        c_type: Of its numbers.
        onnx_type: What ONNX Runtime's header calls that.
        shape: Of one row; empty for an output, which says it itself.
    """

    name: str
    c_type: str
    onnx_type: str
    shape: tuple[int, ...] = ()


def ports_of(network: Path, width: int) -> tuple[Port, Port]:
    """The first input and the first output of a network, which are those that count.

    Args:
        network: The ONNX file.
        width: F, the features that it takes.

    Raises:
        EngineFailed: It cannot be loaded.
        VersionConflict: Its numbers are of a type that C has not, or its shape is open.
    """
    from policy_server.policy.onnx_session import open_session

    session = open_session(network)
    source, target = session.get_inputs()[0], session.get_outputs()[0]
    shape = [size if isinstance(size, int) else -1 for size in source.shape]
    if len(shape) > 1:
        shape[0] = 1
    if shape.count(-1) == 1:
        shape[shape.index(-1)] = width // prod(size for size in shape if size > 0)
    if prod(shape) != width or min(shape) < 1:
        raise VersionConflict(
            f"How the {width} features make the network's input of {source.shape}, it does not say."
        )
    return _port(source.name, source.type, tuple(shape)), _port(target.name, target.type)


def _port(name: str, onnx_type: str, shape: tuple[int, ...] = ()) -> Port:
    if onnx_type not in TYPES:
        raise VersionConflict(
            f"`{name}` of the network is a {onnx_type}, of which C has no numbers: export the "
            "model with float32."
        )
    return Port(name, *TYPES[onnx_type], shape)
