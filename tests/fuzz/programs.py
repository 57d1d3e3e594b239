"""Readers of PyTorch's programs, and of what exporters write beside a model."""

import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import numpy as np

from policy_server.errors import UploadRejected
from policy_server.proving.leapp import contract_beside
from policy_server.proving.leapp_memory import initial_values
from policy_server.proving.pickled_tensors import UnreadableWeights
from policy_server.proving.tf_agents import FILE as SPECS
from policy_server.proving.tf_agents import read_specs
from policy_server.proving.torch_programs.exported_program import ExportedProgram
from policy_server.proving.torch_programs.program import Source
from policy_server.proving.torch_programs.stateful import write_stateful
from policy_server.proving.torch_programs.torchscript_archive import read_script
from policy_server.proving.torch_programs.torchscript_state import StatefulScript
from policy_server.proving.torch_programs.traced import UnknownProgram
from tests.fuzz.target import Target
from tests.support.checkout import ROOT

FILES = ROOT / "tests" / "files"
FOLDER = TemporaryDirectory(prefix="fuzz-programs-")
GROUND = Path(FOLDER.name)
WIDTH = 6
Members = dict[PurePosixPath, bytes]
SPEC = (
    'dict_value { fields { key: "collect_data_spec" value { named_tuple_value { name: "T" '
    'values { key: "observation" value { tensor_spec_value { name: "o" shape { dim { size: 3 } } '
    'dtype: DT_FLOAT } } } values { key: "action" value { bounded_tensor_spec_value { name: "a" '
    "shape { dim { size: 1 } } dtype: DT_FLOAT minimum { dtype: DT_FLOAT float_val: -1.0 } "
    'maximum { dtype: DT_FLOAT tensor_content: "\\000\\000\\200?" } } } } } } } }'
)


def members_of(name: str) -> Members:
    """The members of a file that PyTorch made."""
    with zipfile.ZipFile(FILES / "torch" / name) as archive:
        return {PurePosixPath(each): archive.read(each) for each in archive.namelist()}


def place_of(members: Members, ending: str) -> PurePosixPath:
    """The member whose path ends so."""
    return next(path for path in members if str(path).endswith(ending))


def script(members: Members) -> None:
    """Read a program of TorchScript, and write it."""
    read = read_script(members)
    source = Source("x", np.float32, (WIDTH,))
    write_stateful(StatefulScript(read.program), [source], read.arrays, GROUND / "policy.onnx")


def remembering(members: Members) -> None:
    """The same of one that keeps a state, in one row."""
    read = read_script(members)
    source = Source("x", np.float32, (WIDTH // 2,), 1)
    write_stateful(StatefulScript(read.program), [source], read.arrays, GROUND / "policy.onnx")


def exported(members: Members) -> None:
    """Read a program of torch.export, and write it."""
    program = ExportedProgram(members)
    write_stateful(program, program.sources, program.arrays, GROUND / "policy.onnx")


def of_member(
    file: str, ending: str, read: Callable[[Members], None]
) -> tuple[Callable[[bytes], bool], bytes]:
    """A reader of one member among the others, and the member as PyTorch wrote it."""
    whole = members_of(file)
    place = place_of(whole, ending)

    def run(content: bytes) -> bool:
        try:
            read({**whole, place: content})
        except (UnknownProgram, UnreadableWeights, UploadRejected):
            return False
        return True

    return run, whole[place]


def contract(content: bytes) -> bool:
    """A contract of LEAPP is read, or is none."""
    (GROUND / "robot.yaml").write_bytes(content)
    (GROUND / "policy.onnx").write_bytes((FILES / "leapp" / "policy.onnx").read_bytes())
    try:
        return contract_beside(GROUND / "policy.onnx") is not None
    except UploadRejected:
        return False


def first_values(content: bytes) -> bool:
    """A file of safetensors is read, or refused."""
    (GROUND / "first.safetensors").write_bytes(content)
    stated = {"initial_values": "first.safetensors"}
    try:
        return bool(initial_values(GROUND / "robot.yaml", stated, "walk"))
    except UploadRejected:
        return False


def specs(content: bytes) -> bool:
    """Specs of TF-Agents are read, or say nothing."""
    (GROUND / SPECS).write_bytes(content)
    return bool(read_specs(GROUND).metadata)


CODE, CODE_SEED = of_member("isaac_lab.pt", "activation.py", script)
OBJECTS, OBJECTS_SEED = of_member("isaac_lab.pt", "/data.pkl", script)
GRAPH, GRAPH_SEED = of_member("cleanrl.pt2", "/models/model.json", exported)
KEPT, KEPT_SEED = of_member("memory_kept.pt", "__torch__.py", remembering)
BUFFERS, BUFFERS_SEED = of_member("memory_cells.pt2", "/models/model.json", exported)
VALUES = (
    b'\x50\x00\x00\x00\x00\x00\x00\x00{"walk/h_in": {"dtype": "F32", "shape": [1, 1, 2], '
    b'"data_offsets": [0, 8]}}     \x00\x00\x80\x3f\x00\x00\x00\xbf'
)
CONFIG, CONFIG_SEED = of_member("cleanrl.pt2", "/model_weights_config.json", exported)
TARGETS = {
    "script_code": Target(
        CODE,
        {"elu": CODE_SEED},
        (
            "torch.add(",
            "torch.slice(",
            "self.",
            "if ",
            "while ",
            "CONSTANTS.c0",
            "[-1]",
            "annotate(",
        ),
    ),
    "script_state": Target(KEPT, {"gru": KEPT_SEED}, ("self.state", "__buffers__", "copy_(")),
    "script_objects": Target(OBJECTS, {"isaac_lab": OBJECTS_SEED}),
    "exported_graph": Target(
        GRAPH, {"cleanrl": GRAPH_SEED}, ("as_int", "as_tensor", "aten.", "null"), most_bytes=20_000
    ),
    "exported_buffers": Target(
        BUFFERS, {"cells": BUFFERS_SEED}, ("buffer_mutation", "as_tensor"), most_bytes=60_000
    ),
    "exported_weights": Target(CONFIG, {"cleanrl": CONFIG_SEED}, ("as_int", "strides")),
    "leapp": Target(contract, {"robot": (FILES / "leapp" / "robot.yaml").read_bytes()}),
    "leapp_values": Target(first_values, {"one": VALUES}, ("F32", "data_offsets", "walk/")),
    "tf_agents": Target(specs, {"one": SPEC.encode()}, ("value {", "shape {", "dim {", "DT_")),
}
