"""Files and folders that are told by their names, where their content does not tell."""

from collections.abc import Iterable
from pathlib import PurePath

from policy_server.errors import UploadRejected
from policy_server.proving.foreign.exports import ONNX
from policy_server.proving.foreign.zips import NAMES

UNTOLD = {
    ".sentis": (
        "a file of Unity's Sentis. Use the .onnx file that ML-Agents writes "
        "(`results/RUN/BEHAVIOUR.onnx`)."
    ),
    ".engine": f"an engine of TensorRT. Use what it was made from, as {ONNX}.",
    ".plan": f"an engine of TensorRT. Use what it was made from, as {ONNX}.",
    ".trt": f"an engine of TensorRT. Use what it was made from, as {ONNX}.",
    ".bin": f"a file of weights alone, such as OpenVINO's. Export the network as {ONNX}.",
}
"""What a file of an ending is whose first bytes do not tell it."""
MODEL_ENDINGS = (
    *UNTOLD,
    *(".onnx", ".ort", ".zip", ".pt", ".pth", ".pt2", ".jit", ".ckpt", ".cleanrl_model", ".pte"),
    *(".tflite", ".keras", ".h5", ".hdf5", ".pb", ".index", ".safetensors", ".msgpack"),
    *(".pkl", ".pickle", ".joblib", ".nn", ".mlmodel", ".mat", ".gz", ".tgz", ".tar", ".7z"),
    *(".rar", ".xz", ".bz2"),
)
"""Endings of files that may be meant as the model."""


def refuse_foreign_ending(name: str) -> None:
    """Raise UploadRejected if a file's ending is of a kind that only its ending tells."""
    what = UNTOLD.get(PurePath(name).suffix)
    if what is not None:
        raise UploadRejected(f"The model {name} is {what}")


def foreign_folder(names: Iterable[str]) -> str | None:
    """What a folder is that is no policy's, and what to do; the end of a sentence.

    Args:
        names: Of its files.
    """
    found = set(names)
    return next((what for name, what in NAMES.items() if name in found), None)
