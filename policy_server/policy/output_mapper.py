"""What action numbers mean."""

import json
from collections.abc import Sequence
from pathlib import Path

import yaml

from policy_server.contract.declared_actions import DeclaredActions
from policy_server.contract.document import FaultList, entries, line_of
from policy_server.contract.encoding import not_utf8
from policy_server.contract.fields.field import Value
from policy_server.errors import SchemaError, UploadRejected

FILE = "output_mapper.yaml"


class OutputMapper:
    """Meaning of each action number of each head.

    Args:
        meanings: One map a head, action number -> meaning; none means that numbers speak for
            themselves.
    """

    def __init__(self, meanings: Sequence[dict[int, str]] = ()) -> None:
        self.meanings = tuple(meanings)

    @classmethod
    def of(cls, actions: DeclaredActions | None) -> "OutputMapper":
        """The meanings that a schema gives to its numbered actions: the values, as texts."""
        if actions is None:
            return cls()
        heads = [each.choices for each in actions.components if each.choices is not None]
        return cls([dict(enumerate(map(_text, choices))) for choices in heads])

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many actions of each head have a meaning."""
        return tuple(len(meanings) for meanings in self.meanings)

    def meaning(self, head: int, action: int) -> str:
        """The meaning of an action of a head."""
        return self.meanings[head][action] if self.meanings else str(action)

    def contradictions(self, actions: DeclaredActions) -> list[str]:
        """How the meanings contradict the declared actions, in sentences without their ends.

        What a schema names, an output mapper may not name otherwise; numbers and truth values may
        have any meaning.
        """
        declared = [len(each.choices or ()) for each in actions.components]
        if [*self.sizes] != declared:
            sizes = " + ".join(map(str, declared))
            return [f"it has {' + '.join(map(str, self.sizes))} actions, the schema {sizes}"]
        return [
            f"action {number} of `{each.place}` is `{choice}` there and `{meanings[number]}` here"
            for each, meanings in zip(actions.components, self.meanings, strict=True)
            for number, choice in enumerate(each.choices or ())
            if isinstance(choice, str) and meanings.get(number) != choice
        ]

    def faults(self, head_sizes: Sequence[int | None]) -> list[str]:
        """What is wrong with the mapper for a policy of these heads, in sentences.

        Args:
            head_sizes: Actions of each head; None where they are not counted.
        """
        if not self.meanings:
            return []
        if len(self.meanings) != len(head_sizes):
            return [
                f"the output mapper speaks of {len(self.meanings)} heads, the policy has "
                f"{len(head_sizes)}: give a list of one map for each head."
            ]
        faults = []
        for head, (meanings, size) in enumerate(zip(self.meanings, head_sizes, strict=True)):
            if size is None:
                continue
            where = f" of head {head}" if len(head_sizes) > 1 else ""
            missing = [str(action) for action in range(size) if action not in meanings]
            if missing:
                faults.append(
                    f"the output mapper has no meaning for action{where} {', '.join(missing)}: "
                    f"the policy has {size} actions."
                )
            surplus = [str(action) for action in sorted(meanings) if action >= size]
            if surplus:
                faults.append(
                    f"the output mapper has a meaning for action{where} {', '.join(surplus)}, and "
                    f"the policy has {size} actions, 0 to {size - 1}: it was written for another "
                    "policy."
                )
        return faults


def read_output_mapper(path: Path) -> OutputMapper:
    """Read an output mapper from YAML: a map, or a list of maps for tuples.

    Meanings are kept as they are written: `0: no` means "no".

    Raises:
        UploadRejected: With every fault and its line.
    """
    content = path.read_bytes()
    if (encoding := not_utf8(content)) is not None:
        raise UploadRejected(f"The output mapper is not YAML that can be read: {encoding}")
    try:
        root = yaml.compose(content.decode(), Loader=yaml.BaseLoader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        message = " ".join(str(error).split()) or "nested too deeply"
        raise UploadRejected(f"The output mapper is not YAML: {message}.") from error
    heads = root.value if isinstance(root, yaml.SequenceNode) and root.value else [root]
    faults = FaultList(FILE)
    meanings = [_read_head(head, faults) for head in heads]
    try:
        faults.raise_if_any("The output mapper cannot be read.")
    except SchemaError as error:
        raise UploadRejected(str(error)) from error
    return OutputMapper(meanings)


def _text(value: Value) -> str:
    """A value as an answer words it: texts as they are, numbers and truth values as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # YAML reads "\\ud800", which no answer could carry
        return False
    return True


def _read_head(node: yaml.Node | None, faults: FaultList) -> dict[int, str]:
    if not isinstance(node, yaml.MappingNode) or not node.value:
        wanted = "a mapping from action number to meaning (or a list of them) is wanted."
        raise UploadRejected(f"{FILE}:{line_of(node) if node else 1}: {wanted}")
    meanings: dict[int, str] = {}
    for number, key, value in entries(node, faults):
        if not (number.isascii() and number.isdigit() and len(number) < 10):
            faults.add(key, f"`{number}` is not the number of an action: 0, 1, 2, ...")
        elif int(number) in meanings:
            faults.add(key, f"action {int(number)} stands here a second time: keep one of them.")
        elif not isinstance(value, yaml.ScalarNode) or not value.value.strip():
            faults.add(value, f"action {number} needs a meaning, a short text.")
        elif not _is_unicode(value.value):
            faults.add(value, f"the meaning of action {number} holds half a character.")
        else:
            meanings[int(number)] = value.value
    return meanings
