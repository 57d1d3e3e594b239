"""TensorFlow Lite's files, run by its interpreter: the original of what is converted."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from policy_server.errors import EngineFailed
from policy_server.policy.engines.engine import Floats
from policy_server.policy.saved_model import UnusableModel, import_tensorflow


class TensorFlowLite:
    """A model, run one observation after the other, as it was made for.

    Attributes:
        output: Name of the output that `run` gives.

    Args:
        path: The file.

    Raises:
        UnusableModel: It cannot be loaded, or takes several inputs.
    """

    output: str = ""

    def __init__(self, path: Path) -> None:
        lite = import_tensorflow().lite
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that it will move to a package of its own
                # The operations as they are defined: no delegate computes them otherwise.
                self._interpreter = lite.Interpreter(
                    model_content=path.read_bytes(),
                    num_threads=1,
                    experimental_op_resolver_type=lite.experimental.OpResolverType.BUILTIN_REF,
                )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise UnusableModel(f"TensorFlow Lite cannot load it: {_first_line(error)}") from error
        self._inputs = self._interpreter.get_input_details()
        self._outputs = {str(each["name"]): each for each in self._interpreter.get_output_details()}
        if len(self._inputs) != 1:
            names = ", ".join(str(each["name"]) for each in self._inputs)
            raise UnusableModel(
                f"it takes {len(self._inputs)} inputs ({names}), where all features of an "
                "observation are wanted in one."
            )

    @property
    def quantised(self) -> str:
        """Types of inputs and outputs that stand for real numbers by a scale; empty for none."""
        found = {
            np.dtype(each["dtype"]).name
            for each in [*self._inputs, *self._outputs.values()]
            if each["quantization"][0]
        }
        return ", ".join(sorted(found))

    @property
    def feature_width(self) -> int:
        """F: the numbers that the network takes, all axes but the batch flattened."""
        return int(np.prod(self._inputs[0]["shape"][1:], dtype=int))

    def of_output(self, name: str) -> "TensorFlowLite":
        """This model, which from now on gives the output of a name."""
        if name not in self._outputs:
            raise UnusableModel(f"its output `{name}` is not that of the converted network.")
        self.output = name
        return self

    def run(self, features: Floats) -> Floats:
        """Turn float32[B, F] into float32[B, W]."""
        taken, given = self._inputs[0], self._outputs[self.output]
        rows = [self._row(row, taken, given) for row in features]
        return np.asarray(rows, np.float32).reshape(len(features), -1)

    def _row(self, row: Floats, taken: Any, given: Any) -> Any:
        shaped = row.reshape(taken["shape"]).astype(taken["dtype"])
        try:
            self._interpreter.set_tensor(taken["index"], shaped)
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise EngineFailed(f"TensorFlow Lite failed: {_first_line(error)}") from error
        return self._interpreter.get_tensor(given["index"])


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
