"""What makes versions in BASE_PATH for commands, as the settings say."""

from typing import TypeVar

from policy_server.app.protection import protect_base_path
from policy_server.app.settings import Settings, contracts_of
from policy_server.app.stores import store_of
from policy_server.contract.policy_names import DEFAULT
from policy_server.serving.activation import Activation
from policy_server.serving.publication import Publisher

Kind = TypeVar("Kind", bound=Publisher)


def publisher_of(kind: type[Kind], settings: Settings, policy: str | None) -> Kind:
    """A publisher for a policy.

    Args:
        kind: Of publisher.
        settings: Of the policy.
        policy: Its name; None for the default one.
    """
    protect_base_path(settings)
    store = store_of(settings)
    return kind(
        store,
        contracts_of(settings, is_server=policy in (None, DEFAULT)),
        settings.build_limits,
        settings.keep_versions,
        episode_seconds=settings.episode_seconds,
        servers=settings.engine_servers(settings.base_path),
        activation=Activation(store),
    )
