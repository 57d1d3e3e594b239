"""Preprocessing that a candidate declares, and what its report shows of it."""

from pathlib import Path

from policy_server.contract.contract import Contract
from policy_server.policy.preprocessing.declared import DeclaredPreprocessor
from policy_server.policy.preprocessing.reading import read_declaration
from policy_server.proving.report import BuildReport
from policy_server.version.parts import Part, uploaded_file


def read_declared(folder: Path, contract: Contract, report: BuildReport) -> DeclaredPreprocessor:
    """Read what a candidate declares, and show each feature by name in the report.

    Raises:
        UploadRejected: With every fault and its line.
    """
    declaration = read_declaration(uploaded_file(folder, Part.PREPROCESSOR), contract.schema)
    report.passed("features", "\n".join([f"{declaration.width} in all", *declaration.in_lines()]))
    return DeclaredPreprocessor(contract.schema, declaration)
