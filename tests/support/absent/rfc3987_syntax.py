"""No server has it: jsonschema would build a grammar from it, 1.4 seconds in every process."""

raise ImportError("jsonschema does without")
