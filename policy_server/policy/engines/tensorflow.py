"""TensorFlow: the engine of networks that could not be converted or proven."""

from pathlib import Path

from policy_server.errors import EngineFailed
from policy_server.policy.carried import read_carried
from policy_server.policy.engines.engine import Floats
from policy_server.policy.saved_model import SavedModel, UnusableModel


class TensorFlowEngine:
    """Runs one output of a SavedModel.

    Args:
        folder: The SavedModel's.
        output: Name of the output in its signature.

    Raises:
        EngineFailed: TensorFlow is missing, or cannot load the model, or it is not served.
    """

    def __init__(self, folder: Path, output: str) -> None:
        try:
            self._model = SavedModel(folder)
        except UnusableModel as error:
            raise EngineFailed(str(error)) from error
        if output not in self._model.outputs:
            raise EngineFailed(f"the model has no output `{output}`: upload it again.")
        self._model.output_name = output
        self._model.carried = read_carried(folder)
        if (unbounded := self._model.unbounded()) is not None:
            raise EngineFailed(unbounded)

    @property
    def feature_width(self) -> int:
        """F, the numbers that the network takes; F + S with memory."""
        return self._model.row_width

    def run(self, features: Floats) -> Floats:
        """Turn float32[B, F] into float32[B, W]."""
        return self._model.run(features)
