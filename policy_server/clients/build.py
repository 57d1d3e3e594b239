"""A contract to the files of its SDKs: code is generated from it, and ours laid around that."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from policy_server.clients.edition import Edition
from policy_server.clients.generator import Generator, Order, Progress
from policy_server.clients.languages import Language, Level
from policy_server.clients.sdk import Files, Sdk
from policy_server.clients.specification import client_specification
from policy_server.contract.contract import Contract
from policy_server.contract.samples import random_observations
from policy_server.contract.schema import Observation, ObservationSchema
from policy_server.contract.specification import Specification

NOT_KEPT = frozenset({"git_push.sh", ".travis.yml", "gradlew", "gradlew.bat", "tox.ini"})
"""Files of a generator that are about its own project, not about an SDK."""
CHANGELOG = "CHANGELOG.md"


def build_files(
    generator: Generator,
    contract: Contract,
    edition: Edition,
    specification: Specification,
    languages: Sequence[Language],
    folder: Path,
    progress: Progress,
) -> Mapping[str, Files | str]:
    """Make SDKs.

    Args:
        generator: What writes code.
        contract: What they are for.
        edition: What they are called, and what changed.
        specification: The contract as it is served.
        languages: Those that are wanted.
        folder: For intermediate files; the caller removes it.
        progress: Called with what was done.

    Returns:
        Language -> its files, or why there are none.
    """
    made: dict[str, Files | str] = {}
    for own in (True, False):
        chosen = [each for each in languages if _is_ours(generator, each) is own]
        if chosen:
            made |= _build(generator, contract, edition, specification, chosen, folder, progress)
    return made


def _is_ours(generator: Generator, language: Language) -> bool:
    """Whether a client class of ours sends the credentials of a language."""
    return language.level is Level.TESTED and not generator.sends_credentials


def _build(
    generator: Generator,
    contract: Contract,
    edition: Edition,
    specification: Specification,
    languages: Sequence[Language],
    folder: Path,
    progress: Progress,
) -> Mapping[str, Files | str]:
    """The same of languages whose credentials are sent alike."""
    is_ours = _is_ours(generator, languages[0])
    given = client_specification(specification, security=not is_ours)
    made: dict[str, Files | str] = {}
    for language in languages:
        if (reason := language.limit(given)) is not None:
            made[language.name] = reason
    possible = [language for language in languages if language.name not in made]
    order = Order(given, possible, edition.package, folder, progress)
    outcomes = generator.generate(order) if possible else {}
    schema = contract.schema
    example = _example(schema)
    for language in possible:
        generated = outcomes[language.name]
        if isinstance(generated, str):
            made[language.name] = generated
        elif generator.sends_credentials:
            made[language.name] = {**_as_generated(generated), CHANGELOG: _changelog(edition)}
        else:
            sdk = Sdk(language, given, edition, schema.digest, example)
            made[language.name] = sdk.files(generated)
    return made


def _example(schema: ObservationSchema) -> Observation:
    """What the examples send; without observations nobody knows here how long it is."""
    if not schema.is_observed:
        return {"obs": [0.0]}
    return schema.example() or random_observations(schema, 1, seed=0)[0]


def _changelog(edition: Edition) -> bytes:
    return f"# Changelog\n\n{edition.changelog('##')}".encode()


def _as_generated(folder: Path) -> Files:
    """All that a generator wrote, less what is about itself."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    named = {path: path.relative_to(folder) for path in paths}
    return {
        str(name): path.read_bytes()
        for path, name in named.items()
        if not name.parts[0].startswith(".") and name.name not in NOT_KEPT
    }
