"""Zips without a SavedModel: what each is, by the names of its members."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from policy_server.proving.foreign import pytorch, stable_baselines, stable_baselines3
from policy_server.proving.foreign.exports import ONNX, SAVED_MODEL
from policy_server.resources import COMMAND

Members = Mapping[PurePosixPath, zipfile.ZipInfo]
Read = Callable[[str], bytes]
"""The content of the member of a name, up to a bound; empty if there is none."""

READ_BYTES = 50_000_000
"""Of one member; a Stable-Baselines3 zip's `data` holds the last observations as well."""
RLLIB = (
    "a checkpoint of RLlib, which holds pickles and no network that can be run alone. Load it "
    "where it was trained. TensorFlow: `Policy.from_checkpoint(folder).export_model(folder)`, "
    "zipped. Torch, old API stack: `policy.export_model(folder, onnx=17)`, which writes "
    "model.onnx, whose outputs model.yaml tells (`output:` and `reads:`)."
)
RLLIB_NEW = (
    "a checkpoint of RLlib's new API stack (an RLModule), which holds weights without a network. "
    "Load it where it was trained and export as ONNX what it decides by. PPO, APPO, IMPALA: the "
    "inputs of its distribution as `action_dist_inputs`, as below. DQN: the values of its actions "
    "as `q_values`. SAC: the deterministic action, tanh of the first half of these inputs, scaled "
    "to its bounds, as `actions` with the line `reads: actions` in model.yaml.\n\n"
    "import torch\n"
    "from ray.rllib.core.rl_module.rl_module import RLModule\n\n"
    "class Network(torch.nn.Module):\n"
    "    def __init__(self, module):\n"
    "        super().__init__()\n"
    "        self.module = module\n\n"
    "    def forward(self, obs):\n"
    "        return self.module.forward_inference({'obs': obs})['action_dist_inputs']\n\n"
    "network = Network(RLModule.from_checkpoint(MODULE_FOLDER)).eval()\n"
    "torch.onnx.export(network, torch.zeros(2, NUMBER_OF_FEATURES), 'policy.onnx', "
    "input_names=['obs'],\n"
    "                  output_names=['action_dist_inputs'], dynamic_axes={'obs': {0: 'batch'}},\n"
    "                  external_data=False)"
)
KERAS = f"an unpacked .keras file. Upload the file itself, as Keras wrote it. {SAVED_MODEL}."
COREML = f"a Core ML package (.mlpackage). Export the network it was made from as {ONNX}."
OPENVINO = f"OpenVINO's .xml and .bin. Export the network they were made from as {ONNX}."
TENSORFLOW_CHECKPOINT = (
    "a TensorFlow checkpoint (.index, .data), which holds weights without a network. Load it where "
    f"it was trained. {SAVED_MODEL}."
)
FROZEN = f"a TensorFlow graph alone (.pb), without signatures. {SAVED_MODEL}."
FROM_JAX = (
    "which holds weights without a network. Export the function of the policy as a SavedModel "
    "(`jax2tf.convert` and `tf.saved_model.save`), zipped."
)
ORBAX = f"a checkpoint of JAX (Orbax), {FROM_JAX}"
NAMES = {
    "module_state.pkl": RLLIB_NEW,
    "module_state.msgpack": RLLIB_NEW,
    "rllib_checkpoint.json": RLLIB,
    "algorithm_state.pkl": RLLIB,
    "policy_state.pkl": RLLIB,
    "model.weights.h5": KERAS,
    "model.mlmodel": COREML,
    "_CHECKPOINT_METADATA": ORBAX,
    "manifest.ocdbt": ORBAX,
    "[Content_Types].xml": f"a document of an office. {SAVED_MODEL}, or {ONNX}.",
    "MANIFEST.MF": f"a Java archive. {SAVED_MODEL}, or {ONNX}.",
}
"""What a zip is that has a member of a name, the surest first."""
ENDINGS = {
    ".index": TENSORFLOW_CHECKPOINT,
    ".xml": OPENVINO,
    ".tflite": "it holds TensorFlow Lite (.tflite). Upload the .tflite file itself.",
    ".pb": FROZEN,
    ".npy": f"NumPy's .npz, arrays without a network. {SAVED_MODEL}, or {ONNX}.",
}
ALONE = {".pt", ".pth", ".pt2", ".h5", ".keras", ".nn", ".sentis", ".safetensors", ".pkl", ".zip"}
"""Files that are told apart when they are uploaded themselves."""


def foreign_zip(file: zipfile.ZipFile, members: Members) -> str:
    """What a zip without a SavedModel is, and what to upload instead: the end of a sentence."""
    names = {path.name for path in members}

    def read(name: str) -> bytes:
        info = next((info for path, info in members.items() if path.name == name), None)
        if info is None:
            return b""
        with file.open(info) as member:
            return member.read(READ_BYTES)

    if {"data", "policy.pth"} <= names:
        saved = stable_baselines3.read_saved(read("data"))
        return f"it is {stable_baselines3.advice(saved)}"
    if {"data", "parameters"} <= names:
        return f"it is {stable_baselines.advice(read('data'))}"
    if "archive_format" in names:
        return f"it is {pytorch.exported_program()}"
    if "data.pkl" in names:
        if "constants.pkl" in names:
            return f"it is {pytorch.torchscript()}"
        return f"it is {pytorch.pickled(read('data.pkl'))}"
    for name, what in NAMES.items():
        if name in names:
            return f"it is {what}"
    return _by_endings(members)


def _by_endings(members: Members) -> str:
    endings = {path.suffix: path for path in members}
    if ".onnx" in endings:
        return (
            "it holds ONNX. Upload the .onnx file itself; with weights in a file beside it, put "
            f"both into a folder and run `{COMMAND} publish FOLDER --url ...`."
        )
    for ending, what in ENDINGS.items():
        if ending in endings:
            return what if what.startswith("it ") else f"it is {what}"
    for ending in sorted(ALONE & set(endings)):
        return (
            f"it holds {str(endings[ending])[:200]!r}. Upload that file itself: the answer says "
            "which export serves it."
        )
    return f"it is no SavedModel. {SAVED_MODEL}, or {ONNX}."
