"""SDKs installed or compiled with their languages' own tools, all services in one go.

What is downloaded is kept outside of the checkout, and downloaded again where it is not there.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from policy_server.clients.names import Package, camel_case, snake_case
from policy_server.clients.openapi_generator import find_java
from tests.support.kept import CACHE, kept

DRIVERS = Path(__file__).parent / "drivers"
MAVEN_REPOSITORY = CACHE / "maven"
MINUTE = 60.0
EXAMPLE = ("example",)
SHORT_LIVED = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Of Java: it ends before a compiler that optimises pays."""
JAVA = ("java", *SHORT_LIVED, "-Xss8m")
AGGREGATOR = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tests</groupId><artifactId>all</artifactId><version>1</version><packaging>pom</packaging>
  <modules>{modules}</modules>
</project>
"""
SCALA_POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tests</groupId><artifactId>scala</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>{dependencies}</dependencies>
</project>
"""
SCALA_DEPENDENCIES = (
    ("org.scala-lang", "scala3-compiler_3", "3.3.7"),
    ("com.softwaremill.sttp.client4", "core_3", "4.0.25"),
    ("com.github.plokhotnyuk.jsoniter-scala", "jsoniter-scala-core_3", "2.38.17"),
    ("com.github.plokhotnyuk.jsoniter-scala", "jsoniter-scala-macros_3", "2.38.17"),
)
UNDICI = "6.21.3"
"""Of the series that Node.js 20 has within: what it hands `fetch` fits."""
QUIET_NPM = ("--cache", CACHE / "npm", "--prefer-offline", "--no-audit", "--no-fund")
"""Options of npm: what was downloaded once is kept."""
COPY_DEPENDENCIES = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


@dataclass(frozen=True)
class Sdk:
    """The unpacked SDK of one service in one language."""

    service: str
    folder: Path
    package: Package


def run(
    command: Sequence[str | Path],
    folder: Path,
    variables: Mapping[str, str] | None = None,
    seconds: float = 5 * MINUTE,
) -> str:
    """Run a program that must succeed, in that time; what it printed."""
    return completed(command, folder, variables, seconds).stdout


def completed(
    command: Sequence[str | Path],
    folder: Path,
    variables: Mapping[str, str] | None = None,
    seconds: float = 5 * MINUTE,
) -> "subprocess.CompletedProcess[str]":
    """A program that has ended, and must have succeeded."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env={**os.environ, **(variables or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-1500:]}\n{done.stderr[-6000:]}"
    return done


class Toolchain:
    """Builds the SDKs of one language, with the program that tests drive each of them by."""

    language: str
    source: str
    """File of the driver, in DRIVERS."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def build(self, sdks: Sequence[Sdk], *, drivers: bool = True) -> None:
        """Install or compile."""
        raise NotImplementedError

    def example(self, sdk: Sdk, *kind: str) -> list[str | Path]:
        """What runs an example of an SDK, in its folder: of one decision, or of an "episode"."""
        raise NotImplementedError

    def driver(self, sdk: Sdk) -> list[str | Path]:
        """What runs the driver; the script is to be added."""
        raise NotImplementedError

    def variables(self) -> Mapping[str, str]:
        """For the environment of what runs."""
        return {}

    def write_drivers(self, sdks: Sequence[Sdk], name: str, package: str) -> list[Path]:
        """The driver's text for each SDK, at `name` in a folder that is called after it."""
        text = (DRIVERS / self.source).read_text(encoding="utf-8")
        paths = []
        for sdk in sdks:
            path = self.folder / "drivers" / sdk.service / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("PACKAGE", getattr(sdk.package, package)), "utf-8")
            paths.append(path)
        return paths


