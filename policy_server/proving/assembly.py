"""The parts of a candidate together: do they fit each other and the contract?"""

import traceback
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import numpy as np

from policy_server.contract.contract import Contract
from policy_server.errors import EngineFailed, ObservationError, PreprocessorFailed, UploadRejected
from policy_server.policy.families.registry import FAMILIES
from policy_server.policy.features import Features
from policy_server.policy.network import Network
from policy_server.policy.output_mapper import OutputMapper, read_output_mapper
from policy_server.policy.policy import Policy
from policy_server.policy.preprocessor import Preprocessor
from policy_server.proving.action_sizes import Unknown, declared_sizes
from policy_server.proving.archive import DISK_FAULTS
from policy_server.proving.built_model import BuiltModel, drop_what_was_built, load_built_model
from policy_server.proving.declared import normalised_twice
from policy_server.proving.description import Description, read_description
from policy_server.proving.device import on_faster
from policy_server.proving.episodes import reached_rows
from policy_server.proving.independence import RowProof
from policy_server.proving.limits import BuildLimits
from policy_server.proving.observed import SEED, Observed, PreprocessorMissing
from policy_server.proving.readers.reader import ModelUpload
from policy_server.proving.readers.registry import read_model
from policy_server.proving.reading import Undeclared, check_parameters
from policy_server.proving.remote_engines import NO_ENGINES, RemoteEngines
from policy_server.proving.replay import replay
from policy_server.proving.report import BuildReport, Check
from policy_server.proving.speed import in_words, measure
from policy_server.version.network_description import NetworkDescription, write_undescribed
from policy_server.version.parts import Part, uploaded_file
from policy_server.version.version_parts import known_sizes, network_of, write_timing


