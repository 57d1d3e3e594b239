"""Preprocessing that a candidate declares, and what its report shows of it."""

from pathlib import Path

from policy_server.contract.schema import ObservationSchema
from policy_server.policy.preprocessing import kind
from policy_server.policy.preprocessing.declared import DeclaredPreprocessor
from policy_server.policy.preprocessing.reading import read_declaration
from policy_server.proving.description import FILE as DESCRIPTION_FILE
from policy_server.proving.description import read_description

TWICE = (
    f"warning: features are normalised twice, by `normalise` of {kind.FILE} and then by that of "
    f"{DESCRIPTION_FILE}: if training normalised once, leave one of them out"
)


def read_declared(
    path: Path, schema: ObservationSchema
) -> tuple[DeclaredPreprocessor, str, set[str]]:
    """Read what a file declares.

    Returns:
        What makes the features, a table of them by name, in lines, and the words of all that is
        done to them.

    Raises:
        UploadRejected: With every fault and its line.
    """
    declaration = read_declaration(path, schema)
    table = "\n".join([f"{declaration.width} in all", *declaration.in_lines()])
    return DeclaredPreprocessor(schema, declaration), table, declaration.operations


def normalised_twice(done: set[str], description: Path) -> str | None:
    """What to say where a declaration and `model.yaml` both normalise; None where not.

    Args:
        done: Words of what the declaration does to features.
        description: `model.yaml`, which need not be there.
    """
    if kind.NORMALISE not in done or not description.is_file():
        return None
    return None if read_description(description).normalise is None else TWICE
