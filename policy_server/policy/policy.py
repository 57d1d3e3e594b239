"""A policy: preprocessor, engine, distribution and output mapper, asked for decisions."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from policy_server.contract.contract import Contract
from policy_server.contract.schema import Observation
from policy_server.errors import Fault, ObservationError, PreprocessorFailed
from policy_server.policy.distributions import (
    Actions,
    Array,
    DiagonalGaussian,
    Discrete,
    NotFinite,
    density,
)
from policy_server.policy.engine import Engine, Network
from policy_server.policy.output_mapper import OutputMapper
from policy_server.policy.preprocessor import (
    TOO_LARGE,
    Features,
    Preprocessor,
    as_float,
    complete,
    narrow,
    place_of,
)

Answer = dict[str, Any]
"""A Prediction or a Distribution of the contract, ready for JSON."""


class Policy:
    """Turns observations into decisions.

    Args:
        contract: What observations are, and whether actions are a tuple.
        network: What the build found out about the model.
        engine: What runs it.
        preprocessor: What makes features of observations.
        output_mapper: What action numbers mean.
    """

    def __init__(
        self,
        contract: Contract,
        network: Network,
        engine: Engine,
        preprocessor: Preprocessor,
        output_mapper: OutputMapper,
    ) -> None:
        self.network = network
        self._contract = contract
        self._engine = engine
        self._preprocessor = preprocessor
        self._output_mapper = output_mapper
        self._distribution = network.distribution
        self._rng = np.random.default_rng()

    def predict(self, observations: Sequence[Observation], seed: int | None = None) -> list[Answer]:
        """Draw an action for each observation.

        Args:
            observations: Valid under the schema.
            seed: Makes the draws repeatable; a batch begins with the draw of its first alone.

        Raises:
            ObservationError: The network has no finite answer.
            PreprocessorFailed: Uploaded code failed.
            EngineFailed: The network could not be run.
        """
        return self._draw(self._inputs(self.features(observations)), seed)

    def predict_deterministic(self, observations: Sequence[Observation]) -> list[Answer]:
        """Take the most probable action for each observation; raises like `predict`."""
        inputs = self._inputs(self.features(observations))
        return self._predictions(inputs, self._distribution.mode(inputs))

    def predict_features(self, features: Features, seed: int | None = None) -> list[Answer]:
        """Draw an action for each row of float32[B, F]; raises like `predict`."""
        return self._draw(self._inputs(features), seed)

    def distributions(self, observations: Sequence[Observation]) -> list[Answer]:
        """Describe the distribution for each observation; raises like `predict`."""
        inputs = self._inputs(self.features(observations))
        entropies = self._distribution.entropy(inputs).tolist()
        family = self._distribution
        described = (
            self._describe_dimensions(family, inputs)
            if isinstance(family, DiagonalGaussian)
            else self._describe_heads(family, inputs)
        )
        return [
            {**row, "entropy": entropy} for row, entropy in zip(described, entropies, strict=True)
        ]

    def features(self, observations: Sequence[Observation]) -> Features:
        """The network's input vectors, float32[B, F], of B observations; raises like `predict`."""
        completed = [complete(self._contract.schema, observation) for observation in observations]
        features = self._preprocessor.features(completed)
        width = self.network.feature_width
        if len(features) and features.shape[1] != width:
            raise PreprocessorFailed(
                f"preprocess returned {features.shape[1]} numbers, the network takes {width}"
            )
        return features

    def raw_features(self, numbers: Sequence[float]) -> Features:
        """One input vector, float32[1, F], as a client sent it.

        Raises:
            ObservationError: It is too long, too short, or holds a number beyond float32.
        """
        width = self.network.feature_width
        if len(numbers) != width:
            detail = f"{len(numbers)} numbers were sent, the network takes {width}."
            raise ObservationError("The features cannot be decided on.", [Fault("/obs", detail)])
        row = narrow(np.array([[as_float(number) for number in numbers]]))
        beyond = np.flatnonzero(~np.isfinite(row[0])).tolist()
        if beyond:
            faults = [Fault(f"/obs/{index}", TOO_LARGE) for index in beyond]
            raise ObservationError("The features cannot be decided on.", faults)
        return row

    def _inputs(self, features: Features) -> Array:
        """Distribution inputs, float64[B, W], from one run of the network."""
        if not len(features):
            return np.empty((0, self._distribution.input_width))
        inputs = self._engine.run(features).astype(np.float64)
        try:
            self._distribution.check(inputs)
        except NotFinite as error:
            # The build saw finite answers to hundreds of observations, so these are to blame.
            faults = self._unanswered(inputs)
            raise ObservationError("The observation cannot be decided on.", faults) from error
        return inputs

    def _unanswered(self, inputs: Array) -> list[Fault]:
        faults = []
        for row in range(len(inputs)):
            try:
                self._distribution.check(inputs[row : row + 1])
            except NotFinite as error:
                detail = f"the network has no finite answer to this: {error}."
                faults.append(Fault(place_of(row, len(inputs)), detail))
        return faults

    def _draw(self, inputs: Array, seed: int | None) -> list[Answer]:
        rng = self._rng if seed is None else np.random.default_rng(seed)
        return self._predictions(inputs, self._distribution.sample(inputs, rng))

    def _predictions(self, inputs: Array, actions: Actions) -> list[Answer]:
        logs = self._distribution.log_probability(inputs, actions)
        if isinstance(self._distribution, DiagonalGaussian):
            return self._continuous(actions.tolist(), density(logs).tolist())
        return self._discrete(actions.tolist(), np.exp(logs).tolist())

    def _discrete(self, actions: list[list[int]], probabilities: list[float]) -> list[Answer]:
        meaning = self._output_mapper.meaning
        rows = zip(actions, probabilities, strict=True)
        if self._contract.tuple:
            return [
                {
                    "actions": row,
                    "meanings": [meaning(head, action) for head, action in enumerate(row)],
                    "probability": probability,
                }
                for row, probability in rows
            ]
        return [
            {"action": row[0], "meaning": meaning(0, row[0]), "probability": probability}
            for row, probability in rows
        ]

    def _continuous(self, actions: list[list[float]], densities: list[float]) -> list[Answer]:
        rows = zip(actions, densities, strict=True)
        if self._contract.tuple or sum(self.network.sizes) > 1:
            return [{"actions": row, "density": value} for row, value in rows]
        return [{"action": row[0], "density": value} for row, value in rows]

    def _describe_heads(self, family: Discrete, inputs: Array) -> list[Answer]:
        heads = []
        for head, probabilities in enumerate(family.head_probabilities(inputs)):
            actions = list(range(probabilities.shape[1]))
            meanings = [self._output_mapper.meaning(head, action) for action in actions]
            heads.append(
                [
                    {"actions": actions, "meanings": meanings, "probabilities": row}
                    for row in probabilities.tolist()
                ]
            )
        return [{"heads": list(row)} for row in zip(*heads, strict=True)]

    @staticmethod
    def _describe_dimensions(family: DiagonalGaussian, inputs: Array) -> list[Answer]:
        means, standard_deviations = family.moments(inputs)
        return [
            {
                "dimensions": [
                    {"mean": mean, "standard_deviation": deviation}
                    for mean, deviation in zip(row, deviations, strict=True)
                ]
            }
            for row, deviations in zip(means.tolist(), standard_deviations.tolist(), strict=True)
        ]
