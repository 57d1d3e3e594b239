"""Replays golden cases: does the policy give what training gave?"""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from policy_server.build.golden import (
    FILE,
    QUANTITIES,
    GoldenCases,
    Recorded,
    read_golden,
)
from policy_server.build.limits import BuildLimits
from policy_server.build.report import Part
from policy_server.build.verdict import MAX_SHOWN, WORDS, Compared, Outcome, Verdict
from policy_server.contract.contract import Contract
from policy_server.errors import Fault, ObservationError, PreprocessorFailed, UploadRejected
from policy_server.policy.distributions import (
    MASKED,
    DiagonalGaussian,
    Greedy,
    NotFinite,
)
from policy_server.policy.features import Features
from policy_server.policy.output_mapper import OutputMapper
from policy_server.policy.policy import Policy

Array = NDArray[np.float64]


def replay(
    folder: Path, contract: Contract, policy: Policy, mapper: OutputMapper, limits: BuildLimits
) -> Outcome:
    """Replay the golden cases in the folder of a version.

    Args:
        folder: Holds them in the folder `golden`.
        contract: What their observations are.
        policy: The version's.
        mapper: What the policy's actions mean.
        limits: How much their arrays may unpack to, and how far numbers may lie apart.

    Raises:
        UploadRejected: They cannot be read, or not be asked of this policy.
    """
    cases = read_golden(folder / Part.GOLDEN / FILE, limits.unpacked_bytes)
    return Replay(cases, contract, policy, mapper, limits.golden_tolerance).run()


