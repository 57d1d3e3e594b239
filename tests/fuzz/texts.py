"""Readers of the YAML files of a folder: schema, model.yaml, preprocessing, output mapper."""

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from policy_server.contract.contract import Contract, ContractFile
from policy_server.contract.reading import read_schema
from policy_server.contract.samples import random_observations
from policy_server.errors import SchemaError, UploadRejected
from policy_server.policy.output_mapper import read_output_mapper
from policy_server.policy.preprocessing.reading import read_declaration
from policy_server.proving.description import read_description
from tests.fuzz.target import Target
from tests.support.checkout import ROOT

FOLDER = TemporaryDirectory(prefix="fuzz-")
FILE = Path(FOLDER.name) / "case"
FIELDS = """observations:
  speed: {type: float, minimum: -5, maximum: 5}
  gear: {type: int, minimum: 0, maximum: 4}
  surface: {type: str, enum: [dry, wet, snow]}
  lights: {type: bool}
  rays: {type: "List[float]", min_items: 3, max_items: 3}
"""
MIXED = f"""parameters: {{tuple: true, url_path: drive/v1}}
{FIELDS}  allowed: {{type: "List[bool]", min_items: 3, max_items: 3, mask_of: steer}}
actions:
  steer: {{type: str, enum: [left, straight, right], description: Front wheels}}
  throttle: {{type: float, minimum: 0, maximum: 1, unit: share}}
"""
SWAGGER = """Observation:
  type: object
  required: [id, cells]
  properties:
    id: {type: integer, example: 0, minimum: 0, maximum: 10, description: Table}
    cells: {type: array, items: {type: array, items: {type: number}, minItems: 2, maxItems: 2},
            minItems: 2, maxItems: 2}
    mood: {type: string, enum: ["no", "yes"], default: "no"}
"""
DESCRIPTION = """output: {mean: mu, log_std: log_std}
reads: mean_log_std
action_range: [-1, 1]
inputs: {obs_0: [speed, "features 3 to 5"], obs_1: [rays]}
normalise: {mean: [0, 1, 2], variance: [1, 1, 4], epsilon: 1.0e-8, clip: 10}
memory: [{input: h_in, output: h_out}, {input: c_in, output: c_out, initial: [0.5, -1]}]
epsilon: 0.05
"""
PREPROCESSING = """features:
  - field: speed
    scale: 0.01
    offset: 0.5
    clip: [-1, 1]
  - field: gear
    one_hot: true
  - field: rays
    normalise: {mean: 0.5, variance: [0.2, 0.3, 0.2], epsilon: 1.0e-8, clip: 10}
normalise: {framework: rllib, mean: 0, std: 1, clip: none}
"""
LONG_CHARACTERS = 20_000
"""Of a JSON schema, whose observations take long to draw."""
WORDS = (
    *("observations", "actions", "parameters", "type", "float", "int", "str", "bool", "enum"),
    *("minimum", "maximum", "min_items", "max_items", "default", "example", "mask_of", "unit"),
    *("List[float]", "List[List[int]]", "required", "properties", "items", "object", "array"),
    *("description", "url_path", "tuple", "discrete", ": ", "- ", "{", "}", "[", "]", "\\x0a"),
    *("1e999", ".nan", ".inf", "-0", "0x1F", "~", "null", "&a", "*a", "<<", "!!int", "!!timestamp"),
    *("\\xff\\xfe", "\\xef\\xbb\\xbf", "\\\\ud800", "2001-01-01", "9" * 30),
)


def read_file(content: bytes, read: Callable[[Path], Any]) -> Any:
    """What a reader of files makes of these bytes; None where it refuses them."""
    FILE.write_bytes(content)
    try:
        return read(FILE)
    except UploadRejected:
        return None


def schema(content: bytes) -> bool:
    """A schema is read, or every fault of it is named."""
    text = content.decode("utf-8", "replace")
    try:
        contract = ContractFile(text).resolve()
    except SchemaError as error:
        faults = error.faults
    else:
        return sound(contract)
    assert faults
    return False


def sound(contract: Contract) -> bool:
    """A contract's schema is read again alike, and takes the observations that it draws."""
    assert read_schema(contract.schema.text, "again").digest == contract.schema.digest
    if len(json.dumps(contract.schema.as_json_schema())) < LONG_CHARACTERS:
        for observation in random_observations(contract.schema, 2, seed=1):
            contract.decoder.decode(json.dumps(observation).encode())
    return True


def output_mapper(content: bytes) -> bool:
    """An output mapper that is read has a meaning, which JSON holds, for each of its actions."""
    mapper = read_file(content, read_output_mapper)
    if mapper is None:
        return False
    for meanings in mapper.meanings:
        assert all(meaning.strip() for meaning in meanings.values())
        json.dumps(meanings).encode()
    mapper.faults(mapper.sizes)
    return True


def description(content: bytes) -> bool:
    """A model.yaml is read or refused."""
    return read_file(content, read_description) is not None


def preprocessing(content: bytes) -> bool:
    """A preprocessing.yaml that is read makes as many features as it says."""
    declaration = read_file(content, lambda path: read_declaration(path, DECLARED_FOR))
    if declaration is None:
        return False
    assert declaration.width == sum(entry.width for entry in declaration.entries)
    assert declaration.in_lines()
    return True


DECLARED_FOR = read_schema(FIELDS, "schema.yaml")
EXAMPLES = {
    path.parent.name: path.read_bytes() for path in sorted(ROOT.glob("examples/*/schema.yaml"))
}
MAPPERS = {
    path.parent.name: path.read_bytes()
    for path in sorted(ROOT.glob("examples/*/output_mapper.yaml"))
}
TARGETS = {
    "schema": Target(
        schema,
        {**EXAMPLES, "mixed": MIXED.encode(), "swagger": SWAGGER.encode()},
        WORDS,
        share=25,
    ),
    "output_mapper": Target(
        output_mapper,
        {**MAPPERS, "tuple": b"- {0: up, 1: down}\n- {0: stay, 1: go}\n"},
        WORDS,
        share=15,
    ),
    "description": Target(
        description,
        {"joined": DESCRIPTION.encode(), "short": b"output: actions\nreads: means\n"},
        (
            *WORDS,
            "output",
            "reads",
            "inputs",
            "normalise",
            "mean",
            "variance",
            "memory",
            "frames",
            "epsilon",
        ),
        share=15,
    ),
    "preprocessing": Target(
        preprocessing,
        {"all": PREPROCESSING.encode()},
        (*WORDS, "features", "field", "scale", "offset", "clip", "one_hot", "normalise", "formula"),
        share=15,
    ),
}
