"""How the features of a version are made, as far as that is no code."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from policy_server.contract.contract import Contract
from policy_server.contract.fields.field import Field
from policy_server.contract.records import Record
from policy_server.policy.features import Features
from policy_server.policy.packing import compile_packing
from policy_server.policy.preprocessing.declared import Step, steps_of
from policy_server.policy.preprocessing.operation import Numbers
from policy_server.policy.preprocessing.reading import read_declaration
from policy_server.version.version_parts import VersionParts

CODE = (
    "The features are made by `preprocess(observation)`, a Python function that was uploaded. It "
    "does not travel: write it again where the network runs, and hold it against golden.jsonl, "
    "which has the features that it made of each observation."
)
SENT = "Clients send the features themselves: the schema has no observations."
SCHEMA = (
    "The features are the fields of an observation in the schema's order: arrays flattened, false "
    "and true as 0 and 1, texts as a 1 among 0s. A field that is not sent counts as 0."
)
DECLARED = (
    "The features are fields of an observation as preprocessing.yaml lists them: arrays flattened, "
    "false and true as 0 and 1. A field that is not sent counts as 0. Then come the steps, "
    "each on all of them, in float64."
)


@dataclass(frozen=True)
class Making:
    """How the features are made.

    Attributes:
        in_words: All of it, in sentences.
        features: Each in order: name, and what its field is.
        steps: What is done to the fields' numbers, in order.
        pack: Makes the numbers before the steps of a record, float64[F] as bytes; None where code
            makes the features, or a client.
    """

    in_words: str
    features: Sequence[Mapping[str, Any]]
    steps: Sequence[Step] = ()
    pack: Callable[[Record], bytes] | None = None

    def numbers(self, records: Sequence[Record], features: Features) -> Numbers:
        """What the steps are done to, float64[B, F]; the features where there are none."""
        if self.pack is None or not self.steps:
            return features.astype(np.float64)
        packed = b"".join(map(self.pack, records))
        return np.frombuffer(packed, "<f8").reshape(features.shape)

    @property
    def operations(self) -> list[dict[str, Any]]:
        """The steps, for JSON: null where an operand is infinite, and so changes nothing."""
        return [
            {
                "operation": ufunc.__name__,
                "operands": [each if np.isfinite(each) else None for each in operand.tolist()],
            }
            for ufunc, operand in self.steps
        ]


def making_of(contract: Contract, parts: VersionParts) -> Making:
    """How the features of a version are made.

    Args:
        contract: What it was proven against.
        parts: Of the version.
    """
    schema, width = contract.schema, parts.network.feature_width
    if parts.code is not None or not schema.is_observed:
        numbered = [{"name": f"feature {index}"} for index in range(width)]
        return Making(SENT if parts.code is None else CODE, numbered)
    if parts.declaration is None:
        fields = schema.featured
        features = [each for name, field in fields.items() for each in _of_field(name, field)]
        return Making(SCHEMA, features)
    declaration = read_declaration(parts.declaration, schema)
    features = [
        _described(name, entry.field, schema.fields[entry.field])
        for entry in declaration.entries
        for name in entry.source.names(entry.field)
    ]
    sources = [(entry.field, entry.source) for entry in declaration.entries]
    pack = compile_packing(schema, sources, "d")
    return Making(DECLARED, features, steps_of(declaration), pack)


def _of_field(name: str, field: Field) -> Iterator[dict[str, Any]]:
    """The features that a field makes as it is."""
    for place, scalar in field.scalars(name):
        if scalar.feature_width == 1:
            yield _described(place, name, field)
        else:
            for choice in scalar.choices or ():
                yield _described(f"{place} = {json.dumps(choice, ensure_ascii=False)}", name, field)


def _described(name: str, field_name: str, field: Field) -> dict[str, Any]:
    about = {
        "name": name,
        "field": field_name,
        "type": field.leaf.json_type,
        "unit": field.unit or field.leaf.unit,
        "description": field.description,
    }
    return {key: value for key, value in about.items() if value is not None}