class Assembly:
    """Builds one candidate, in the order in which parts depend on each other.

    Args:
        folder: The candidate's folder, with a folder for each part that it has.
        contract: What it must keep.
        uploaded: The parts that are new.
        limits: How much it may take.
        step: Told what is being done and how many seconds it may take.
        engines: Whose networks other servers run.
    """

    def __init__(
        self,
        folder: Path,
        contract: Contract,
        uploaded: Collection[Part],
        limits: BuildLimits,
        step: Callable[[str, float], None],
        engines: RemoteEngines = NO_ENGINES,
    ) -> None:
        self._engines = engines
        self._folder = folder
        self._contract = contract
        self._uploaded = uploaded
        self._limits = limits
        self._step = step
        self._report = BuildReport()
        code = uploaded_file(folder, Part.PREPROCESSOR) if self._has(Part.PREPROCESSOR) else None
        self._observed = Observed(contract, code, limits, step)
        self._is_observed = contract.schema.is_observed

    def build(self) -> BuildReport:
        """Make every check that can be made; stop at a part that can never serve.

        Raises:
            OSError: The disk is full, or may not be written to.
        """
        try:
            self._observed.draw()
            model = self._model()
            mapper = self._output_mapper()
            if model is not None:
                self._observed.fit(model.description.feature_width)
            tried = self._preprocessor() if self._is_observed or model is not None else None
            if model is not None:
                self._whole(model, mapper, tried)
            if (again := self._observed.again()) is not None:
                self._report.passed("repeatable", again)
            if model is not None and Part.MODEL in self._uploaded:
                model.save()
        except UploadRejected as error:
            self._report.reject(error)
        except PreprocessorFailed as error:
            self._report.rejected = f"The preprocessor fails on a valid observation: {error.cause}."
        except Exception as error:
            if isinstance(error, OSError) and error.errno in DISK_FAULTS:
                raise
            # A fault of this project's, or a file odder than was thought of: say which, and go on.
            self._failed(error)
        finally:
            self._observed.close()
        return self._report

    def _failed(self, error: Exception) -> None:
        traceback.print_exc()
        self._report.rejected = f"The build failed: {type(error).__name__}: {error}."

    def _has(self, part: Part) -> bool:
        return (self._folder / part).is_dir()

    def _model(self) -> BuiltModel | None:
        folder = self._folder / Part.MODEL
        if not self._has(Part.MODEL):
            self._report.failed("model", "no model yet: upload one", Part.MODEL)
            return None
        try:
            built = self._built(folder)
        except Undeclared as undeclared:
            if Part.MODEL in self._uploaded:
                drop_what_was_built(folder)
                write_undescribed(folder, str(undeclared))
            where = "upload it with the model, as `description_file`; in a folder it is model.yaml"
            self._misfit("reading", f"{undeclared}; {where}", Part.DESCRIPTION)
            return None
        described = built.description
        built.check_steps(self._is_observed)
        self._report.passed("model", described.family_detail)
        if built.carries is not None:
            self._report.passed("memory", built.carries)
        family = FAMILIES[described.family]
        sizes = () if described.sizes is None else family(described.sizes).action_sizes
        conflict = self._contract.actions.contradiction(family.kind, described.heads, sizes)
        if conflict is not None:
            raise UploadRejected(conflict)
        return built

    def _built(self, folder: Path) -> BuiltModel:
        """The model, built of what was uploaded or from an earlier build; raises Undeclared."""
        if Part.MODEL not in self._uploaded:
            return load_built_model(folder, self._engines)
        declared = uploaded_file(self._folder, Part.DESCRIPTION)
        description = read_description(declared) if declared.is_file() else Description()
        description.check(self._contract.actions)
        upload = ModelUpload(
            uploaded_file(self._folder, Part.MODEL),
            folder,
            self._contract,
            description,
            self._limits,
            lambda what: self._step(what, self._limits.model_seconds),
            self._observed.known,
            self._engines,
        )
        built = read_model(upload)
        parameters = description.parameters
        check_parameters(parameters, FAMILIES[built.description.family])
        known = description.action_range or built.description.action_range
        built.description = replace(built.description, action_range=known, parameters=parameters)
        return on_faster(built, upload)

    def _output_mapper(self) -> OutputMapper:
        declared = self._contract.actions.declared
        if not self._has(Part.OUTPUT_MAPPER):
            return OutputMapper.of(declared)
        if not self._contract.actions.have_meanings:
            raise UploadRejected(
                "Continuous actions have no meanings: this contract takes no output mapper."
            )
        mapper = read_output_mapper(uploaded_file(self._folder, Part.OUTPUT_MAPPER))
        faults = mapper.contradictions(declared) if declared is not None else []
        if faults:
            raise UploadRejected(f"The output mapper contradicts the schema: {'; '.join(faults)}.")
        self._report.passed("output mapper", f"maps {len(mapper.meanings)} head(s)")
        return mapper

    def _preprocessor(self) -> tuple[Preprocessor, Features] | None:
        """The preprocessor and what it makes of random valid observations; None if missing."""
        try:
            loaded, features = self._observed.tried
        except PreprocessorMissing as error:
            self._report.failed("preprocessor", str(error), Part.PREPROCESSOR)
            return None
        if self._observed.table is not None:
            self._report.passed("features", self._observed.table)
        described = uploaded_file(self._folder, Part.DESCRIPTION)
        if (twice := normalised_twice(self._observed.done, described)) is not None:
            self._report.checks.append(Check("normalisation", False, twice))
        if self._is_observed:
            made = f"{features.shape[1]} finite features of each of {len(features)}"
            detail = f"{self._maker} makes {made} random valid observations"
            self._report.passed("preprocessor", detail)
        return loaded, features

    @property
    def _maker(self) -> str:
        return "the preprocessor" if self._has(Part.PREPROCESSOR) else "the schema"

    def _whole(
        self, model: BuiltModel, mapper: OutputMapper, tried: tuple[Preprocessor, Features] | None
    ) -> None:
        """Check the model with the parts that are there; time them where all of them fit."""
        fits = tried is not None and self._check_width(model.description, tried[1])
        if tried is not None and fits:
            self._step("deciding on random observations", self._limits.model_seconds)
            proof = model.prove(tried[1])
            if proof is not None:
                self._report.passed("proof", proof)
            given = reached_rows(model.engine.run, model.description.memory, tried[1])
            rows = RowProof.of(model.engine.run, given)
            self._report.passed("rows", rows.detail)
        self._report.passed("engine", model.description.engine_detail)
        network = self._network(model.description, mapper)
        if network is None or not self._check_meanings(network, mapper):
            return
        if tried is not None and fits:
            policy = Policy(self._contract, network, model.engine, tried[0], mapper)
            self._check_decisions(policy)
            self._check_golden(policy, mapper)
            timing = measure(model.engine, given, tried[0], self._observed.records)
            self._report.passed("speed", in_words(timing))
            rows.check_again()
            write_timing(self._folder, timing)

    def _network(self, described: NetworkDescription, mapper: OutputMapper) -> Network | None:
        """The network that the version will have, if that can be told yet."""
        sizes = known_sizes(described, self._contract)
        if sizes is None:
            actions, model = self._contract.actions, self._folder / Part.MODEL
            try:
                sizes = declared_sizes(described, actions, mapper, model)
            except Unknown as unknown:
                self._misfit("heads", str(unknown), Part.OUTPUT_MAPPER)
                return None
        return network_of(described, sizes)

    def _check_width(self, described: NetworkDescription, features: Features) -> bool:
        if described.takes_fields and self._has(Part.PREPROCESSOR):
            detail = (
                "the network's inputs take fields of the schema by their names, and now a "
                "preprocessor makes the features: upload the model together with it"
            )
            self._misfit("inputs", detail, Part.PREPROCESSOR)
            return False
        made, taken = features.shape[1], described.feature_width
        if not self._is_observed:
            self._report.passed("width", f"clients send the {taken} numbers that the network takes")
            return True
        detail = f"{self._maker} makes {made} features, the network takes {taken}"
        if made == taken:
            self._report.passed("width", detail)
            return True
        self._misfit("width", f"{detail}: upload a preprocessor that fits", Part.PREPROCESSOR)
        return False

    def _check_meanings(self, network: Network, mapper: OutputMapper) -> bool:
        faults = network.distribution.meaning_faults(mapper)
        if faults is None:
            return True
        if not faults:
            detail = "every action has a meaning" if mapper.meanings else "actions are numbers"
            self._report.passed("meanings", detail)
            return True
        self._misfit("meanings", "; ".join(faults), Part.OUTPUT_MAPPER)
        return False

    def _misfit(self, name: str, detail: str, part: Part) -> None:
        """A part and the model do not fit: the later one is to blame, a model may come first."""
        if part in self._uploaded:
            remedy = "; if it belongs to a new model, upload that first" * (
                Part.MODEL not in self._uploaded
            )
            raise UploadRejected(f"{detail[0].upper()}{detail[1:]}{remedy}.")
        self._report.failed(name, detail, part)

    def _check_decisions(self, policy: Policy) -> None:
        try:
            decisions = policy.decide(self._observed.records, "draw", SEED)
        except ObservationError as error:
            raise UploadRejected(
                f"The network has no finite answer to a valid observation: {error}"
            ) from error
        except EngineFailed as error:
            told = f"The policy cannot decide on a valid observation: {error}."
            raise UploadRejected(told) from error
        likelihood = policy.network.distribution.likelihood
        certain = [decision[likelihood] for decision in decisions if likelihood in decision]
        usual = f", median {likelihood} of the actions {np.median(certain):.3g}" if certain else ""
        self._report.passed("decisions", f"{len(decisions)} decisions{usual}")

    def _check_golden(self, policy: Policy, mapper: OutputMapper) -> None:
        if not self._has(Part.GOLDEN):
            return
        self._step("replaying the golden cases", self._limits.model_seconds)
        outcome = replay(self._folder, self._contract, policy, mapper, self._limits)
        self._report.checks.append(Check("golden cases", outcome.agrees, outcome.detail))
        if not outcome.agrees:
            raise UploadRejected(outcome.detail, outcome.faults, outcome.cases)
