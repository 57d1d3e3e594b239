"""Policies with memory, and what PyTorch itself gives in episodes of them (memory.npz).

`python -m tests.files.torch.memory` makes them, with torch 2.15; recurrent.pt is rsl_rl's, from
`make.py`.
"""

# mypy: disable-error-code="misc"

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

FOLDER = Path(__file__).parent
FEATURES, HIDDEN, ACTIONS, EPISODES, STEPS = 3, 4, 2, 2, 10
ROWS = torch.export.Dim("rows")


class Explicit(nn.Module):
    """An LSTM of two layers, whose states are taken and given."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(FEATURES, HIDDEN, 2)
        self.head = nn.Linear(HIDDEN, ACTIONS)

    def forward(self, x: Tensor, h_in: Tensor, c_in: Tensor) -> dict[str, Tensor]:
        """Actions, and the next states."""
        y, (h, c) = self.rnn(x.unsqueeze(0), (h_in, c_in))
        return {"actions": self.head(y.squeeze(0)), "h_out": h, "c_out": c}


class Kept(nn.Module):
    """A GRU whose state is kept in a buffer, which is given another array in each step."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(FEATURES, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, ACTIONS)
        self.register_buffer("state", 0.5 * torch.ones(1, 1, HIDDEN))

    def forward(self, x: Tensor) -> Tensor:
        """Actions."""
        y, self.state = self.rnn(x.unsqueeze(1), self.state)  # type: ignore[has-type]
        found: Tensor = self.head(y.squeeze(1))
        return found


class Cells(nn.Module):
    """Each kind of cell, and plain recurrent layers, whose states are written in place."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.gru = nn.LSTMCell(FEATURES, HIDDEN), nn.GRUCell(HIDDEN, HIDDEN)
        self.tanh = nn.RNNCell(HIDDEN, HIDDEN)
        self.relu = nn.RNNCell(HIDDEN, HIDDEN, nonlinearity="relu", bias=False)
        self.layer_tanh = nn.RNN(HIDDEN, HIDDEN)
        self.layer_relu = nn.RNN(HIDDEN, ACTIONS, nonlinearity="relu", bias=False)
        for name in ("h", "c", "g", "t", "r"):
            self.register_buffer(name, torch.zeros(1, HIDDEN))
        self.register_buffer("lt", torch.zeros(1, 1, HIDDEN))
        self.register_buffer("lr", torch.zeros(1, 1, ACTIONS))

    def forward(self, x: Tensor) -> Tensor:
        """Actions."""
        h, c = self.lstm(x, (self.h, self.c))
        self.h[:], self.c[:] = h, c
        self.g.copy_(self.gru(h, self.g))
        self.t.copy_(self.tanh(self.g, self.t))
        self.r.copy_(self.relu(self.t, self.r))
        y, lt = self.layer_tanh(self.r.unsqueeze(0), self.lt)
        self.lt.copy_(lt)
        y, lr = self.layer_relu(y, self.lr)
        self.lr.copy_(lr)
        return y.squeeze(0) + self.t[:, :2]


def pack(file: Path) -> None:
    """Make a file smaller: compressed, and without the places that its code comes from."""
    with tempfile.TemporaryDirectory() as folder:
        smaller = Path(folder) / file.name
        with zipfile.ZipFile(file) as old, zipfile.ZipFile(smaller, "w") as new:
            for member in old.infolist():
                content = old.read(member)
                if member.filename.endswith("model.json"):
                    program = json.loads(content)
                    for node in program["graph_module"]["graph"]["nodes"]:
                        node["metadata"] = {}
                    content = json.dumps(program).encode()
                if not member.filename.endswith(".debug_pkl"):
                    new.writestr(member.filename, content, compress_type=zipfile.ZIP_DEFLATED)
        file.write_bytes(smaller.read_bytes())


def _outputs(step: Any, begin: Any, features: Tensor) -> Tensor:
    episodes = []
    for episode in features:
        states, found = begin(), []
        for row in episode:
            output, states = step(row[None], states)
            found.append(output[0])
        episodes.append(torch.stack(found))
    return torch.stack(episodes)


def main() -> None:
    """Make every file, with weights at random."""
    torch.manual_seed(0)
    explicit, kept, cells = Explicit().eval(), Kept().eval(), Cells().eval()
    state = torch.zeros(2, 1, HIDDEN)
    given = (torch.zeros(1, FEATURES), state, state.clone())  # one array would be one input
    with torch.no_grad():
        traced = torch.jit.trace(explicit, given, strict=False)
        traced.save(FOLDER / "memory_explicit.pt")
        states = torch.zeros(2, 5, HIDDEN)
        shapes = ({0: ROWS}, {1: ROWS}, {1: ROWS})
        program = torch.export.export(
            explicit, (torch.zeros(5, FEATURES), states, states.clone()), dynamic_shapes=shapes
        )
        torch.export.save(program, FOLDER / "memory_explicit.pt2")
        torch.jit.script(kept).save(FOLDER / "memory_kept.pt")
        torch.jit.script(cells).save(FOLDER / "memory_cells.pt")
        program = torch.export.export(cells, given[:1])
        torch.export.save(program, FOLDER / "memory_cells.pt2")
        decomposed = program.run_decompositions()
        torch.export.save(decomposed, FOLDER / "memory_cells_decomposed.pt2")
        write_expected(explicit, kept, cells)
    for file in FOLDER.glob("memory_*.pt*"):
        pack(file)


def write_expected(explicit: Any, kept: Any, cells: Any) -> None:
    """What the modules, and recurrent.pt, give in episodes."""
    expected: dict[str, Any] = {}

    def add(name: str, step: Any, begin: Any, features: int = FEATURES) -> None:
        seen = torch.randn((EPISODES, STEPS, features))
        found = _outputs(step, begin, seen)
        expected[f"{name}/features"], expected[f"{name}/outputs"] = seen.numpy(), found.numpy()

    def explicitly(row: Tensor, states: Any) -> Any:
        found = explicit(row, *states)
        return found["actions"], [found["h_out"], found["c_out"]]

    add("memory_explicit", explicitly, lambda: [torch.zeros(2, 1, HIDDEN)] * 2)
    rsl_rl = torch.jit.load(FOLDER / "recurrent.pt")
    for name, module, features in (
        ("memory_kept", kept, FEATURES),
        ("memory_cells", cells, FEATURES),
        ("recurrent", rsl_rl, 6),
    ):
        begins = {each: buffer.clone() for each, buffer in module.named_buffers()}

        def begin(module: Any = module, begins: Any = begins) -> None:
            for each, buffer in module.named_buffers():
                buffer.copy_(begins[each])

        add(name, lambda row, _, module=module: (module(row).clone(), None), begin, features)
    np.savez_compressed(FOLDER / "memory.npz", **expected)


if __name__ == "__main__":
    main()
