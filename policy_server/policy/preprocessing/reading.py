"""preprocessing.yaml, read with every fault and its line."""

import ast
from collections.abc import Sequence
from pathlib import Path

import yaml

from policy_server.contract.document import FaultList, entries, mapping, read_document, switch
from policy_server.contract.encoding import not_utf8
from policy_server.contract.fields.field import Field
from policy_server.contract.schema import ObservationSchema
from policy_server.errors import Fault, SchemaError, UploadRejected
from policy_server.policy.preprocessing.declaration import Declaration, Entry
from policy_server.policy.preprocessing.hints import meant, unknown_word
from policy_server.policy.preprocessing.kind import FEATURES, FILE, NORMALISE, SECTIONS
from policy_server.policy.preprocessing.normalise import Normalise
from policy_server.policy.preprocessing.operation import Given, Operation
from policy_server.policy.preprocessing.registry import OPERATIONS
from policy_server.policy.preprocessing.sources import (
    MAX_VALUES,
    AsItIs,
    OneHot,
    Source,
    values_of,
)

SUMMARY = "The preprocessing that is declared cannot be served."
MAX_FEATURES = 100_000
SHOWN_FIELDS = 10
FIELD, ONE_HOT = "field", "one_hot"
WORDS = (FIELD, ONE_HOT, *(operation.word for operation in OPERATIONS))
FLATTEN = "`flatten` needs no word: an array makes its numbers one after the other."
CODE_TOO = (
    "the file begins as a declaration does, and is Python that defines `preprocess`: which is it? "
    "Code begins with another line, such as an import or a text in quotes."
)


def read_declaration(path: Path, schema: ObservationSchema) -> Declaration:
    """Read what a file declares of the fields of a schema.

    Raises:
        UploadRejected: With every fault and its line.
    """
    content = path.read_bytes()
    if (encoding := not_utf8(content)) is not None:
        raise UploadRejected(SUMMARY, [Fault(FILE, encoding)])
    text = content.decode("utf-8-sig")
    try:
        return Reader(schema).read(text)
    except SchemaError as error:
        faults = [Fault(f"{FILE}:1", CODE_TOO)] if _defines_preprocess(text) else error.faults
        raise UploadRejected(SUMMARY, faults) from error


