"""What stands beside the SDKs of all languages: which there are, and how far each is tested."""

import json
from collections.abc import Collection, Mapping

from policy_server.clients.generator import Generator
from policy_server.clients.languages import Language, Level
from policy_server.contract.operations import OPERATIONS


def list_of(generator: Generator, made: Collection[str]) -> bytes:
    """Every language with its level, for programs.

    Args:
        generator: What writes their code.
        made: The names of those that lie beside this list.
    """
    listed = [
        {
            "language": each.name,
            "level": _level(generator, each),
            "means": _level(generator, each).words,
            "included": each.name in made,
            "path": _path(each.name),
        }
        for each in generator.languages()
    ]
    return (json.dumps(listed, indent=2) + "\n").encode()


def readme_of(
    title: str, generator: Generator, made: Collection[str], failures: Mapping[str, str]
) -> bytes:
    """The same for people.

    Args:
        title: The service's own name.
        generator: What writes their code.
        made: The names of those that lie beside it.
        failures: Language -> why it has no SDK.
    """
    lines = [f"# Clients of {title}", ""]
    for each in generator.languages():
        said = f"`{each.name}`: {_level(generator, each)}"
        if each.name in made:
            lines.append(f"- {said}; see its README.md")
        elif each.name in failures:
            lines.append(f"- no {each.name}: {failures[each.name]}")
        else:
            lines.append(f"- {said}; made when it is asked for, at `{_path(each.name)}` of the API")
    lines += ["", *(f"- *{level}*: {level.words}" for level in Level)]
    return ("\n".join(lines) + "\n").encode()


def _level(generator: Generator, language: Language) -> Level:
    """That of the common suite only where our client class is in the SDK."""
    return Level.GENERATED if generator.sends_credentials else language.level


def _path(language: str) -> str:
    """Below the API, of whichever policy it is."""
    return OPERATIONS["clients_of_language"].path.format(language=language)