class Replay:
    """Asks a policy what training was asked.

    Args:
        cases: As they were recorded.
        contract: What observations are.
        policy: Asked for features and distribution inputs.
        mapper: What its actions mean.
        tolerance: Largest difference that is none; float32 networks are never quite equal.
    """

    def __init__(
        self,
        cases: GoldenCases,
        contract: Contract,
        policy: Policy,
        mapper: OutputMapper,
        tolerance: float,
    ) -> None:
        self._cases = cases
        self._contract = contract
        self._policy = policy
        self._mapper = mapper
        self._tolerance = tolerance
        self._distribution = policy.network.distribution

    def run(self) -> Outcome:
        """Compare all that was recorded.

        Raises:
            UploadRejected: A case cannot be asked of this policy.
            EngineFailed: The network could not be run.
        """
        features = self._features()
        inputs = self._policy.run(features).astype(np.float64)
        try:
            self._distribution.check(inputs)
        except NotFinite as error:
            raise UploadRejected(f"A golden case makes no distribution: {error}.") from error
        compared = [
            self._compare(quantity, self._cases.recorded[quantity], features, inputs)
            for quantity in QUANTITIES
            if quantity in self._cases.recorded
        ]
        numbered = self._policy.network.discrete
        return Verdict(self._cases, compared, self._tolerance, numbered=numbered).outcome()

    def _features(self) -> Features:
        cases, width = self._cases, self._policy.network.feature_width
        if cases.features is not None:
            if cases.features.shape[1] != width:
                raise UploadRejected(
                    f"The golden cases hold {cases.features.shape[1]} features each, the network "
                    f"takes {width}."
                )
            return cases.features
        records, faults = [], []
        for place, observation in zip(cases.places, cases.observations or (), strict=True):
            try:
                records.append(self._contract.decoder.decode(observation))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                faults.append(Fault(place, f"not an observation of the contract: {error}."))
        if faults:
            summary = "The golden cases do not keep the contract."
            raise UploadRejected(summary, faults[:MAX_SHOWN])
        try:
            return self._policy.features(records)
        except PreprocessorFailed as error:
            raise UploadRejected(
                f"The preprocessor fails on a golden case: {error.cause}."
            ) from error
        except ObservationError as error:
            raise UploadRejected(f"A golden case makes no features: {error}") from error

    def _compare(
        self, quantity: str, recorded: Recorded, features: Features, inputs: Array
    ) -> Compared:
        rows = recorded.rows
        found = self._found(quantity, features[rows], inputs[rows])
        width = found.shape[1]
        faults = [
            Fault(self._cases.places[row], f"{len(values)} were recorded.")
            for row, values in zip(rows, recorded.values, strict=True)
            if len(values) != width
        ]
        if faults:
            summary = f"Of {WORDS[quantity]} this policy has {width}."
            raise UploadRejected(f"The golden cases do not fit. {summary}", faults[:MAX_SHOWN])
        if quantity == "meanings":
            expected: NDArray[Any] = np.array(recorded.values, dtype=object)
            return Compared(quantity, rows, expected, found, (expected != found).astype(float))
        expected = np.array(recorded.values, dtype=np.float64)
        if quantity == "actions" and not isinstance(self._distribution, DiagonalGaussian):
            differences = self._missed(inputs[rows], expected)
        else:
            differences = _differences(expected, found)
        return Compared(quantity, rows, expected, found, differences)

    def _found(self, quantity: str, features: Features, inputs: Array) -> NDArray[Any]:
        """What this policy gives for a quantity, [R, K]."""
        family = self._distribution
        if quantity == "features":
            return features.astype(np.float64)
        if quantity == "distribution_inputs":
            return inputs
        if quantity == "entropy":
            return family.entropy(inputs)[:, np.newaxis]
        if quantity == "actions":
            return family.mode(inputs)
        if quantity == "log_probability":
            drawn = self._cases.drawn
            assert drawn is not None
            return self._log_probability(inputs, drawn)
        if isinstance(family, DiagonalGaussian):
            if quantity in ("means", "standard_deviations"):
                return family.moments(inputs)[quantity == "standard_deviations"]
        elif quantity == "probabilities":
            return np.concatenate(family.head_probabilities(inputs), axis=1)
        elif quantity == "meanings":
            return self._meanings(family.mode(inputs).astype(np.int64))
        kind = "numbered" if self._policy.network.discrete else "real"
        raise UploadRejected(
            f"The golden cases state {WORDS[quantity]}, but the actions of this policy are {kind}."
        )

    def _log_probability(self, inputs: Array, drawn: Array) -> Array:
        family = self._distribution
        width = family.mode(inputs[:1]).shape[1]
        if drawn.shape[1] != width:
            raise UploadRejected(
                f"The golden cases hold {drawn.shape[1]} actions each, this policy takes {width}."
            )
        if not isinstance(family, DiagonalGaussian):
            sizes = np.array(self._policy.network.sizes)
            if (drawn != np.floor(drawn)).any() or (drawn < 0).any() or (drawn >= sizes).any():
                raise UploadRejected("The golden cases hold actions that this policy cannot take.")
        return family.log_probability(inputs, drawn)[:, np.newaxis]

    def _meanings(self, actions: NDArray[np.int64]) -> NDArray[Any]:
        meaning = self._mapper.meaning
        rows = [
            [meaning(head, action) for head, action in enumerate(row)] for row in actions.tolist()
        ]
        return np.array(rows, dtype=object)

    def _missed(self, inputs: Array, expected: Array) -> Array:
        """By how much expected actions are less probable than the most probable, float64[R, H].

        Actions that are as probable as each other may be told apart by the last bit of float32.
        """
        family = self._distribution
        assert not isinstance(family, DiagonalGaussian)
        scores = [inputs] if isinstance(family, Greedy) else family.head_probabilities(inputs)
        missed = []
        for head, actions in zip(scores, expected.T, strict=True):
            possible = (actions >= 0) & (actions < head.shape[1]) & (actions == np.floor(actions))
            chosen = np.where(possible, actions, 0).astype(np.int64)
            best = head.max(axis=1)
            short = _differences(best, head[np.arange(len(head)), chosen])
            missed.append(np.where(possible, short, np.inf))
        return np.stack(missed, axis=1)


def _differences(expected: Array, found: Array) -> Array:
    """How far numbers lie apart, relative where what is expected exceeds 1; 0 for two masks."""
    with np.errstate(invalid="ignore"):
        differences = np.abs(found - expected) / np.maximum(1.0, np.abs(expected))
    same = (expected == found) | ((expected < MASKED) & (found < MASKED))
    return np.where(same, 0.0, np.where(np.isnan(differences), np.inf, differences))