class Reader:
    """Reads one file and collects what is wrong with it.

    Args:
        schema: What observations are.
    """

    def __init__(self, schema: ObservationSchema) -> None:
        self._schema = schema
        self._faults = FaultList(FILE)

    def read(self, text: str) -> Declaration:
        """Read the text of a file; raises SchemaError."""
        root = read_document(text, FILE)
        sections: dict[str, yaml.Node] = {}
        for name, key, node in entries(root, self._faults):
            if name in SECTIONS:
                sections[name] = node
            else:
                self._faults.add(key, unknown_word(name, SECTIONS))
        if not sections:
            self._faults.add(root, f"`{FEATURES}`, the list of what the network takes, is missing.")
        listed = self._listed(sections[FEATURES]) if FEATURES in sections else self._default(root)
        # Widths follow from every entry, so what is said of all waits for these.
        self._faults.raise_if_any(SUMMARY)
        width = sum(entry.width for entry in listed)
        if width > MAX_FEATURES:
            self._faults.add(root, f"{width:,} features are declared, {MAX_FEATURES:,} may be.")
            self._faults.raise_if_any(SUMMARY)
        whole: Normalise | None = None
        if NORMALISE in sections:
            given = Given(f"`{NORMALISE}`", sections[NORMALISE], width, self._faults)
            whole = Normalise.read(given)
        self._faults.raise_if_any(SUMMARY)
        remarks = self._remarks(listed)
        return Declaration(listed, () if whole is None else (whole,), remarks)

    def _listed(self, node: yaml.Node) -> list[Entry]:
        """The entries of `features`."""
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            self._faults.add(node, f"`{FEATURES}` is a list, each with a `{FIELD}`, and not empty.")
            return []
        made = [self._entry(item) for item in node.value]
        return [entry for entry in made if entry is not None]

    def _default(self, root: yaml.Node) -> list[Entry]:
        """Every field but masks in the schema's order, as without a file."""
        made: list[Entry] = []
        for name, field in self._schema.featured.items():
            source = self._source(root, name, field, one_hot=field.leaf.textual)
            if source is not None:
                made.append(Entry(name, source))
        return made

    def _entry(self, node: yaml.Node) -> Entry | None:
        body = mapping(node, f"each of `{FEATURES}`", self._faults)
        if body is None:
            return None
        words: dict[str, yaml.Node] = {}
        before = (-1, "")
        for word, key, value in entries(body, self._faults):
            if word not in WORDS:
                self._faults.add(key, FLATTEN if word == "flatten" else unknown_word(word, WORDS))
                continue
            words[word] = value
            place = (WORDS.index(word), word)
            if word != FIELD:
                self._check_order(key, before, place)
                before = max(before, place)
        return self._made(node, words)

    def _check_order(self, key: yaml.Node, before: tuple[int, str], place: tuple[int, str]) -> None:
        """Note a fault where a word stands below one that is applied after it."""
        if place < before:
            fault = (
                f"`{place[1]}` is applied before `{before[1]}`, and stands below it: the words "
                f"stand in their order, {', '.join(WORDS[1:])}."
            )
            self._faults.add(key, fault)

    def _made(self, node: yaml.Node, words: dict[str, yaml.Node]) -> Entry | None:
        name = self._field_name(node, words.get(FIELD))
        if name is None:
            return None
        one_hot = self._one_hot(name, words.get(ONE_HOT))
        source = self._source(words.get(ONE_HOT, node), name, self._schema.fields[name], one_hot)
        if source is None:
            return None
        operations: list[Operation] = []
        for operation in OPERATIONS:
            if operation.word in words:
                what = f"`{operation.word}` of `{name}`"
                value = words[operation.word]
                read = operation.read(Given(what, value, source.feature_width, self._faults))
                operations += [] if read is None else [read]
        return Entry(name, source, tuple(operations))

    def _field_name(self, node: yaml.Node, named: yaml.Node | None) -> str | None:
        if named is None:
            self._faults.add(node, f"`{FIELD}`, the name of a field of the schema, is missing.")
            return None
        name = named.value if isinstance(named, yaml.ScalarNode) else None
        if name in self._schema.fields:
            return name
        hint = meant(str(name), list(self._schema.fields)) if name is not None else "a name is."
        self._faults.add(named, f"`{name}` is no field of the schema: {hint}")
        return None

    def _one_hot(self, name: str, node: yaml.Node | None) -> bool:
        said = switch(node) if node is not None else False
        if said is None and node is not None:
            self._faults.add(node, f"`{ONE_HOT}` of `{name}` is true or false.")
        return bool(said)

    def _source(self, node: yaml.Node, name: str, field: Field, one_hot: bool) -> Source | None:
        """How a field becomes numbers; None with a fault."""
        leaf = field.leaf
        if field.feature_width is None:
            remedy = "give it as many items at least as at most, or upload code"
            fault = (
                f"`{name}` has no fixed size, so it makes no fixed number of features: {remedy}."
            )
        elif leaf.textual and not one_hot:
            fault = f"`{name}` is text: `{ONE_HOT}: true` makes a feature of each of its values."
        elif not one_hot:
            return AsItIs(field)
        elif (values := values_of(leaf)) is None:
            fault = (
                f"the values of `{name}` cannot be counted, as `{ONE_HOT}` has to: it takes a "
                "boolean, a field with `enum`, or an integer with `minimum` and `maximum`."
            )
        elif len(values) > MAX_VALUES:
            fault = f"`{name}` has more than {MAX_VALUES:,} values, too many for `{ONE_HOT}`."
        else:
            return OneHot(field, values)
        self._faults.add(node, fault)
        return None

    def _remarks(self, listed: Sequence[Entry]) -> tuple[str, ...]:
        used = {entry.field: None for entry in listed}
        unused = [name for name in self._schema.featured if name not in used]
        absent = [name for name in used if not self._schema.always_has(name)]
        remarks = []
        if unused:
            remarks.append(f"no feature is made of {_names(unused)}")
        if absent:
            remarks.append(f"where it is not sent, 0 stands for {_names(absent)}")
        return tuple(remarks)


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN_FIELDS} more" if len(names) > SHOWN_FIELDS else ""
    return ", ".join(f"`{name}`" for name in names[:SHOWN_FIELDS]) + more


def _defines_preprocess(text: str) -> bool:
    """Whether a text is Python with a function `preprocess`."""
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(
        isinstance(each, ast.FunctionDef) and each.name == "preprocess" for each in module.body
    )
