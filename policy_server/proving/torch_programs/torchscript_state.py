"""TorchScript that changes buffers of its modules, run with these as further inputs and outputs."""

from collections.abc import Mapping, Sequence

from policy_server.proving.torch_programs.program import Outputs, named_outputs
from policy_server.proving.torch_programs.stateful import Buffer
from policy_server.proving.torch_programs.torchscript_code import ScriptProgram
from policy_server.proving.torch_programs.torchscript_values import Names
from policy_server.proving.torch_programs.traced import KeptChanged, Traced

Places = Mapping[str, tuple[Names, str]]
"""Where modules have their buffers, by dotted names: in whose attributes, and which."""


class StatefulScript:
    """A program, and the buffers that it is known to change.

    Attributes:
        buffers: They, in the order of their inputs, which come after the program's own.

    Args:
        program: The program.
        places: Where these buffers are.
    """

    def __init__(self, program: ScriptProgram, places: Places | None = None) -> None:
        self._program = program
        self._places = dict(places or {})
        self.buffers = [
            Buffer(name, attributes[each].array)
            for name, (attributes, each) in self._places.items()
        ]

    def changing(self, changed: KeptChanged) -> "StatefulScript":
        """The same with one buffer more; raises KeptChanged where an array is none."""
        for name, (attributes, each) in self._program.buffers().items():
            if any(attributes[each] is array for array in changed.arrays):
                return StatefulScript(self._program, {**self._places, name: (attributes, each)})
        raise changed

    def run(self, inputs: Sequence[Traced]) -> Outputs:
        """What the network returns, and what is in the buffers afterwards.

        Args:
            inputs: The arrays of its own inputs, and what is in the buffers before.
        """
        count = len(self._program.inputs)
        kept = {name: owner[each] for name, (owner, each) in self._places.items()}
        try:
            for (owner, each), state in zip(self._places.values(), inputs[count:], strict=True):
                owner[each] = Traced(state.array, state.name, state.graph)
            outputs = dict(named_outputs(self._program.run(inputs[:count])))
            for buffer, (owner, each) in zip(self.buffers, self._places.values(), strict=True):
                outputs[buffer.following] = owner[each]
        finally:
            for name, (owner, each) in self._places.items():
                owner[each] = kept[name]
        return outputs
