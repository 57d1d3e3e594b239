"""Readers of model files: zips, ONNX, PyTorch's weights, and files of kinds that are not served."""

import io
import shutil
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
from onnx import TensorProto, helper

from policy_server.errors import UploadRejected
from policy_server.proving.archive import sound_zip, unpack_saved_model
from policy_server.proving.foreign.stable_baselines3 import advice, read_saved
from policy_server.proving.formats import refuse_foreign_file
from policy_server.proving.limits import BuildLimits
from policy_server.proving.onnx_file import embed_weights, read_onnx, value_words
from policy_server.proving.pickled_tensors import UnreadableWeights
from policy_server.proving.pytorch_weights import read_weights
from policy_server.proving.readers.registry import read_marks
from policy_server.proving.stable_baselines3_layers import UnknownNetwork
from policy_server.proving.stable_baselines3_network import write_network
from policy_server.proving.stable_baselines3_settings import UnreadableSettings, read_settings
from tests.fuzz.target import Target
from tests.support.checkout import ROOT
from tests.support.networks import linear_onnx

FOLDER = TemporaryDirectory(prefix="fuzz-")
GROUND = Path(FOLDER.name)
CASE = GROUND / "case"
LIMITS = BuildLimits(unpacked_bytes=2_000_000)
ZIPS = sorted((ROOT / "tests/files/stable_baselines3").glob("*.zip"))


def archive(content: bytes) -> bool:
    """A zip is unpacked into its folder and nowhere else, and to no more than the limit."""
    CASE.write_bytes(content)
    folder = GROUND / "unpacked" / "model"
    shutil.rmtree(folder.parent, ignore_errors=True)
    folder.mkdir(parents=True)
    before = {path.name for path in GROUND.iterdir()}
    try:
        unpack_saved_model(CASE, folder, LIMITS)
    except UploadRejected:
        return False
    finally:
        assert {path.name for path in GROUND.iterdir()} == before
        assert [path.name for path in folder.parent.iterdir()] == ["model"]
        files = [path for path in folder.rglob("*") if not path.is_dir()]
        assert not any(path.is_symlink() for path in files)
        assert sum(path.stat().st_size for path in files) <= LIMITS.unpacked_bytes
    return True


def onnx_file(content: bytes) -> bool:
    """An ONNX file that is read has no weights elsewhere, and says what it is."""
    CASE.write_bytes(content)
    try:
        CASE.write_bytes(embed_weights(CASE))
        model = read_onnx(CASE)
        for value in (*model.graph.input, *model.graph.output):
            value_words(value)
    except UploadRejected:
        return False
    return True


def foreign_file(content: bytes) -> bool:
    """A file of any kind is refused in words, or left to the readers."""
    CASE.write_bytes(content)
    marks = read_marks(CASE)
    try:
        refuse_foreign_file(marks.head)
        if marks.members:
            with sound_zip(CASE, LIMITS) as opened:
                for path in opened.members:
                    opened.read(path)
    except UploadRejected:
        return False
    return True


def weights(content: bytes) -> bool:
    """Weights are arrays by names, and no code of their pickle runs."""
    try:
        arrays = read_weights(content)
    except UnreadableWeights:
        return False
    assert all(array.dtype != object for array in arrays.values())
    return True


def settings(content: bytes) -> bool:
    """Settings of a zip are read, or what it is can be told."""
    told = advice(read_saved(content))
    assert told.strip()
    try:
        write_network(WEIGHTS, read_settings(content), GROUND / "policy.onnx")
    except (UnreadableSettings, UnknownNetwork):
        return False
    return True


def member(path: Path, name: str) -> bytes:
    """The content of a member of a zip."""
    with zipfile.ZipFile(path) as opened:
        return opened.read(name)


def packed(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return buffer.getvalue()


def weights_beside() -> bytes:
    """An ONNX file that names another file for its weights."""
    model = onnx.ModelProto.FromString(linear_onnx(3, 2))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "case"), ("offset", "0"), ("length", "24")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return bytes(model.SerializeToString())


def branching() -> bytes:
    """An ONNX file with a subgraph, an attribute of each kind and a function's domain."""
    number = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    constant = helper.make_tensor("value", TensorProto.FLOAT, [1], [1.0])
    branch = helper.make_graph(
        [helper.make_node("Constant", [], ["y"], value=constant)], "branch", [], [number]
    )
    node = helper.make_node("If", ["which"], ["logits"], then_branch=branch, else_branch=branch)
    graph = helper.make_graph(
        [node],
        "policy",
        [helper.make_tensor_value_info("which", TensorProto.BOOL, [1])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {"action_scale": "0.5,0.5", "joint_names": "a,b"})
    return bytes(model.SerializeToString())


WEIGHTS = read_weights(member(ZIPS[0], "policy.pth"))
MODEL = {"model/saved_model.pb": b"\x08\x01", "model/variables/variables.index": b"index"}
PICKLES = {path.stem: member(path, "policy.pth") for path in ZIPS[:6]}
DATA = {path.stem: member(path, "data") for path in ZIPS}
TARGETS = {
    "archive": Target(
        archive,
        {
            "model": packed(MODEL),
            "stored": packed(MODEL, zipfile.ZIP_STORED),
            "beside": packed({**MODEL, "__MACOSX/saved_model.pb": b"", "note.txt": b"x" * 99}),
            "outside": packed({**MODEL, "../evil": b"x", "/evil": b"y", "C:\\evil": b"z"}),
        },
        ("PK\\x01\\x02", "PK\\x03\\x04", "PK\\x05\\x06", "saved_model.pb", "../", "\\\\"),
        share=10,
    ),
    "onnx": Target(
        onnx_file,
        {"linear": linear_onnx(3, 2), "beside": weights_beside(), "branching": branching()},
        ("location", "offset", "length", "If", "Loop", "MatMul", "../case"),
        share=10,
    ),
    "foreign": Target(
        foreign_file,
        {"zip": packed({"a": b"b"}), "text": b'{"message": "none"}', "pickle": b"\x80\x04N."},
        ("version https://git-lfs", "ustar", "Placeholder", "stable_baselines3", "modelTopology"),
        share=5,
        most_bytes=1024,
    ),
    "weights": Target(
        weights,
        PICKLES,
        ("_rebuild_tensor_v2", "FloatStorage", "cpu", "OrderedDict", "ctorch\\x0a", "cposix\\x0a"),
        share=5,
        most_bytes=65_536,
    ),
    "settings": Target(
        settings,
        DATA,
        ("Discrete", "Box", "nvec", "activation_fn", "inf", "...", "net_arch", "use_sde"),
        share=5,
        most_bytes=65_536,
    ),
}