class Python(Toolchain):
    language = "python"
    source = "driver.py.txt"

    def build(self, sdks: Sequence[Sdk], *, drivers: bool = True) -> None:
        run([sys.executable, "-m", "venv", "--without-pip", self.folder / "venv"], self.folder)
        # As pip does it, in a third of its time.
        uv: list[str | Path] = [
            Path(sys.executable).with_name("uv"),
            "pip",
            "install",
            "-q",
            "--python",
        ]
        run([*uv, self._python, *(sdk.folder for sdk in sdks)], self.folder)
        if drivers:
            self.write_drivers(sdks, "driver.py", "module")

    def example(self, sdk: Sdk, *kind: str) -> list[str | Path]:
        return [self._python, "-I", "-W", "error", f"{snake_case([*EXAMPLE, *kind])}.py"]

    def driver(self, sdk: Sdk) -> list[str | Path]:
        return [self._python, "-W", "error", self.folder / "drivers" / sdk.service / "driver.py"]

    @property
    def _python(self) -> Path:
        return self.folder / "venv" / "bin" / "python"


class Java(Toolchain):
    language = "java"
    source = "Driver.java"
    options: Sequence[str] = ()
    """What Maven is told beside."""

    def build(self, sdks: Sequence[Sdk], *, drivers: bool = True) -> None:
        folders = [os.path.relpath(sdk.folder, self.folder) for sdk in sdks]
        modules = "".join(f"<module>{folder}</module>" for folder in folders)
        (self.folder / "pom.xml").write_text(AGGREGATOR.format(modules=modules))
        goals = ["package", COPY_DEPENDENCIES, f"-DoutputDirectory={self.folder / 'lib'}"]
        run_maven([*self.options, *goals], self.folder)
        if drivers:
            sources = self.write_drivers(sdks, "Driver.java", "joined")
            classes = self.folder / "classes"
            options = [f"-J{option}" for option in SHORT_LIVED]
            paths = ["-cp", self.path(sdks), *map(str, sources)]
            run(["javac", *options, "-d", classes, *paths], self.folder)

    def example(self, sdk: Sdk, *kind: str) -> list[str | Path]:
        name = "".join(word.capitalize() for word in (*EXAMPLE, *kind))
        return [*JAVA, "-cp", self.path([sdk]), f"{sdk.package.joined}.{name}"]

    def driver(self, sdk: Sdk) -> list[str | Path]:
        path = f"{self.folder / 'classes'}:{self.path([sdk])}"
        return [*JAVA, "-cp", path, f"{sdk.package.joined}.Driver"]

    def path(self, sdks: Sequence[Sdk]) -> str:
        """The class path of SDKs."""
        jars = [jar for sdk in sdks for jar in (sdk.folder / "target").glob("*.jar")]
        return ":".join([*map(str, jars), f"{self.folder / 'lib'}/*"])


class Scala(Toolchain):
    language = "scala"
    source = "Driver.scala"

    def build(self, sdks: Sequence[Sdk], *, drivers: bool = True) -> None:
        sources = [path for sdk in sdks for path in sorted(sdk.folder.rglob("*.scala"))]
        if drivers:
            sources += self.write_drivers(sdks, "Driver.scala", "joined")
        classes = self.folder / "classes"
        classes.mkdir()
        options: list[str | Path] = [
            "-usejavacp",
            *("-Xfatal-warnings", "-deprecation", "-feature", "-unchecked"),
            "-color:never",
            "-encoding",
            "utf-8",
            "-d",
            classes,
        ]
        compiler = "dotty.tools.dotc.Main"
        run([*JAVA, "-cp", f"{self._jars}/*", compiler, *options, *sources], self.folder)

    def example(self, sdk: Sdk, *kind: str) -> list[str | Path]:
        return [*JAVA, "-cp", self._path, f"{sdk.package.joined}.{camel_case([*EXAMPLE, *kind])}"]

    def driver(self, sdk: Sdk) -> list[str | Path]:
        return [*JAVA, "-cp", self._path, f"{sdk.package.joined}.driver"]

    @property
    def _path(self) -> str:
        return f"{self.folder / 'classes'}:{self._jars}/*"

    @property
    def _jars(self) -> Path:
        """The folder of the compiler and the libraries, from Maven Central."""
        dependencies = "".join(
            f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
            f"<version>{version}</version></dependency>"
            for group, artifact, version in SCALA_DEPENDENCIES
        )
        pom = SCALA_POM.format(dependencies=dependencies)

        def fetch(made: Path) -> None:
            (self.folder / "pom.xml").write_text(pom)
            run_maven([COPY_DEPENDENCIES, f"-DoutputDirectory={made}"], self.folder)

        return kept(f"scala-{hashlib.sha256(pom.encode()).hexdigest()[:16]}", fetch)


