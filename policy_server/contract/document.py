"""YAML with line numbers: a document as nodes that know where they stand."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from policy_server.errors import Fault, SchemaError

MAX_DOCUMENT_CHARACTERS = 2_000_000
"""Far above any schema that a person writes or a program generates (1,000 fields take 100 kB)."""

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
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{file}:{mark.line + 1}" if mark else file
        raise SchemaError(summary, [Fault(place, f"not YAML: {error.problem}.")]) from error
    except (yaml.YAMLError, ValueError) as error:
        raise SchemaError(summary, [Fault(file, f"not YAML: {error}.")]) from error
    except RecursionError as error:
        raise SchemaError(summary, [Fault(file, "nested too deeply.")]) from error
    if not isinstance(node, yaml.MappingNode):
        found = "nothing" if node is None else _kind(node)
        raise SchemaError(summary, [Fault(file, f"a mapping is wanted, {found} was found.")])
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


def plain_value(node: yaml.Node) -> object:
    """The Python value of a node.

    A plain `1e3` is the number a person means, though YAML 1.1 calls it text.

    Raises:
        ValueError: The node has a value that YAML cannot make, such as a date out of range.
    """
    if isinstance(node, yaml.ScalarNode):
        if node.style is None and EXPONENT_WITHOUT_POINT.fullmatch(node.value):
            return float(node.value)
        return yaml.SafeLoader("").construct_object(node)
    if isinstance(node, yaml.SequenceNode):
        return [plain_value(item) for item in node.value]
    return {str(key.value): plain_value(value) for key, value in node.value}


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return "a mapping" if isinstance(node, yaml.MappingNode) else f"`{node.value}`"
