"""The golden cases of a version that is there already, replayed."""

import traceback
from collections.abc import Callable
from pathlib import Path

from policy_server.contract.contract import Contract
from policy_server.errors import UploadRejected
from policy_server.policy.policy import Policy
from policy_server.policy.preprocessor import Preprocessor
from policy_server.proving.limits import BuildLimits
from policy_server.proving.remote_engines import NO_ENGINES, RemoteEngines, loaded_by
from policy_server.proving.replay import replay
from policy_server.proving.report import BuildReport, Check
from policy_server.sandbox.preprocessor import SandboxedPreprocessor
from policy_server.version.version_parts import VersionParts, read_network


def verify(
    folder: Path,
    contract: Contract,
    limits: BuildLimits,
    step: Callable[[str, float], None],
    engines: RemoteEngines = NO_ENGINES,
) -> BuildReport:
    """Replay the golden cases of a version, and change nothing.

    Args:
        folder: The version's, complete and with golden cases.
        contract: What it was proven against.
        limits: How much it may take.
        step: Told what is being done and how many seconds it may take.
        engines: Whose networks other servers run.
    """
    report = BuildReport()
    making: Preprocessor
    sandboxed: SandboxedPreprocessor | None = None
    try:
        step("loading the version", limits.model_seconds)
        network = read_network(folder, contract)
        parts = VersionParts.read(folder, network, contract, loaded_by(engines))
        if parts.code is None:
            making = parts.preprocessor(contract)
        else:
            width = parts.network.feature_width
            making = sandboxed = SandboxedPreprocessor(parts.code, limits.isolation, width)
        policy = Policy(contract, parts.network, parts.engine, making, parts.mapper)
        step("replaying the golden cases", limits.model_seconds)
        outcome = replay(folder, contract, policy, parts.mapper, limits)
        report.checks.append(Check("golden cases", outcome.agrees, outcome.detail))
        report.faults, report.cases = outcome.faults, outcome.cases
    except UploadRejected as error:
        report.reject(error)
    except Exception as error:  # whatever is wrong with the version, say which fault it was
        traceback.print_exc()
        report.rejected = f"The version cannot be asked: {type(error).__name__}: {error}."
    finally:
        if sandboxed is not None:
            sandboxed.close()
    return report
