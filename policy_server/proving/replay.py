"""Replays golden cases: does the policy give what training gave?"""

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from policy_server.contract.contract import Contract
from policy_server.errors import Fault, ObservationError, PreprocessorFailed, UploadRejected
from policy_server.policy.families.comparison import relative_differences
from policy_server.policy.families.family import Family, NotFinite
from policy_server.policy.families.recognition import Output, Reading
from policy_server.policy.families.registry import alternatives
from policy_server.policy.features import Features
from policy_server.policy.output_mapper import OutputMapper
from policy_server.policy.policy import Policy
from policy_server.proving.episodes import replayed
from policy_server.proving.golden import (
    QUANTITIES,
    GoldenCases,
    Recorded,
    read_golden,
)
from policy_server.proving.golden_episodes import check_episodes
from policy_server.proving.limits import BuildLimits
from policy_server.proving.verdict import MAX_SHOWN, QUANTITY_WORDS, Compared, Outcome, Verdict
from policy_server.version.parts import Part, uploaded_file

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
    cases = read_golden(uploaded_file(folder, Part.GOLDEN), limits.unpacked_bytes)
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
        self._family = policy.network.distribution

    def run(self) -> Outcome:
        """Compare all that was recorded.

        Raises:
            UploadRejected: A case cannot be asked of this policy.
            EngineFailed: The network could not be run.
        """
        features = self._features()
        inputs = self._inputs(features)
        try:
            outcome = self._compared(self._family, features, inputs)
        except UploadRejected as error:
            hint = self._other_readings(features, inputs)
            raise UploadRejected(
                f"{error.summary} {hint}".rstrip(), error.faults, error.cases
            ) from error
        if outcome.agrees:
            return outcome
        hint = self._other_readings(features, inputs)
        return replace(outcome, detail=f"{outcome.detail} {hint}".rstrip())

    def _inputs(self, features: Features) -> Array:
        """The distribution inputs of all cases, of which those of an episode are its steps."""
        policy, memory = self._policy, self._policy.network.memory
        rows = policy.begun(features)
        if memory is None:
            return policy.run(rows).astype(np.float64)
        check_episodes(self._cases.places, self._cases.episodes)
        outputs = replayed(policy.run, memory.width, rows, self._cases.episodes)
        return outputs[:, : -memory.width].astype(np.float64)

    def _compared(self, family: Family, features: Features, inputs: Array) -> Outcome:
        """Compare with what follows if the network's output selects from a family."""
        try:
            family.check(inputs)
        except NotFinite as error:
            raise UploadRejected(f"A golden case makes no distribution: {error}.") from error
        compared = [
            self._compare(family, quantity, self._cases.recorded[quantity], features, inputs)
            for quantity in QUANTITIES
            if quantity in self._cases.recorded
        ]
        return Verdict(self._cases, compared, self._tolerance, family).outcome()

    def _other_readings(self, features: Features, inputs: Array) -> str:
        """Readings of the network's output under which all cases agree, in a sentence."""
        network = self._policy.network
        output = Output(network.output, False, inputs.astype(np.float32))
        agreeing: list[Reading] = []
        exactly = False
        for family in alternatives(self._family):
            # It may have actions that the output mapper gives no meaning.
            with contextlib.suppress(UploadRejected, ValueError, LookupError):
                other = self._read_otherwise(family, output)
                if other is not None and self._compared(other, features, inputs).agrees:
                    agreeing.append(family.readings[0])
                    exactly = exactly or other.is_output
        if not agreeing:
            return ""
        now = self._family.readings[0].words
        what = "the recorded actions" if "actions" in self._cases.recorded else "what was recorded"
        gives = " or ".join(f"read as {each.words}" for each in agreeing)
        same = " equals" if exactly else f", {gives}, gives"
        lines = " or ".join(f"`reads: {each.word}`" for each in agreeing)
        return (
            f"Your output `{network.output}`{same} {what}; it is read as {now}. Write {lines} "
            "into model.yaml."
        )

    def _read_otherwise(self, family: type[Family], output: Output) -> Family | None:
        """Another family of the same output; None where its width or its heads are not known."""
        sizes = self._policy.network.sizes
        one = len(sizes) == 1
        other = family(family.whole(output) if one else sizes)
        return other if other.input_width == output.width else None

    def _features(self) -> Features:
        cases, width = self._cases, self._policy.network.feature_width
        if cases.features is not None:
            if cases.features.shape[1] != width:
                raise UploadRejected(
                    f"The golden cases hold {cases.features.shape[1]} features each, the network "
                    f"takes {width}."
                )
            return self._policy.unmasked(cases.features)
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
        self, family: Family, quantity: str, recorded: Recorded, features: Features, inputs: Array
    ) -> Compared:
        rows = recorded.rows
        found = self._found(family, quantity, features[rows], inputs[rows])
        width = found.shape[1]
        faults = [
            Fault(self._cases.places[row], f"{len(values)} were recorded.")
            for row, values in zip(rows, recorded.values, strict=True)
            if len(values) != width
        ]
        if faults:
            summary = f"Of {QUANTITY_WORDS[quantity]} this policy has {width}."
            raise UploadRejected(f"The golden cases do not fit. {summary}", faults[:MAX_SHOWN])
        if quantity == "meanings":
            expected: NDArray[Any] = np.array(recorded.values, dtype=object)
            return Compared(quantity, rows, expected, found, (expected != found).astype(float))
        expected = np.array(recorded.values, dtype=np.float64)
        if quantity == "actions":
            # Actions that are as probable as each other may be told apart by float32's last bit.
            differences = family.shortfall(inputs[rows], expected)
        else:
            differences = relative_differences(expected, found)
        return Compared(quantity, rows, expected, found, differences)

    def _found(
        self, family: Family, quantity: str, features: Features, inputs: Array
    ) -> NDArray[Any]:
        """What this policy gives for a quantity, [R, K]."""
        if quantity == "features":
            return features[:, : self._policy.network.feature_width].astype(np.float64)
        if quantity == "distribution_inputs":
            return inputs
        if quantity == "log_probability":
            found: NDArray[Any] | None = self._log_probability(family, inputs)
        else:
            found = family.recorded(quantity, inputs, self._mapper)
        if found is None:
            raise UploadRejected(
                f"The golden cases state {QUANTITY_WORDS[quantity]}, but the actions of this "
                f"policy are {family.kind} ({self._policy.network.family})."
            )
        return found.reshape(len(inputs), -1)

    def _log_probability(self, family: Family, inputs: Array) -> Array | None:
        drawn = self._cases.drawn
        assert drawn is not None
        if drawn.shape[1] != family.dimensions:
            raise UploadRejected(
                f"The golden cases hold {drawn.shape[1]} actions each, this policy takes "
                f"{family.dimensions}."
            )
        if not family.can_take(drawn):
            raise UploadRejected("The golden cases hold actions that this policy cannot take.")
        return family.log_probability(inputs, drawn)
