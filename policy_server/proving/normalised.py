"""Normalisation in front of a network that was converted to ONNX."""

from pathlib import Path

import numpy as np

from policy_server.policy.engines.engine import Engine, Floats
from policy_server.proving.input_description import InputDescription, Normalisation
from policy_server.proving.input_shares import lay_out
from policy_server.proving.known_features import KnownFeatures
from policy_server.proving.onnx_file import read_onnx
from policy_server.proving.onnx_inputs import axes_of, input_names, network_inputs, united


class Normalised:
    """A network that is given normalised features, normalised in NumPy.

    Args:
        network: Takes them.
        statistics: How they are normalised.
        width: F; what a row has behind them, a state, is left as it is. None where all of it is
            features.
    """

    def __init__(
        self, network: Engine, statistics: Normalisation, width: int | None = None
    ) -> None:
        self._network = network
        self._statistics = statistics
        self._width = width

    @property
    def feature_width(self) -> int:
        """F."""
        return self._network.feature_width

    def run(self, features: Floats) -> Floats:
        """Turn float32[B, F] into float32[B, W]; with a state, F + S into W + S."""
        normalised = self._statistics.of(features[:, : self._width])
        if self._width is None:
            return self._network.run(normalised)
        return self._network.run(np.concatenate([normalised, features[:, self._width :]], axis=1))


def write_normalisation(file: Path, statistics: Normalisation) -> None:
    """Put normalisation into an ONNX file, before its network.

    Raises:
        UploadRejected: The statistics are of another width.
    """
    model = read_onnx(file)
    inputs, output = (
        network_inputs(model.graph, input_names(model.graph)),
        axes_of(model.graph.output[0]),
    )
    described = InputDescription(normalise=statistics)
    layout = lay_out(inputs, output, described, KnownFeatures())
    file.write_bytes(united(model, layout, opened=layout.batch == 0).SerializeToString())
