"""Makes the files beside it, and what PyTorch itself computes by them (expected.npz).

Run where torch 2.15, stable-baselines3 2.9.2 and rsl-rl-lib 5.5.1 are installed: `python -m
tests.files.torch.make`.
The operators of PyTorch that are read are all in one of them. `plain_old.pt` and `plain_old.pt2`
are from `policies.write_old`, run with torch 2.6.
"""

import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.files.torch import operators, policies

FOLDER = Path(__file__).parent
ROWS = 7
ANY_ROWS = torch.export.Dim("rows")


def saved(name: str, module: Any, example: Any, ways: str) -> None:
    """Write a module in some ways: scripted, traced, frozen, exported, decomposed; at one row."""
    if "s" in ways:
        torch.jit.script(module).save(FOLDER / f"{name}.pt")
    if "t" in ways:
        torch.jit.trace(module, example, strict=False).save(FOLDER / f"{name}_traced.pt")
    if "f" in ways:
        torch.jit.freeze(torch.jit.script(module)).save(FOLDER / f"{name}_frozen.pt")
    for way, ending in (("e", ""), ("d", "_decomposed"), ("1", "_one_row")):
        if way in ways:
            open_axis = None if way == "1" else ({0: ANY_ROWS},)
            given = example[:1] if way == "1" else example
            program = torch.export.export(module, (given,), dynamic_shapes=open_axis)
            program = program.run_decompositions() if way == "d" else program
            torch.export.save(program, FOLDER / f"{name}{ending}.pt2")
    if name in operators.CASES:
        for file in FOLDER.glob(f"{name}*.pt*"):
            pack(file)


def pack(file: Path) -> None:
    """Make a file smaller: without the places of its code in its source, and compressed."""
    with tempfile.TemporaryDirectory() as folder:
        smaller = Path(folder) / file.name
        with zipfile.ZipFile(file) as old, zipfile.ZipFile(smaller, "w") as new:
            for member in old.infolist():
                if not member.filename.endswith(".debug_pkl"):
                    content = old.read(member)
                    new.writestr(member.filename, content, compress_type=zipfile.ZIP_DEFLATED)
        shutil.copyfile(smaller, file)


def main() -> None:
    """Make every file, with weights at random."""
    expected: dict[str, Any] = {}
    for number, (name, (make, shape, ways)) in enumerate(
        {**operators.CASES, **policies.CASES}.items()
    ):
        torch.manual_seed(number)
        module = make().eval()
        example = torch.randn((ROWS, *shape))
        saved(name, module, example, ways)
        with torch.no_grad():
            found = module(example) if ways else {}
        if isinstance(found, torch.Tensor):
            found = {"output": found}
        elif not isinstance(found, dict):
            found = {f"output_{place}": each for place, each in enumerate(found)}
        expected[f"{name}/features"] = example.numpy().astype(np.float32)
        expected |= {f"{name}/{what}": each.numpy() for what, each in found.items()}
    np.savez_compressed(FOLDER / "expected.npz", **expected)
    policies.write_others(FOLDER)


if __name__ == "__main__":
    main()
