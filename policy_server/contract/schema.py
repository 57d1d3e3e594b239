"""An observation in the project's own terms, whichever dialect it was written in."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from policy_server.contract.actions import ActionSettings
from policy_server.contract.declared_actions import DeclaredActions
from policy_server.contract.fields.field import Field, Value
from policy_server.contract.masks import Mask, masks_of

Observation: TypeAlias = dict[str, Value]


@dataclass(frozen=True)
class ObservationSchema:
    """The fields of an observation, in the order of the features.

    Attributes:
        fields: Field by name, in the schema's order.
        required: Names of the fields that must be sent.
        parameters: What the file says about actions.
        text: The file as it was given, secrets removed.
        warnings: What was read but ignored, one sentence each.
        actions: The actions that the file declares; None where it declares none.
        url_path: Below which path the API lies, `app/v1`; None leaves it where it is.
    """

    fields: Mapping[str, Field]
    required: frozenset[str]
    parameters: ActionSettings = field(default_factory=ActionSettings)
    text: str = ""
    warnings: tuple[str, ...] = ()
    actions: DeclaredActions | None = None
    url_path: str | None = None

    @property
    def is_observed(self) -> bool:
        """Whether clients send observations; otherwise they send the network's own input vector."""
        return bool(self.fields)

    @cached_property
    def masks(self) -> tuple[Mask, ...]:
        """Its fields that say which actions are allowed; they make no features."""
        return masks_of(self.fields, self.actions)

    @property
    def featured(self) -> Mapping[str, Field]:
        """The fields that make features: all but the masks."""
        return {name: field for name, field in self.fields.items() if field.mask_of is None}

    def as_json_schema(self) -> dict[str, object]:
        """The observation as a Swagger 2.0 definition; unknown fields are refused."""
        definition: dict[str, object] = {
            "type": "object",
            "additionalProperties": False,
            "properties": {name: field.as_json_schema() for name, field in self.fields.items()},
        }
        if self.required:
            definition["required"] = [name for name in self.fields if name in self.required]
        example = self.example()
        if example is not None:
            definition["example"] = example
        return definition

    def always_has(self, name: str) -> bool:
        """Whether each decoded observation has a field: it must be sent, or has a default."""
        return name in self.required or self.fields[name].default is not None

    def example(self) -> Observation | None:
        """One whole observation from the fields' examples; None where a required one has none."""
        example = {
            name: field.example for name, field in self.fields.items() if field.example is not None
        }
        return example if self.required <= example.keys() else None

    @cached_property
    def digest(self) -> str:
        """A hash of what the schema means; documentation does not count."""
        meaning = [
            [name, field.meaning(), name in self.required] for name, field in self.fields.items()
        ]
        return hashlib.sha256(json.dumps(meaning).encode()).hexdigest()
