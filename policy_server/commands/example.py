"""`example`: a command that asks the server for a decision."""

import json
import shlex

from policy_server.app.settings import contracts_of, read_settings
from policy_server.contract.samples import random_observations


def example() -> None:
    """Print a command that asks the server for a decision."""
    settings = read_settings()
    schema = contracts_of(settings).served().schema
    observation = schema.example() or random_observations(schema, 1, seed=0)[0]
    body = shlex.quote(json.dumps(observation))
    credentials = settings.base_path / "credentials"
    user = f'"$(cat {shlex.quote(str(credentials))})"'
    if settings.password:
        user = f'"{settings.user}:$POLICY_SERVER_PASSWORD"'
    print(
        f"curl -u {user} -H 'Content-Type: application/json' -d {body} "
        f"http://{settings.host}:{settings.port}/api/predict"
    )
