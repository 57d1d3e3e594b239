"""The other engine: swagger-codegen, a program on the PATH or a jar, one run a language.

What it writes is handed out as it is, with its own documentation: no client class of ours.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from policy_server.clients.engine import JAVA_OPTIONS, Outcomes, Progress, run
from policy_server.clients.languages import LANGUAGES, Language
from policy_server.clients.names import Package
from policy_server.clients.openapi_generator import find_java
from policy_server.contract.specification import Specification
from policy_server.errors import ClientsUnavailable


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
        """See Engine."""
        *_, last = run([*self._command(), "version"], Path.cwd())
        return f"{self.name} {last}"

    def languages(self) -> Sequence[Language]:
        """See Engine."""
        return [language for language in LANGUAGES if language.swagger_codegen]

    def generate(
        self,
        specification: Specification,
        languages: Sequence[Language],
        package: Package,
        folder: Path,
        progress: Progress,
    ) -> Outcomes:
        """See Engine."""
        command = self._command()
        document = folder / "specification.json"
        document.write_text(json.dumps(specification), encoding="utf-8")
        outcomes: dict[str, Path | str] = {}
        for language in languages:
            target = folder / language.name
            configuration = folder / f"{language.name}.json"
            options = {**language.options(package), "hideGenerationTimestamp": "true"}
            options["library"] = "okhttp-gson" if language.name == "java" else ""
            configuration.write_text(
                json.dumps({key: value for key, value in options.items() if value}),
                encoding="utf-8",
            )
            arguments = ["generate", "-i", str(document), "-l", str(language.swagger_codegen)]
            arguments += ["-o", str(target), "-c", str(configuration)]
            lines = list(run([*command, *arguments], folder))
            failed = bool(lines) and lines[-1].startswith("exit ")
            outcomes[language.name] = " ".join(lines[-2:])[:300] if failed else target
            if not failed:
                progress(f"wrote {language.name}")
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
