"""Makes the file and the contract beside it, as LEAPP 0.7.2 exports a policy: `python make.py`."""

import shutil
import tempfile
from pathlib import Path

import leapp
import torch
from leapp import annotate
from leapp.utils.enums import InputKindEnum, OutputKindEnum
from leapp.utils.tensor_description import TensorSemantics

FOLDER = Path(__file__).parent
JOINTS = [["left_wheel", "right_wheel"]]


def main() -> None:
    """Export a policy of two inputs."""
    torch.manual_seed(0)
    layers = [torch.nn.Linear(5, 8), torch.nn.ELU(), torch.nn.Linear(8, 2)]
    network = torch.nn.Sequential(*layers).eval()
    with tempfile.TemporaryDirectory() as folder:
        leapp.start(name="robot", save_path=folder)
        seen = annotate.input_tensors(
            "policy",
            [
                TensorSemantics(
                    name="position",
                    ref=torch.randn(1, 2),
                    kind=InputKindEnum.JOINT_POSITION,
                    element_names=JOINTS,
                ),
                TensorSemantics(name="command", ref=torch.randn(1, 3)),
            ],
        )
        told = TensorSemantics(
            name="speeds",
            ref=network(torch.cat(list(seen), dim=-1)),
            kind=OutputKindEnum.JOINT_VELOCITY,
            element_names=JOINTS,
        )
        annotate.output_tensors("policy", [told], export_with="onnx")
        leapp.stop()
        leapp.compile_graph()
        for name in ("policy.onnx", "robot.yaml"):
            (made,) = Path(folder).rglob(name)
            shutil.copyfile(made, FOLDER / name)


if __name__ == "__main__":
    main()
