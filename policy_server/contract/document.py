"""YAML with line numbers: a document as nodes that know where they stand."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from policy_server.errors import Fault, SchemaError

MAX_DOCUMENT_CHARACTERS = 2_000_000
"""Far above any schema that a person writes or a program generates (1,000 fields take 100 kB)."""

SHOWN_CHARACTERS = 40

EXPONENT_WITHOUT_POINT = re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+")


class _Loader(yaml.SafeLoader):
    """A loader without aliases: ten lines of them can stand for more text than memory holds."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # in the stubs
            problem = "aliases (*) are not read: write it out"
            raise yaml.composer.ComposerError(None, None, problem, mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


@dataclass
class FaultList:
    """Collects the faults of one file, each with its line."""

    file: str
    faults: list[Fault] = field(default_factory=list)

    def add(self, node: yaml.Node, detail: str) -> None:
        """Note a fault at the line where `node` stands."""
        self.faults.append(Fault(f"{self.file}:{line_of(node)}", detail))

    def raise_if_any(self, summary: str) -> None:
        """Raise SchemaError with every fault noted so far, if there is one."""
        if self.faults:
            raise SchemaError(summary, self.faults)


def line_of(node: yaml.Node) -> int:
    """The line of a node, counted from 1."""
    return int(node.start_mark.line) + 1


def read_document(text: str, file: str) -> yaml.MappingNode:
    """Parse one YAML document whose root is a mapping.

    Raises:
        SchemaError: It is not YAML, holds more than one document, is too large, or is no mapping.
    """
    summary = f"{file} cannot be read."
    if len(text) > MAX_DOCUMENT_CHARACTERS:
        raise SchemaError(summary, [Fault(file, "longer than 2,000,000 characters.")])
    try:
        node = yaml.compose(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        fault = Fault(_place(error, text, file), f"not YAML: {_problem(error)}.")
        raise SchemaError(summary, [fault]) from error
    except RecursionError as error:
        raise SchemaError(summary, [Fault(file, "nested too deeply.")]) from error
    if not isinstance(node, yaml.MappingNode):
        place = file if node is None else f"{file}:{line_of(node)}"
        found = "nothing" if node is None else _kind(node)
        raise SchemaError(summary, [Fault(place, f"a mapping is wanted, {found} was found.")])
    return node


def entries(
    node: yaml.MappingNode, faults: FaultList
) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
    """The entries of a mapping as (name, key node, value node); a name given twice is a fault.

    Names are taken as they are written, so that a field may be called `no` or `1`.
    """
    seen: set[str] = set()
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            faults.add(key, "a name is wanted here, not a list or a mapping.")
        elif key.tag == "tag:yaml.org,2002:merge":
            faults.add(key, "merge keys (<<) are not read: write the entries out.")
        elif key.value in seen:
            faults.add(key, f"`{key.value}` stands here a second time: keep one of them.")
        else:
            seen.add(key.value)
            yield key.value, key, value


def mapping(node: yaml.Node, what: str, faults: FaultList) -> yaml.MappingNode | None:
    """The node itself if it is a mapping; otherwise a fault and None."""
    if isinstance(node, yaml.MappingNode):
        return node
    faults.add(node, f"{what} must be a mapping, {_kind(node)} was found.")
    return None


def plain_value(node: yaml.Node, *, text: bool = False) -> object:
    """The Python value of a node.

    A plain `1e3` is the number a person means, though YAML 1.1 calls it text.

    Args:
        node: Of any kind.
        text: Text is wanted here, so that a plain `1e3` is the text it is to YAML.

    Raises:
        ValueError: The node has a value that YAML cannot make, such as a date out of range, or a
            text that is no Unicode.
    """
    if isinstance(node, yaml.ScalarNode):
        if node.style is None and not text and EXPONENT_WITHOUT_POINT.fullmatch(node.value):
            return float(node.value)
        return _scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return [plain_value(item, text=text) for item in node.value]
    return {str(key.value): plain_value(value, text=text) for key, value in node.value}


def switch(node: yaml.Node) -> bool | None:
    """True or false, as YAML spells them; None where the node is anything else."""
    try:
        value = plain_value(node)
    except ValueError:
        return None
    return value if isinstance(value, bool) else None


def _scalar(node: yaml.ScalarNode) -> object:
    try:
        value = yaml.SafeLoader("").construct_object(node)
    except (yaml.YAMLError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        # PyYAML believes a tag: `!!bool maybe` is a KeyError, `!!timestamp soon` an AttributeError.
        reason = f" ({_problem(error)})" if isinstance(error, yaml.YAMLError | ValueError) else ""
        raise ValueError(f"{_kind(node)} is not what its form or tag says{reason}") from error
    if isinstance(value, str):
        # JSON writes characters beyond 16 bits as two escapes, which YAML takes for two characters.
        try:
            return value.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError as error:
            message = "it holds half a character: \\ud800 to \\udfff come in pairs"
            raise ValueError(message) from error
    return value


def _place(error: Exception, text: str, file: str) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"{file}:{error.problem_mark.line + 1}"
    if isinstance(error, yaml.reader.ReaderError):
        return f"{file}:{text.count(chr(10), 0, error.position) + 1}"
    return file


def _problem(error: Exception) -> str:
    """What an error says, in one line."""
    if isinstance(error, yaml.MarkedYAMLError):
        return str(error.problem)
    if isinstance(error, yaml.reader.ReaderError):
        return f"the character U+{error.character:04X} is not allowed"
    return str(error)


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    text = str(node.value)
    return f"`{text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + '...'}`"
