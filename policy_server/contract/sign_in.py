"""How clients prove who they are beside passwords and keys, as the specification says it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from policy_server.contract.operations import Role

CODE, APPLICATION = "oauth2_code", "oauth2_application"
"""What the specification calls the flows for people and for programs."""
CERTIFICATE = "certificate"
"""What the specification calls the certificates of clients."""
CLIENT_ID = "x-client-id"
"""Where the specification says how the Swagger UI is called at the provider."""
MEANINGS = {
    Role.PREDICT: "May ask the policy",
    Role.MANAGE: "May do everything",
    Role.NONE: "What it allows, the provider says",
}


@dataclass(frozen=True)
class SignIn:
    """Where clients get tokens (OAuth 2), and whether a proxy verifies their certificates.

    Attributes:
        authorization: Where people sign in; empty where that is not known.
        token: Where a code, or the credentials of a program, become a token.
        roles: The scopes to ask for, each with the role that it gives.
        client_id: Of the Swagger UI; empty where it has none.
        has_provider: Tokens of an OpenID provider are accepted.
        certificates: Certificates that a proxy has verified are.
    """

    authorization: str = ""
    token: str = ""
    roles: Mapping[str, Role] = field(default_factory=dict)
    client_id: str = ""
    has_provider: bool = False
    certificates: bool = False

    @property
    def flows(self) -> dict[str, str]:
        """The flows that clients can take: name in the specification, and what OAuth 2 calls it."""
        flows = {}
        if self.authorization and self.token:
            flows[CODE] = "accessCode"
        if self.token:
            flows[APPLICATION] = "application"
        return flows

    @property
    def scopes(self) -> dict[str, str]:
        """The scopes to ask for, and what each is good for."""
        return {scope: MEANINGS[role] for scope, role in self.roles.items()}

    def wanted(self, role: Role) -> list[str]:
        """The scope that gives a role, if one does; the first, where several do."""
        return [scope for scope, gives in self.roles.items() if gives is role][:1]
