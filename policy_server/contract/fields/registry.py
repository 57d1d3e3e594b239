"""The types of fields, by their names in both dialects of schema files."""

from policy_server.contract.fields.array import Array
from policy_server.contract.fields.boolean import Boolean
from policy_server.contract.fields.field import Field
from policy_server.contract.fields.integer import Integer
from policy_server.contract.fields.number import Number
from policy_server.contract.fields.string import String

FIELD_TYPES: tuple[type[Field], ...] = (Integer, Number, Boolean, String, Array)
TYPES = {each.json_type: each for each in FIELD_TYPES}
COMPACT_TYPES = {each.compact_type: each for each in FIELD_TYPES}
