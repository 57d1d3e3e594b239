"""The golden cases of a version that is there already, replayed."""

import traceback
from collections.abc import Callable
from pathlib import Path

from policy_server.build.limits import BuildLimits
from policy_server.build.replay import replay
from policy_server.build.report import BuildReport, Check, Part
from policy_server.contract.contract import Contract
from policy_server.errors import UploadRejected
from policy_server.policy import output_mapper, preprocessor
from policy_server.policy.engine import Network, load_engine
from policy_server.policy.output_mapper import OutputMapper, read_output_mapper
from policy_server.policy.policy import Policy
from policy_server.policy.preprocessor import SchemaPreprocessor, UploadedPreprocessor


def verify(
    folder: Path, contract: Contract, limits: BuildLimits, step: Callable[[str, float], None]
) -> BuildReport:
    """Replay the golden cases of a version, and change nothing.

    Args:
        folder: The version's, complete and with golden cases.
        contract: What it was proven against.
        limits: How much it may take.
        step: Told what is being done and how many seconds it may take.
    """
    report = BuildReport()
    try:
        step("loading the version", limits.model_seconds)
        policy, mapper = _load(folder, contract)
        step("replaying the golden cases", limits.model_seconds)
        outcome = replay(folder, contract, policy, mapper, limits)
        report.checks.append(Check("golden cases", outcome.agrees, outcome.detail))
        report.faults = outcome.faults
    except UploadRejected as error:
        report.reject(error)
    except Exception as error:  # whatever is wrong with the version, say which fault it was
        traceback.print_exc()
        report.rejected = f"The version cannot be asked: {type(error).__name__}: {error}."
    return report


def _load(folder: Path, contract: Contract) -> tuple[Policy, OutputMapper]:
    network = Network.read(folder)
    engine = load_engine(network, folder / Part.MODEL)
    uploaded = folder / Part.PREPROCESSOR / preprocessor.FILE
    meanings = folder / Part.OUTPUT_MAPPER / output_mapper.FILE
    mapper = read_output_mapper(meanings) if meanings.is_file() else OutputMapper()
    making = (
        UploadedPreprocessor(uploaded, contract.decoder.to_dict, network.feature_width)
        if uploaded.is_file()
        else SchemaPreprocessor(contract.schema)
    )
    return Policy(contract, network, engine, making, mapper), mapper
