"""`clients`: SDKs of the contract."""

from collections.abc import Sequence

from policy_server.app.settings import Settings, contracts_of, read_settings
from policy_server.clients.library import ClientLibrary
from policy_server.commands.policy import settings_for
from policy_server.commands.terminal import show_progress
from policy_server.contract.contract import Contract
from policy_server.contract.policy_names import DEFAULT, path_of
from policy_server.errors import ClientsFailed


def clients(
    language: str | None = None, engine: str | None = None, policy: str | None = None
) -> None:
    """Make the SDKs of the contract that is served.

    Args:
        language: Only these, separated by commas: python, java, scala, r, typescript, and
            go, kotlin, cpp, rust or csharp, which are made only if they are named.
        engine: openapi-generator, or swagger-codegen, which knows no typescript.
        policy: Which of several.
    """
    settings = settings_for(policy, read_settings({"clients_engine": engine}))
    languages = tuple(name.strip() for name in (language or "").split(",") if name.strip())
    if not make_clients(settings, contracts_of(settings).served(), languages, policy):
        raise ClientsFailed("Not every SDK could be made.")


def make_clients(
    settings: Settings, contract: Contract, languages: Sequence[str], policy: str | None = None
) -> bool:
    """Make SDKs, and say which; whether all of them could be made."""
    is_server = policy in (None, DEFAULT)
    specification = contracts_of(settings, is_server=is_server).specification(contract)
    library = ClientLibrary(settings.base_path, contract, lambda: specification, settings.generator)
    made = library.build(languages, show_progress())
    for name, failure in made.items():
        print(f"  {'FAILED' if failure else 'ok    '}  {name}{f': {failure}' if failure else ''}")
    if all(made.values()):
        return False
    base = f"{'' if is_server else path_of(policy or '')}/api/clients"
    print(f"The SDKs are in {library.folder}; GET {base} hands them out.")
    return not any(made.values())
