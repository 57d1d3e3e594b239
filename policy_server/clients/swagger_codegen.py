"""The other generator: swagger-codegen, a program on the PATH or a jar, one run a language.

What it writes is handed out as it is, with its own documentation: no client class of ours. What it
would write wrongly is taken out of what it reads, or set right by its own options.
"""

import copy
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from policy_server.clients.generator import JAVA_OPTIONS, Order, Outcomes, run
from policy_server.clients.languages import LANGUAGES, Language
from policy_server.clients.names import Package
from policy_server.clients.openapi_generator import find_java
from policy_server.contract.specification import Specification
from policy_server.errors import ClientsUnavailable

OPTIONS: Mapping[str, Mapping[str, str]] = {
    # Without a library of dates that Java has, the project is one for Java 7: newer compilers
    # than that of Java 19 do not know it any more.
    "java": {"library": "okhttp-gson", "dateLibrary": "java8"},
    # The names in the code are those in JSON too, so that others would not reach the server.
    "scala": {"modelPropertyNaming": "original"},
}
"""Language -> options of this generator beside the names of the packages."""

NOT_WRITTEN = "test/**\nsrc/test/**\ntest-requirements.txt\n"
"""Empty tests, in the syntax of its ignore file. Python would install them as a package `test`."""


class SwaggerCodegen:
    """swagger-codegen.

    Args:
        program: What to run: the name of a program, or the path of one or of a jar.
    """

    name = "swagger-codegen"
    sends_credentials = True

    def __init__(self, program: str) -> None:
        self._program = program

    def version(self) -> str:
        """See Generator."""
        lines = list(run([*self._command(), "version"], Path.cwd()))
        if not lines or lines[-1].startswith("exit "):
            said = " ".join(lines[-2:])[:300] or "nothing"
            raise ClientsUnavailable(f"`{self._program} version` names no version, but: {said}.")
        return f"{self.name} {lines[-1]}"

    def languages(self) -> Sequence[Language]:
        """See Generator."""
        return [language for language in LANGUAGES if language.swagger_codegen]

    def generate(self, order: Order) -> Outcomes:
        """See Generator."""
        command, folder = self._command(), order.folder
        document = folder / "specification.json"
        document.write_text(json.dumps(_adapted(order.specification)), encoding="utf-8")
        outcomes: dict[str, Path | str] = {}
        for language in order.languages:
            target = folder / language.name
            target.mkdir()
            (target / ".swagger-codegen-ignore").write_text(NOT_WRITTEN, encoding="utf-8")
            configuration = folder / f"{language.name}.json"
            options = _options(language, order.package)
            configuration.write_text(json.dumps(options), encoding="utf-8")
            arguments = ["generate", "-i", str(document), "-l", str(language.swagger_codegen)]
            arguments += ["-o", str(target), "-c", str(configuration)]
            lines = list(run([*command, *arguments], folder))
            failed = bool(lines) and lines[-1].startswith("exit ")
            outcomes[language.name] = " ".join(lines[-2:])[:300] if failed else target
            if not failed:
                order.progress(f"wrote {language.name}")
        return outcomes

    def _command(self) -> list[str]:
        if self._program.endswith(".jar"):
            if not Path(self._program).is_file():
                raise ClientsUnavailable(f"There is no swagger-codegen at {self._program}.")
            return [str(find_java()), *JAVA_OPTIONS, "-jar", self._program]
        found = shutil.which(self._program)
        if found is None:
            raise ClientsUnavailable(
                f"SDKs cannot be made here: there is no program `{self._program}` on the PATH. "
                "POLICY_SERVER_SWAGGER_CODEGEN names another one, or a jar."
            )
        return [found]


def _options(language: Language, package: Package) -> dict[str, str]:
    """Names of packages as for the other generator, whose libraries this one does not know."""
    named = {key: value for key, value in language.options(package).items() if key != "library"}
    return {**named, "hideGenerationTimestamp": "true", **OPTIONS.get(language.name, {})}


def _adapted(specification: Specification) -> Specification:
    """Without `additionalProperties: false`, which it takes for a map to a type that is not there.

    Java did not compile. The server refuses unknown fields all the same.
    """
    adapted = copy.deepcopy(specification)
    for definition in adapted["definitions"].values():
        if definition.get("additionalProperties") is False:
            del definition["additionalProperties"]
    return adapted
