"""`example`: a command that asks the server for a decision."""

import json
import shlex
from typing import Any

from policy_server.app.settings import contracts_of, read_settings
from policy_server.commands.policy import settings_for
from policy_server.contract.policy_names import DEFAULT, path_of
from policy_server.contract.samples import random_observations
from policy_server.errors import NoActivePolicy
from policy_server.serving.loading import active_description
from policy_server.store.registry import open_store


def example(policy: str | None = None) -> None:
    """Print a command that asks the server for a decision.

    Args:
        policy: Which of several.
    """
    server = read_settings()
    settings = settings_for(policy, server)
    schema = contracts_of(settings).served().schema
    network = active_description(open_store(settings.base_path))
    width = None if network is None else network.feature_width
    operation, asked = "predict", schema.example()
    if not schema.is_observed:
        operation, asked = "predict_raw", {"obs": [0.0] * _known(width)}
    elif asked is None:
        asked = random_observations(schema, 1, seed=0)[0]
    body: dict[str, Any] = asked
    if network is not None and network.memory is not None:
        operation, body = "step", {"observation": asked}
    sent = shlex.quote(json.dumps(body))
    credentials = server.base_path / "credentials"
    user = f'"$(cat {shlex.quote(str(credentials))})"'
    if settings.password:
        user = f'"{settings.user}:$POLICY_SERVER_PASSWORD"'
    elif settings.password_file is not None:
        user = f'"{settings.user}:$(cat {shlex.quote(str(settings.password_file))})"'
    below = "" if policy in (None, DEFAULT) else path_of(policy or "")
    print(
        f"curl -u {user} -H 'Content-Type: application/json' -d {sent} "
        f"{settings.url}{below}/api/{operation}"
    )


def _known(width: int | None) -> int:
    """How many numbers the network of the active version takes, if there is one."""
    if width is None:
        remedy = "publish a policy: its network says how many numbers a request has."
        raise NoActivePolicy(
            f"There is no policy yet, and the schema has no observations: {remedy}"
        )
    return width
