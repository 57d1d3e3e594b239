"""Statistics in a .npz beside a declaration: written into it, as an upload is one file."""

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from policy_server.contract.document import FaultList, read_document
from policy_server.contract.encoding import not_utf8
from policy_server.errors import SchemaError, UploadRejected
from policy_server.policy.preprocessing.kind import NORMALISE
from policy_server.policy.preprocessing.normalise import STATISTICS_FILE
from policy_server.policy.preprocessing.operation import Numbers

SUMMARY = "The statistics of the preprocessing cannot be read."
ARRAYS = {"mean": "mean", "variance": "variance", "var": "variance", "std": "std"}
"""Names of arrays, and the words that they stand for; frameworks write `var`."""
MAX_BYTES = 4_000_000
"""Of a file of statistics, packed and unpacked; far above those of MAX_FEATURES features."""

ENDING = ".npz"


@dataclass(frozen=True)
class Place:
    """Where a `normalise` names a file.

    Attributes:
        named: The name, a node.
        start: Where the text begins that is replaced.
        before: What stands before the numbers instead.
        between: What stands between them.
        behind: What stands behind them.
    """

    named: yaml.Node
    start: int
    before: str
    between: str
    behind: str


def with_statistics(path: Path) -> bytes:
    """The content of a declaration; where it names a .npz beside it, with its numbers instead.

    `normalise: statistics.npz` stands for the numbers in the file and nothing else.

    Args:
        path: Of preprocessing.yaml or model.yaml.

    Raises:
        UploadRejected: The .npz is not there, or holds something else; with the line that names it.
    """
    content = path.read_bytes()
    words = (STATISTICS_FILE.encode(), ENDING.encode())
    if not any(word in content for word in words) or not_utf8(content) is not None:
        return content
    text = content.decode("utf-8-sig")
    try:
        return _embedded(text, path).encode()
    except SchemaError as error:
        raise UploadRejected(SUMMARY, error.faults) from error


def _embedded(text: str, path: Path) -> str:
    try:
        root = read_document(text, path.name)
    except SchemaError:
        return text  # which the build explains
    faults = FaultList(path.name)
    for place in reversed(list(_places(root))):
        statistics = _read(path.parent, place.named, faults)
        words = place.between.join(f"{word}: {_listed(each)}" for word, each in statistics.items())
        end = place.named.end_mark.index
        text = f"{text[: place.start]}{place.before}{words}{place.behind}{text[end:]}"
    faults.raise_if_any(SUMMARY)
    return text


def _places(node: yaml.Node) -> Iterator[Place]:
    """Where a `normalise` names a file, in the order of the text."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _places(item)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == NORMALISE and isinstance(value, yaml.MappingNode):
                for word, named in value.value:
                    if word.value == STATISTICS_FILE:
                        start = word.start_mark
                        between = ", " if value.flow_style else "\n" + " " * start.column
                        yield Place(named, start.index, "", between, "")
            elif key.value == NORMALISE and str(value.value).endswith(ENDING):
                yield Place(value, value.start_mark.index, "{", ", ", "}")
            yield from _places(value)


def _read(folder: Path, named: yaml.Node, faults: FaultList) -> Mapping[str, Numbers]:
    """The arrays of a .npz, each under its word; none with a fault."""
    name = str(named.value)
    file = folder / name
    if Path(name).name != name or file.is_symlink() or not file.is_file():
        faults.add(
            named, f"`{name}` is no file beside {faults.file}: a plain name is wanted, and no link."
        )
        return {}
    try:
        _check_size(file)
        with np.load(file, allow_pickle=False) as loaded:
            arrays = {each: np.asarray(loaded[each]) for each in loaded.files}
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
        faults.add(named, f"`{name}` is no sound .npz: {' '.join(str(error).split())}.")
        return {}
    found = {ARRAYS[each]: array for each, array in arrays.items() if each in ARRAYS}
    wrong = [word for word, array in found.items() if array.dtype.kind not in "iuf"]
    if "mean" not in found or found.keys() == {"mean"} or wrong:
        remedy = "arrays of numbers called `mean` and `variance` (or `var`, or `std`) are wanted"
        faults.add(named, f"`{name}` holds {', '.join(map(repr, arrays)) or 'nothing'}: {remedy}.")
        return {}
    return {word: array.astype(np.float64) for word, array in found.items()}


def _check_size(file: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if max(unpacked, file.stat().st_size) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES:,} bytes")


def _listed(numbers: Numbers) -> str:
    """Numbers in YAML: a list, or where there is no dimension the number alone."""
    listed = ", ".join(repr(number) for number in numbers.ravel().tolist())
    return f"[{listed}]" if numbers.ndim else listed
