"""What people upload where a model is wanted, and the export that would serve."""

from collections.abc import Collection
from pathlib import PurePosixPath

from policy_server.errors import UploadRejected

HEAD_BYTES = 8
"""How much of a file `refuse_foreign_file` wants to see."""

SAVED_MODEL = (
    "Upload a zip of a TensorFlow SavedModel's folder (`tf.saved_model.save`, Keras: "
    "`model.export(folder)`, RLlib: `policy.export_model(folder)`)"
)
ONNX = "ONNX with the logits as output (`torch.onnx.export(..., output_names=['logits'])`)"

FIRST_BYTES = {
    b"\x80": (
        f"a pickle, which runs code of its author when it is loaded. {SAVED_MODEL}, or {ONNX}."
    ),
    b"\x89HDF": f"an HDF5 file (Keras .h5). {SAVED_MODEL}.",
    # A protobuf whose first field is a schema version of 1 and whose second is a graph.
    b"\x08\x01\x12": f"the file saved_model.pb alone. {SAVED_MODEL}.",
    b"\x1f\x8b": f"packed with gzip. {SAVED_MODEL}.",
    b"7z\xbc\xaf": f"packed with 7-Zip. {SAVED_MODEL}.",
    b"Rar!": f"packed with RAR. {SAVED_MODEL}.",
}

MEMBERS = {
    "rllib_checkpoint.json": f"an RLlib checkpoint, which is a pickle. {SAVED_MODEL}.",
    "algorithm_state.pkl": f"an RLlib checkpoint, which is a pickle. {SAVED_MODEL}.",
    "policy.pth": f"a Stable-Baselines3 zip, which holds pickles. Export {ONNX}.",
    "stable_baselines3_version": f"a Stable-Baselines3 zip, which holds pickles. Export {ONNX}.",
    "archive_format": f"a PyTorch .pt2 archive. Export {ONNX}.",
    "data.pkl": f"a PyTorch file (.pt: TorchScript or a pickle). Export {ONNX}.",
    "model.weights.h5": f"a Keras .keras file. {SAVED_MODEL}.",
}
"""Names of members by which a zip that is no SavedModel gives itself away, the surest first."""


def refuse_foreign_file(head: bytes) -> None:
    """Raise UploadRejected if a file's first bytes show a format that is never served."""
    if not head:
        raise UploadRejected(f"The model's file is empty. {SAVED_MODEL}, or {ONNX}.")
    for start, what in FIRST_BYTES.items():
        if head.startswith(start):
            raise UploadRejected(f"The model is {what}")


def foreign_zip(paths: Collection[PurePosixPath]) -> str:
    """What a zip without a SavedModel is, and what to upload instead: the end of a sentence."""
    names = {path.name for path in paths}
    for name, what in MEMBERS.items():
        if name in names:
            return f"it is {what}"
    if any(path.suffix == ".onnx" for path in paths):
        return "it holds ONNX. Upload the .onnx file itself."
    return f"it is no SavedModel. {SAVED_MODEL}."
