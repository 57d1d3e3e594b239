"""Random valid observations of a candidate's contract, and the features that are made of them."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from policy_server.contract.contract import Contract
from policy_server.contract.decoding import RAW
from policy_server.contract.records import Record, record_type
from policy_server.contract.samples import random_observations, random_vectors
from policy_server.errors import UploadRejected
from policy_server.policy.features import Features
from policy_server.policy.preprocessing import kind
from policy_server.policy.preprocessor import GivenFeatures, Preprocessor, SchemaPreprocessor
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
        self._width = 0

    def fit(self, width: int) -> None:
        """Have as many features as the network takes, where the schema says nothing of them."""
        self._width = width

    def draw(self) -> None:
        """Draw the records now, in a step of its own; without observations the model comes first.

        Raises:
            UploadRejected: There are no observations, and yet a preprocessor.
        """
        if not self._contract.schema.is_observed:
            if self._uploaded is None:
                return
            raise UploadRejected(
                "The schema has no observations, so clients send the features themselves and there "
                "is nothing to preprocess: leave the preprocessor out."
            )
        self._step("drawing random valid observations", self._limits.model_seconds)
        _ = self.records

    @cached_property
    def records(self) -> list[Record]:
        """Random valid observations, the same for each build."""
        schema = self._contract.schema
        width = self._width or sum(each.feature_width or 1 for each in schema.fields.values())
        count = min(OBSERVATIONS, max(LEAST, NUMBERS // max(width, 1)))
        if not schema.is_observed:
            record = record_type(RAW)
            return [record(f0=row) for row in random_vectors(count, width).tolist()]
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
        if not self._contract.schema.is_observed:
            made = GivenFeatures()
            return made, features_of(made, self.records)
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
