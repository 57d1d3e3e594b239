"""The real swagger-codegen, from Maven Central, and what builds the SDKs that it writes."""

from collections.abc import Sequence
from pathlib import Path

from tests.clients.toolchains import Java, Python, Toolchain, run_maven
from tests.support.kept import kept

VERSION = "2.4.39"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"


def swagger_codegen_jar(folder: Path) -> Path:
    """The program; fetched from Maven Central where it was not yet.

    Args:
        folder: What Maven runs in.
    """

    def fetch(made: Path) -> None:
        artifact = f"-Dartifact=io.swagger:swagger-codegen-cli:{VERSION}"
        run_maven([COPY, artifact, f"-DoutputDirectory={made}"], folder)

    return kept(f"swagger-codegen-{VERSION}", fetch) / f"swagger-codegen-cli-{VERSION}.jar"


class CodegenPython(Python):
    """The SDK for Python that swagger-codegen writes."""

    source = "codegen_driver.py.txt"


class CodegenJava(Java):
    """The SDK for Java that swagger-codegen writes."""

    source = "CodegenDriver.java"
    # Documentation takes most of the time, and shows nothing.
    options = ("-Dmaven.javadoc.skip=true",)


CODEGEN_TOOLCHAINS: Sequence[type[Toolchain]] = (CodegenPython, CodegenJava)
