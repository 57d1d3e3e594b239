"""Where clients sign in at an OpenID provider, as the specification says it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from policy_server.contract.operations import Role

MEANINGS = {
    Role.PREDICT: "May ask the policy",
    Role.MANAGE: "May do everything",
    Role.NONE: "What it allows, the provider says",
}


@dataclass(frozen=True)
class SignIn:
    """Where clients get tokens (OAuth 2).

    Attributes:
        authorization: Where people sign in; empty where that is not known.
        token: Where a code, or the credentials of a program, become a token.
        roles: The scopes to ask for, each with the role that it gives.
    """

    authorization: str = ""
    token: str = ""
    roles: Mapping[str, Role] = field(default_factory=dict)

    @property
    def flows(self) -> dict[str, str]:
        """The flows that clients can take: name in the specification, and what OAuth 2 calls it."""
        flows = {}
        if self.authorization and self.token:
            flows["oauth2_code"] = "accessCode"
        if self.token:
            flows["oauth2_application"] = "application"
        return flows

    @property
    def scopes(self) -> dict[str, str]:
        """The scopes to ask for, and what each is good for."""
        return {scope: MEANINGS[role] for scope, role in self.roles.items()}

    def wanted(self, role: Role) -> list[str]:
        """The scope that gives a role, if one does; the first, where several do."""
        return [scope for scope, gives in self.roles.items() if gives is role][:1]
