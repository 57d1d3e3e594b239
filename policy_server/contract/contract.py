"""The contract: an observation schema, what actions are like, and how the API is called."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import msgspec

from policy_server.contract.actions import ActionSettings, ActionSpace
from policy_server.contract.decoding import RAW, Decoder
from policy_server.contract.operations import BASE_PATH, OPERATIONS, Body, Operation
from policy_server.contract.reading import read_schema
from policy_server.contract.schema import ObservationSchema
from policy_server.errors import Fault, SchemaError
from policy_server.files import write_atomically
from policy_server.resources import COMMAND

DEFAULT_TITLE = "Policy Server"
DEFAULT_VERSION = "1.0.0"
MAX_NAME_CHARACTERS = 100


@dataclass(frozen=True)
class Contract:
    """What clients may send and what they get.

    Attributes:
        actions: What an action is.
        title: Name of the API, and of the SDKs.
        version: Version of the API as its clients see it, not of a policy.
    """

    schema: ObservationSchema
    actions: ActionSpace = field(default_factory=ActionSpace)
    title: str = DEFAULT_TITLE
    version: str = DEFAULT_VERSION

    @property
    def base_path(self) -> str:
        """What the paths of the API begin with."""
        return BASE_PATH if self.schema.url_path is None else f"/{self.schema.url_path}"

    @property
    def operations(self) -> Mapping[str, Operation]:
        """The operations that are served, by their ids: without observations fewer."""
        if self.schema.is_observed:
            return OPERATIONS
        observed = (Body.OBSERVATION, Body.BATCH, Body.STEP, Body.STEPS)
        return {name: each for name, each in OPERATIONS.items() if each.body not in observed}

    @property
    def observation(self) -> dict[str, object]:
        """What clients send as a Swagger 2.0 definition."""
        return (self.schema if self.schema.is_observed else RAW).as_json_schema()

    @cached_property
    def decoder(self) -> Decoder:
        """Decodes the observations of this contract."""
        return Decoder(self.schema)

    @cached_property
    def digest(self) -> str:
        """A hash of all that a version is proven against: fields and the kind of actions."""
        meaning = f"{self.schema.digest} {self.actions.digested}"
        return hashlib.sha256(meaning.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class ContractFile:
    """The contract as `contract.json` keeps it, in BASE_PATH and in the folder of each version.

    Attributes:
        schema: The schema file's text.
        tuple: As the command said when the contract was made; None leaves it to the schema.
        discrete: The same.
    """

    schema: str
    title: str = DEFAULT_TITLE
    version: str = DEFAULT_VERSION
    tuple: bool | None = None
    discrete: bool | None = None

    @staticmethod
    def path(folder: Path) -> Path:
        """Where the contract is kept."""
        return folder / "contract.json"

    @classmethod
    def of(cls, contract: Contract) -> "ContractFile":
        """What keeps a contract in which nothing is left open."""
        actions = contract.actions.settings
        return cls(contract.schema.text, contract.title, contract.version).saying(actions)

    @property
    def actions(self) -> ActionSettings:
        """What the command said of actions."""
        return ActionSettings(self.tuple, self.discrete)

    def saying(self, actions: ActionSettings) -> "ContractFile":
        """The same file with other settings of actions."""
        return replace(self, tuple=actions.tuple, discrete=actions.discrete)

    @classmethod
    def read(cls, folder: Path) -> "ContractFile":
        """Read the contract of BASE_PATH, which `python generate.py schema` wrote, or of a version.

        Raises:
            SchemaError: There is none yet, or it is damaged.
        """
        path = cls.path(folder)
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except FileNotFoundError as error:
            remedy = f"run `{COMMAND} schema examples/lpoc/schema.yaml` (or your own file)."
            raise SchemaError("There is no schema yet.", [Fault(str(path), remedy)]) from error
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            remedy = f"damaged ({error}): run `{COMMAND} schema` again."
            raise SchemaError("The contract cannot be read.", [Fault(str(path), remedy)]) from error

    @property
    def content(self) -> str:
        """What its file holds."""
        return json.dumps(vars(self), indent=2) + "\n"

    def write(self, folder: Path) -> None:
        """Keep the contract: either whole or not at all."""
        write_atomically(self.path(folder), self.content)

    def resolve(
        self, settings: ActionSettings | None = None, file: str = "schema.yaml"
    ) -> Contract:
        """Decide what is left open.

        Args:
            settings: TUPLE and DISCRETE_ACTIONS, as far as they are set.
            file: What faults call the schema file.

        Returns:
            The contract; the settings come first, then what the command said when it was made, then
            the schema's own parameters, then one discrete action.

        Raises:
            SchemaError: With every fault of the schema, the title and the version.
        """
        schema = read_schema(self.schema, file)
        names = {"title": self.title, "version": self.version}
        faults = [
            Fault(name, f"1 to {MAX_NAME_CHARACTERS} printable characters are wanted.")
            for name, value in names.items()
            if not (value.strip() and value.isprintable() and len(value) <= MAX_NAME_CHARACTERS)
        ]
        if faults:
            raise SchemaError("The API cannot be called that.", faults)
        said = (settings or ActionSettings()).before(self.actions).before(schema.parameters)
        if schema.actions is not None:
            contradictions = ActionSpace.contradictions(said, schema.actions)
            if contradictions:
                faults = [Fault(file, detail) for detail in contradictions]
                raise SchemaError("The settings contradict the schema's actions.", faults)
        return Contract(schema, ActionSpace.of(said, schema.actions), **names)
