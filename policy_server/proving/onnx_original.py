"""An uploaded ONNX network with its own inputs: what the rewritten one is compared with."""

import numpy as np

from policy_server.errors import EngineFailed
from policy_server.policy.engines.engine import Floats
from policy_server.policy.onnx_session import open_session
from policy_server.policy.saved_model import UnusableModel
from policy_server.proving.network_inputs import Layout, NetworkInput


class OnnxOriginal:
    """Runs a network as its author would: each input is made in NumPy.

    Args:
        content: The file, of one output, and of those that give the next states.
        layout: What its inputs take.

    Raises:
        EngineFailed: It cannot be loaded.
    """

    def __init__(self, content: bytes, layout: Layout) -> None:
        self._session = open_session(content)
        served = self._session.get_outputs()[0].name
        self._outputs = [served, *(state.output for state in layout.states)]
        self._layout = layout

    @property
    def feature_width(self) -> int:
        """F."""
        return self._layout.feature_width

    def run(self, features: Floats) -> Floats:
        """Turn float32[B, F] into float32[B, W]; with memory, F + S into W + S."""
        return self._run(features, {})

    def check_filled(self, features: Floats) -> None:
        """Raise UnusableModel if the output depends on an input that takes no features."""
        for each in self._layout.filled:
            if not each.must_not_matter:
                continue
            expected = self.run(features)
            for other in (1, -3):
                moved = self._run(features, {each: other})
                if not np.array_equal(moved, expected, equal_nan=True):
                    raise UnusableModel(
                        f"its decisions depend on `{each.name}`, which the features do not tell: "
                        "export the network without it, or say in model.yaml which features it "
                        f"takes, as `inputs: {{{each.name}: [...], ...}}` with all inputs."
                    )

    def _run(self, features: Floats, fillings: dict[NetworkInput, int]) -> Floats:
        found = []
        for feeds, rows in self._layout.batches(features):
            for each, value in fillings.items():
                feeds[each.name] = np.full_like(feeds[each.name], value)
            try:
                output, *states = self._session.run(self._outputs, feeds)
            except Exception as error:  # the runtime's own exceptions have no common root
                raise EngineFailed(f"ONNX Runtime failed: {error}") from error
            size = len(features) if self._layout.batch == 0 else self._layout.batch or 1
            parts = [np.asarray(output, np.float32).reshape(size, -1)]
            for state, following in zip(self._layout.states, states, strict=True):
                parts.append(state.following(np.asarray(following), size))
            found.append(np.concatenate(parts, axis=1)[:rows])
        frames = self._layout.following_frames(features)
        return np.concatenate([np.concatenate(found), frames], axis=1)
