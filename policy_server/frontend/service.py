"""What a server says of itself: its schema, its name, and whether it decides."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from policy_server.contract.decoding import Decoder
from policy_server.contract.operations import OPERATIONS
from policy_server.contract.reading import read_schema
from policy_server.contract.samples import random_observations
from policy_server.contract.schema import Observation, ObservationSchema
from policy_server.errors import RequestFailed, SchemaError
from policy_server.frontend.client import Client

STATUS_SECONDS = 5


@dataclass(frozen=True)
class Service:
    """A server that is connected, and what it asks for.

    Attributes:
        title: Name of the API.
        version: Version of the API.
        decoder: Says whether an observation is valid.
        has_versions: It can list its versions.
        has_bundles: It takes all parts in one upload.
        has_staging: It can build a version without activating it.
        may_manage: It lets these credentials replace the policy.
    """

    client: Client
    schema: ObservationSchema
    title: str
    version: str
    decoder: Decoder
    has_versions: bool
    has_bundles: bool
    has_staging: bool
    may_manage: bool

    def component(self, index: int, noun: str, count: int) -> str:
        """What one of the components of an action is called.

        Args:
            index: Which.
            noun: What such a component is, where the schema gives it no name.
            count: How many there are.
        """
        actions = self.schema.actions
        if actions is not None:
            return actions.components[index].place
        return f"{noun} {index + 1} of {count}"

    def example(self) -> Observation:
        """The schema's own example; a valid random observation where it has none."""
        return self.schema.example() or self.random_observation(0)

    def random_observation(self, seed: int | None = None) -> Observation:
        """A valid observation with every field, drawn at random."""
        return random_observations(self.schema, 1, seed)[0]


@dataclass(frozen=True)
class Readiness:
    """Whether a server decides now.

    Attributes:
        answers: It answers at all.
        policy: The active version; None where none decides.
        detail: In a sentence, why none does.
    """

    answers: bool
    policy: str | None
    detail: str = ""


def open_service(client: Client) -> Service:
    """Ask a server what it serves.

    Raises:
        RequestFailed: It does not answer, does not accept the credentials, or serves something
            else.
    """
    try:
        specification: Any = client.specification()
        title, version = specification["info"]["title"], specification["info"]["version"]
        paths = specification["paths"]
    except (ValueError, KeyError, TypeError) as error:
        raise RequestFailed(f"{client.url} answers, but not as a policy server does.") from error
    text = client.get("schema").content.decode("utf-8", "replace")
    try:
        schema = read_schema(text)
    except SchemaError as error:
        raise RequestFailed(f"{client.url} serves a schema that this page cannot read.") from error
    client.knows(schema.digest)
    return Service(
        client,
        schema,
        str(title),
        str(version),
        Decoder(schema),
        has_versions=OPERATIONS["versions"].path in paths,
        has_bundles=OPERATIONS["upload_policy"].path in paths,
        has_staging="activate" in specification.get("parameters", ()),
        may_manage=_may_manage(client),
    )


def _may_manage(client: Client) -> bool:
    """Whether the server lets these credentials manage, be they a user's, a key or a token.

    It is asked for what only managers see.
    """
    try:
        client.get("versions")
    except RequestFailed as error:
        return error.status != HTTPStatus.FORBIDDEN
    return True


def readiness(client: Client) -> Readiness:
    """Ask whether a server decides."""
    try:
        answer = client.get("health_ready", STATUS_SECONDS).json()
        return Readiness(True, str(answer.get("version", "")))
    except RequestFailed as error:
        return Readiness(error.status is not None, None, str(error))
    except (ValueError, AttributeError):
        return Readiness(False, None, f"{client.url} answers, but not as a policy server does.")
