"""Keras files, checked before Keras reads them: layers that are known, and numbers that are theirs.

Keras makes what a file's configuration names. `safe_mode` keeps it from code that lies in the
file, not from classes that load something from elsewhere: only layers that compute are let through.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from policy_server.errors import UploadRejected
from policy_server.policy.saved_model import UnusableModel

CONFIG_BYTES = 10_000_000
MODULES = (
    *("keras", "keras.layers", "keras.models", "keras.initializers", "keras.regularizers"),
    *("keras.constraints", "keras.src.models.functional", "keras.src.models.sequential"),
    *("keras.src.ops.numpy", "keras.src.ops.nn", "keras.src.ops.core"),
)
MODELS = "Functional Model Sequential"
LAYERS = (
    "InputLayer Dense EinsumDense Activation ReLU LeakyReLU PReLU ELU Softmax Flatten Reshape "
    "Permute RepeatVector Concatenate Add Subtract Multiply Average Maximum Minimum Dot Dropout "
    "SpatialDropout1D SpatialDropout2D AlphaDropout GaussianDropout GaussianNoise "
    "ActivityRegularization BatchNormalization LayerNormalization GroupNormalization "
    "UnitNormalization Normalization Rescaling Conv1D Conv2D Conv3D SeparableConv1D "
    "SeparableConv2D DepthwiseConv1D DepthwiseConv2D Conv2DTranspose MaxPooling1D MaxPooling2D "
    "AveragePooling1D AveragePooling2D GlobalMaxPooling1D GlobalMaxPooling2D "
    "GlobalAveragePooling1D GlobalAveragePooling2D ZeroPadding1D ZeroPadding2D Cropping1D "
    "Cropping2D UpSampling1D UpSampling2D Embedding LSTM GRU SimpleRNN LSTMCell GRUCell "
    "SimpleRNNCell RNN Bidirectional TimeDistributed Masking MultiHeadAttention"
)
OPERATIONS = (
    "Divide TrueDivide Negative Absolute Abs Exp Log Sqrt Square Power Tanh Sin Cos Clip Sigmoid "
    "Softplus Relu GetItem ExpandDims Squeeze Transpose Stack Sum Mean Max Min Argmax Where "
    "Silu Gelu Elu Cast"
)
BESIDE = (
    "DTypePolicy Policy Zeros Ones Constant RandomNormal RandomUniform TruncatedNormal "
    "VarianceScaling GlorotUniform GlorotNormal HeUniform HeNormal LecunUniform LecunNormal "
    "Orthogonal OrthogonalInitializer Identity L1 L2 L1L2 OrthogonalRegularizer MaxNorm NonNeg "
    "UnitNorm MinMaxNorm __keras_tensor__ __numpy__ __tensor__ __tuple__ __slice__ __ellipsis__"
)
KNOWN = frozenset(f"{MODELS} {LAYERS} {OPERATIONS} {BESIDE}".split())
"""Classes that compute with the numbers of a file, and load nothing."""
REMEDY = (
    "Export it where it was trained, as a zip of its SavedModel: `model.export('saved_model')`."
)


def check_configuration(text: bytes | str) -> None:
    """Raise UploadRejected where a configuration names anything but layers that are known.

    Args:
        text: `config.json` of a .keras file, or `model_config` of an HDF5 file.
    """
    if len(text) > CONFIG_BYTES:
        raise UploadRejected(f"The Keras file's configuration has more than {CONFIG_BYTES} bytes.")
    try:
        configuration = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UploadRejected("The Keras file's configuration is no sound JSON.") from error
    for each in _named(configuration):
        name, module = str(each["class_name"]), each.get("module")
        if name in ("Lambda", "__lambda__"):
            raise UploadRejected(
                "The Keras file has a Lambda layer: code of its author, which is not run here. "
                f"{REMEDY}"
            )
        if name not in KNOWN or module not in (None, *MODULES):
            place = f" of `{str(module)[:100]}`" if module else ""
            raise UploadRejected(
                f"The Keras file has a `{name[:100]}`{place}, which is none of the layers "
                f"that are read. {REMEDY}"
            )


def _named(configuration: Any) -> Iterator[Mapping[str, Any]]:
    """Every object of a configuration that is to be made, but what only training needs."""
    waiting = [configuration]
    if isinstance(configuration, dict):
        waiting = [value for key, value in configuration.items() if key != "compile_config"]
        if "class_name" in configuration:
            yield configuration
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            waiting += each.values()
            if "class_name" in each:
                yield each
        elif isinstance(each, list):
            waiting += each


def check_numbers(path: Path, most_bytes: int) -> str | None:
    """The configuration in an HDF5 file, if there is one, whose numbers all lie in the file itself.

    Raises:
        UploadRejected: It points to other files, or unpacks to more than that.
        UnusableModel: The package h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise UnusableModel("h5py is not installed here, and a Keras file needs it.") from error
    try:
        with h5py.File(path, "r") as file:
            total = sum(_bytes(h5py, each) for each in _datasets(h5py, file))
            configuration = file.attrs.get("model_config")
    except UploadRejected:
        raise
    except Exception as error:  # h5py's own, of damaged files
        raise UploadRejected(f"The Keras file is damaged: {error}") from error
    if total > most_bytes:
        raise UploadRejected(
            f"The Keras file unpacks to {total} bytes, at most {most_bytes} are unpacked."
        )
    return configuration.decode() if isinstance(configuration, bytes) else configuration


def _datasets(h5py: Any, file: Any) -> Iterator[Any]:
    """All arrays of an HDF5 file, each of which lies in it."""
    waiting, seen = [file], {file}
    while waiting:
        group = waiting.pop()
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise UploadRejected("The Keras file has links, which could name any file.")
            each = group[name]
            if each in seen:
                raise UploadRejected("The Keras file holds one thing in two places.")
            seen.add(each)
            if isinstance(each, h5py.Group):
                waiting.append(each)
            else:
                yield each


def _bytes(h5py: Any, dataset: Any) -> int:
    """How many an array takes."""
    if not isinstance(dataset, h5py.Dataset):
        return 0
    if dataset.external or dataset.is_virtual:
        raise UploadRejected("The Keras file keeps numbers in other files: save it as one.")
    return int(dataset.nbytes)