class R(Toolchain):
    language = "r"
    source = "driver.R"

    def build(self, sdks: Sequence[Sdk], *, drivers: bool = True) -> None:
        (self.folder / "library").mkdir()
        # Byte code and help would take most of the time, and show nothing.
        options = ["--no-docs", "--no-byte-compile", f"--library={self.folder / 'library'}"]
        run(["R", "CMD", "INSTALL", *options, *(sdk.folder for sdk in sdks)], self.folder)
        if drivers:
            self.write_drivers(sdks, "driver.R", "joined")

    def example(self, sdk: Sdk, *kind: str) -> list[str | Path]:
        return ["Rscript", f"{snake_case([*EXAMPLE, *kind])}.R"]

    def driver(self, sdk: Sdk) -> list[str | Path]:
        return ["Rscript", self.folder / "drivers" / sdk.service / "driver.R"]

    def variables(self) -> Mapping[str, str]:
        return {"R_LIBS": str(self.folder / "library")}


class TypeScript(Toolchain):
    language = "typescript"
    source = "driver.ts"

    def build(self, sdks: Sequence[Sdk], *, drivers: bool = True) -> None:
        # npm wants its workspaces below its own folder.
        for sdk in sdks:
            shutil.copytree(sdk.folder, self.folder / sdk.service)
        root = {
            "private": True,
            "workspaces": [sdk.service for sdk in sdks],
            "devDependencies": {"undici": UNDICI},
        }
        (self.folder / "package.json").write_text(json.dumps(root))
        # Installing builds, as the packages say: `tsc`, strict.
        run(["npm", "install", *QUIET_NPM], self.folder)
        if drivers:
            sources = self.write_drivers(sdks, "driver.ts", "dashed")
            # The types of a browser are not there, and all declarations are checked.
            common = ["--module", "commonjs", "--lib", "es2022", "--types", "node"]
            run([*self.strict, *common, "--rootDir", self.folder, *sources], self.folder)

    @property
    def strict(self) -> list[str | Path]:
        """The compiler, which lets nothing pass."""
        tsc = self.folder / "node_modules" / ".bin" / "tsc"
        return [tsc, "--strict", "--target", "es2022"]

    def example(self, sdk: Sdk, *kind: str) -> list[str | Path]:
        name = camel_case([*EXAMPLE, *kind])
        return ["node", self.folder / sdk.service / "dist" / f"{name}.js"]

    def driver(self, sdk: Sdk) -> list[str | Path]:
        return ["node", self.folder / "drivers" / sdk.service / "driver.js"]


def javas() -> list[Path]:
    """Each Java that is to be had: those of this machine, and the generator's own."""
    found = {path.resolve() for path in Path("/usr/lib/jvm").glob("*/bin/java")}
    return sorted(found | {find_java().resolve()})


TOOLCHAINS: Mapping[str, type[Toolchain]] = {
    each.language: each for each in (Python, Java, Scala, R, TypeScript)
}


def run_maven(arguments: Sequence[str], folder: Path) -> None:
    """Run Maven quietly, in batch, with a repository that outlives the checkout.

    One at a time: Maven does not share a repository with others that write to it.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "maven.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = ["mvn", "-q", "-B", f"-Dmaven.repo.local={MAVEN_REPOSITORY}", *arguments]
        run(command, folder, {"MAVEN_OPTS": " ".join(SHORT_LIVED)})
