"""Keras files (.keras, .h5) of layers that are known: exported as a SavedModel, which is read."""

import warnings
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

from policy_server.errors import UploadRejected
from policy_server.policy.saved_model import UnusableModel, import_tensorflow
from policy_server.proving.archive import sound_zip
from policy_server.proving.converted import Converted
from policy_server.proving.keras_file import REMEDY, check_configuration, check_numbers
from policy_server.proving.readers.reader import Converter, Marks, ModelUpload

HDF5 = b"\x89HDF"
CONFIGURATION, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
WEIGHTS_ALONE = (
    "The model is an HDF5 file (.h5) without the network that its weights belong to. Make the "
    "network where it was trained, load them (`model.load_weights(file)`), and export it as a zip "
    "of its SavedModel: `model.export('saved_model')`."
)


def recognises(marks: Marks) -> bool:
    """HDF5 has a mark of its own, a .keras file two members."""
    return marks.head.startswith(HDF5) or {CONFIGURATION, WEIGHTS} <= marks.members


def _convert(upload: ModelUpload, folder: Path) -> Converted:
    """Load the file once it is known to hold nothing but layers, and export what it is."""
    upload.progress("looking at the Keras file")
    with upload.file.open("rb") as file:
        hdf5 = file.read(len(HDF5)) == HDF5
    checked = folder / ("policy.h5" if hdf5 else "policy.keras")
    if hdf5:
        _check_hdf5(upload)
        checked.symlink_to(upload.file.absolute())
    else:
        _repack(upload, folder, checked)
    upload.progress("loading TensorFlow and the model")
    saved = folder / "saved_model"
    _export(checked, saved)
    packed = folder / "saved_model.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(saved.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return Converted(packed, upload.description, "exported from the Keras file")


def _check_hdf5(upload: ModelUpload) -> None:
    configuration = check_numbers(upload.file, upload.limits.unpacked_bytes)
    if configuration is None:
        raise UploadRejected(WEIGHTS_ALONE)
    check_configuration(configuration)


def _repack(upload: ModelUpload, folder: Path, target: Path) -> None:
    """Write those members of a .keras file that were checked, and no others."""
    names = [PurePosixPath(name) for name in (CONFIGURATION, WEIGHTS, METADATA)]
    with sound_zip(upload.file, upload.limits) as opened:
        members = {name: opened.read(name) for name in names if name in opened.members}
    check_configuration(members[names[0]])
    weights = folder / WEIGHTS
    weights.write_bytes(members[names[1]])
    check_numbers(weights, upload.limits.unpacked_bytes)
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in members.items():
            archive.writestr(str(name), content)


def _export(file: Path, folder: Path) -> None:
    """Export a model as a SavedModel whose outputs are called as its layers are."""
    keras = import_tensorflow().keras
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Keras, on releases of NumPy and of itself
            model = keras.models.load_model(str(file), compile=False, safe_mode=True)
            _write(keras, model, folder)
    except Exception as error:  # whatever Keras makes of a configuration that contradicts itself
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UnusableModel(f"Keras cannot load it ({reason[:300]}). {REMEDY}") from error


def _write(keras: Any, model: Any, folder: Path) -> None:
    # A Sequential has one output, that of its last layer.
    names = list(getattr(model, "output_names", None) or [model.layers[-1].name])

    def serve(*inputs: Any) -> dict[str, Any]:
        found = model(inputs[0] if len(inputs) == 1 else list(inputs), training=False)
        return dict(zip(names, found if isinstance(found, list) else [found], strict=True))

    archive = keras.export.ExportArchive()
    archive.track(model)
    specs = [
        keras.InputSpec(shape=each.shape, dtype=each.dtype, name=each.name) for each in model.inputs
    ]
    archive.add_endpoint("serving_default", serve, specs)
    archive.write_out(str(folder), verbose=False)


KERAS = Converter(recognises, _convert)
