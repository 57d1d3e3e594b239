"""Predictions and distributions in the specification: YAML for each kind of action."""

from typing import NamedTuple


class Definitions(NamedTuple):
    """The definitions that depend on what an action is, as the template has them.

    Attributes:
        prediction: Of one action that has one component, below `Prediction: type: object`.
        predictions: The same where an action has several components.
        distribution: Below `Distribution: type: object`, and the definitions that it refers to.
    """

    prediction: str
    predictions: str
    distribution: str


_HEAD = """\
    type: object
    required: [actions, meanings, probabilities]
    properties:
      actions:
        type: array
        items: {type: integer, format: int64, minimum: 0}
        example: [0, 1]
      meanings:
        type: array
        items: {type: string}
        example: [up, stay]
      probabilities:
        type: array
        items: {type: number, format: double, minimum: 0, maximum: 1}
        example: [0.9, 0.1]"""
_DIMENSION = """\
    type: object
    required: [mean, standard_deviation]
    properties:
      mean: {type: number, format: double, description: "Of the action", example: 0.5}
      standard_deviation: {type: number, format: double, minimum: 0, \
description: "Of the action; 0 where the policy does not draw", example: 0.2}
      minimum: {type: number, format: double, \
description: "No action lies below; absent for a normal distribution", example: -1}
      maximum: {type: number, format: double, \
description: "No action lies above; absent for a normal distribution", example: 1}"""

NUMBERED = Definitions(
    prediction="""\
    required: [action, meaning, probability]
    properties:
      action: {type: integer, format: int64, minimum: 0, \
description: Number of the action, example: 2}
      meaning: {type: string, description: What the action stands for, example: move down}
      probability: {type: number, format: double, minimum: 0, maximum: 1, example: 0.17}""",
    predictions="""\
    required: [actions, meanings, probability]
    properties:
      actions:
        type: array
        description: Number of the action of each head
        items: {type: integer, format: int64, minimum: 0}
        example: [1, 0]
      meanings:
        type: array
        description: What each of them stands for
        items: {type: string}
        example: [up, stay]
      probability:
        type: number
        format: double
        minimum: 0
        maximum: 1
        description: Of these actions together
        example: 0.12""",
    distribution="""\
    required: [heads, entropy]
    properties:
      heads:
        type: array
        description: One for each component of an action
        items: {$ref: "#/definitions/Head"}
      entropy: {type: number, format: double, minimum: 0, description: In nats, example: 0.33}
  Head:
"""
    + _HEAD,
)
"""Actions are numbered."""

REAL = Definitions(
    prediction="""\
    properties:
      action: {type: number, format: double, \
description: "The action, where it has one dimension", example: 0.53}
      actions:
        type: array
        description: The action, where it has several dimensions
        items: {type: number, format: double}
      density: {type: number, format: double, minimum: 0, \
description: "Of the action as it stands here, before anything is scaled or clipped; may exceed 1; \
absent where the policy does not draw", example: 1.9}""",
    predictions="""\
    required: [actions]
    properties:
      actions:
        type: array
        description: The action
        items: {type: number, format: double}
        example: [0.5, 2.4]
      density: {type: number, format: double, minimum: 0, \
description: "Of the action as it stands here, before anything is scaled or clipped; may exceed 1; \
absent where the policy does not draw", example: 1.9}""",
    distribution="""\
    required: [dimensions]
    properties:
      dimensions:
        type: array
        items: {$ref: "#/definitions/Dimension"}
      entropy: {type: number, format: double, \
description: "Differential, in nats; may be negative; absent where the policy does not draw", \
example: -0.19}
  Dimension:
"""
    + _DIMENSION,
)
"""Actions are real numbers."""

_MIXED_PREDICTION = """\
    required: [actions]
    properties:
      actions:
        type: array
        description: The action; of a numbered component its number
        items: {type: number, format: double}
        example: [2, 0.41]
      density: {type: number, format: double, minimum: 0, \
description: "Of all components together as they stand here, before anything is scaled or clipped, \
numbered ones by their probability; may exceed 1; absent where a dimension is not drawn", \
example: 0.3}"""
_BOTH = """\
    required: [heads, dimensions]
    properties:
      heads:
        type: array
        description: One for each numbered component of an action, in order
        items: {$ref: "#/definitions/Head"}
      dimensions:
        type: array
        description: One for each of the others, in order
        items: {$ref: "#/definitions/Dimension"}
      entropy: {type: number, format: double, \
description: "Of all together, in nats; may be negative; absent where there is none", \
example: -0.19}
"""
MIXED = Definitions(
    prediction=_MIXED_PREDICTION,
    predictions=_MIXED_PREDICTION,
    distribution=_BOTH + f"  Head:\n{_HEAD}\n  Dimension:\n{_DIMENSION}",
)
"""Actions are numbered and real numbers together, which are always several."""


def with_values(prediction: str) -> str:
    """A definition of a Prediction which has, beside its own, the action as it is declared."""
    head, properties, rest = prediction.partition("    properties:\n")
    head = head.replace("]", ", values]") if head else "    required: [values]\n"
    values = '      values: {$ref: "#/definitions/Action"}'
    return f"{head}{properties}{rest}\n{values}"
