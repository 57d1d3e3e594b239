"""The form that descriptions had in which versions of existing stores may still be.

A version had a `network.json` beside its parts, with sizes and timing in it, and its model a
`facts.json`, which said most of that again. Nothing is written in this form any more.
"""

import json
from pathlib import Path

import msgspec

from policy_server.policy.network import Network
from policy_server.policy.timing import Timing
from policy_server.version.network_description import NetworkDescription, Undescribed

NETWORK_FILE = "network.json"
"""In the version's folder, where the description of today lies in that of the model."""
FACTS_FILE = "facts.json"


def has_old_network(folder: Path) -> bool:
    """A version's folder has the old description of a network."""
    return (folder / NETWORK_FILE).is_file()


def read_old_network(folder: Path) -> Network:
    """The network of a version, from its folder; raises OSError, ValueError or LookupError."""
    fields = json.loads((folder / NETWORK_FILE).read_bytes())
    timing = Timing(tuple(fields["timing"]["runs"]), fields["timing"]["preprocessor_seconds"])
    return Network(**{**fields, "sizes": tuple(fields["sizes"]), "timing": timing})


def has_old_facts(model: Path) -> bool:
    """A model's folder has the old description of the model."""
    return (model / FACTS_FILE).is_file()


def read_old_facts(model: Path) -> NetworkDescription:
    """The description of a model, from its folder.

    Raises:
        Undescribed: It was never found out how the model's output is read.
        OSError, ValueError, LookupError: It is damaged.
    """
    facts = json.loads((model / FACTS_FILE).read_bytes())
    if "undeclared" in facts:
        raise Undescribed(facts["undeclared"])
    actions = facts["actions"]
    found = {**facts, **actions, "family_detail": actions["detail"]}
    return msgspec.convert(found, NetworkDescription)
