"""What the application of a contract keeps for its requests: one object in the state of ASGI."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from policy_server.access.authenticator import Authenticator
    from policy_server.web.application import Service
    from policy_server.web.fast_path import FastPath
    from policy_server.web.observing import Observer
    from policy_server.web.policies import Policies

KEY = "policy_server"
"""Under which the state of ASGI, a dictionary, has it."""


@dataclass(eq=False)
class State:
    """What the application of a contract keeps for its requests.

    Attributes:
        service: What the operations work with.
        authenticator: Knows who may do what.
        observer: Is told of each request that is answered; None where nobody wants to know.
        fast_path: Answers predictions of which everything is in order; None where it is off.
        policies: Those beside the default one; None for a policy that is one of them.
        loop: The event loop on which the policy decides; None before the worker starts.
    """

    service: "Service"
    authenticator: "Authenticator"
    observer: "Observer | None" = None
    fast_path: "FastPath | None" = None
    policies: "Policies | None" = None
    loop: asyncio.AbstractEventLoop | None = None


def state_of(scope: Mapping[str, Any]) -> State:
    """The state of the application that answers a request."""
    state: State = scope["state"][KEY]
    return state
