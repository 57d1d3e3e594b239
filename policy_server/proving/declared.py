"""Preprocessing that a candidate declares, and what its report shows of it."""

from pathlib import Path

from policy_server.contract.schema import ObservationSchema
from policy_server.policy.preprocessing.declared import DeclaredPreprocessor
from policy_server.policy.preprocessing.reading import read_declaration


def read_declared(path: Path, schema: ObservationSchema) -> tuple[DeclaredPreprocessor, str]:
    """Read what a file declares.

    Returns:
        What makes the features, and a table of them by name, in lines.

    Raises:
        UploadRejected: With every fault and its line.
    """
    declaration = read_declaration(path, schema)
    table = "\n".join([f"{declaration.width} in all", *declaration.in_lines()])
    return DeclaredPreprocessor(schema, declaration), table
