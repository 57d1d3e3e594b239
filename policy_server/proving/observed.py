"""Random valid observations of a candidate's contract, and the features that are made of them."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from policy_server.contract.contract import Contract
from policy_server.contract.records import Record
from policy_server.contract.samples import random_observations
from policy_server.errors import UploadRejected
from policy_server.policy.features import Features
from policy_server.policy.preprocessing import kind
from policy_server.policy.preprocessor import Preprocessor, SchemaPreprocessor
from policy_server.proving.declared import read_declared
from policy_server.proving.known_features import KnownFeatures, fields_of
from policy_server.proving.limits import BuildLimits
from policy_server.proving.trial import Trial, features_of

OBSERVATIONS = 200
LEAST, NUMBERS = 16, 2_000_000
"""Of wide observations, such as images, fewer are drawn: so many numbers in all, or the least."""
SEED = 1


class PreprocessorMissing(Exception):
    """The schema's fields make no features by themselves; the message says why."""


class Observed:
    """Draws observations and has features made of them, once and when they are asked for.

    Args:
        contract: Whose observations.
        uploaded: The file of an uploaded preprocessor; None where the schema makes the features.
        limits: How much it may take.
        step: Told what is being done and how many seconds it may take.

    Attributes:
        table: The features by name, where they are declared; once they were tried.
        done: Words of what is done to them, likewise.
    """

    def __init__(
        self,
        contract: Contract,
        uploaded: Path | None,
        limits: BuildLimits,
        step: Callable[[str, float], None],
    ) -> None:
        self._contract = contract
        self._uploaded = uploaded
        self._limits = limits
        self._step = step
        self._trial: Trial | None = None
        self.table: str | None = None
        self.done: set[str] = set()

    def draw(self) -> None:
        """Draw the records now, in a step of its own."""
        self._step("drawing random valid observations", self._limits.model_seconds)
        _ = self.records

    @cached_property
    def records(self) -> list[Record]:
        """Random valid observations, the same for each build."""
        schema = self._contract.schema
        width = sum(each.feature_width or 1 for each in schema.fields.values())
        count = min(OBSERVATIONS, max(LEAST, NUMBERS // max(width, 1)))
        observations = random_observations(schema, count, SEED)
        return [self._contract.decoder.convert(each) for each in observations]

    @cached_property
    def tried(self) -> tuple[Preprocessor, Features]:
        """What makes features, and float32[B, F] of the records.

        Raises:
            PreprocessorMissing: The schema makes no features.
            UploadRejected: The preprocessor is refused.
            PreprocessorFailed: It fails on a valid observation.
        """
        made: Preprocessor
        if self._uploaded is None:
            try:
                made = SchemaPreprocessor(self._contract.schema)
            except UploadRejected as error:
                raise PreprocessorMissing(str(error)) from error
            return made, features_of(made, self.records)
        if self._uploaded.name == kind.FILE:
            made, self.table, self.done = read_declared(self._uploaded, self._contract.schema)
            return made, features_of(made, self.records)
        self._trial = Trial(self._uploaded, self.records, self._limits, self._step)
        return self._trial.preprocessor, self._trial.features()

    @property
    def known(self) -> KnownFeatures:
        """What a model's reader may know of the features."""
        by_schema = self._uploaded is None
        fields = fields_of(self._contract.schema) if by_schema else {}
        return KnownFeatures(fields, self._rows if fields or not by_schema else lambda: None)

    def _rows(self) -> Features:
        tried_before = "tried" in vars(self)
        features = self.tried[1]
        if not tried_before:  # the trial told steps of its own, which have ended
            self._step("fitting the network's inputs to the features", self._limits.model_seconds)
        return features

    def again(self) -> str | None:
        """Ask an uploaded preprocessor once more; what was compared, or None without one."""
        return None if self._trial is None else self._trial.again()

    def close(self) -> None:
        """End the preprocessor's processes."""
        if self._trial is not None:
            self._trial.close()
