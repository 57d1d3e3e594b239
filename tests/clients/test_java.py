"""The SDK for Java as simulators take it: one file, compiled and run with nothing else."""

import re
import struct
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.asking import own_answer
from tests.clients.conftest import Service, copied, make_contract, start, unpack
from tests.clients.faults import Misbehaving, trickling
from tests.clients.toolchains import (
    COPY_DEPENDENCIES,
    DRIVERS,
    MINUTE,
    SHORT_LIVED,
    javas,
    run,
    run_maven,
)
from tests.deploy.processes import wait_until
from tests.support.server import PASSWORD, ROOT, USER, run_command

CLASS_FILES_OF_JAVA_8 = 52
OF_NO_PACKAGE = ("META-INF/", "org/publicsuffix/")
"""What is no code: notices, and a list of domains."""
SHADED = ("com/fasterxml/jackson/databind", "org/apache/hc/client5", "org/slf4j")
JAVAC = ("javac", *(f"-J{option}" for option in SHORT_LIVED))

SHOWN = re.findall(
    r"^```java\n(import .*?)^```$", (ROOT / "docs/java.md").read_text("utf-8"), re.M | re.S
)
"""The programs of the documentation, for the package that is tested here."""
NAMES = ("Demo.java", "Simulation.java", "FakeHost.java", "FakeUse.java")
MOST_OF_TESTING = 40_000
"""Bytes that the fake server takes in a jar of some megabytes."""


@dataclass(frozen=True)
class Packed:
    """A service, and its SDK as Maven packed it."""

    service: Service

    @property
    def folder(self) -> Path:
        return self.service.sdk("java").folder

    @property
    def joined(self) -> str:
        return self.service.package.joined

    def jar(self, kind: str) -> Path:
        package = self.service.package
        return self.folder / "target" / f"{package.dashed}-{package.version}-{kind}.jar"


@pytest.fixture(scope="module")
def packed(published_lpoc: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Packed]:
    folder = copied(published_lpoc, "java", tmp_path_factory)
    base_path = folder / "instance"
    make_contract("lpoc", base_path, "--noclients")
    made = run_command("clients", "--language", "java", base_path=base_path)
    assert made.returncode == 0, made.stderr
    with ExitStack() as stack:
        service = start("lpoc", folder, stack)
        unpack(service.server.get("clients/java").content, service.sdks)
        sdk = Packed(service)
        libraries = f"-DoutputDirectory={sdk.folder / 'lib'}"
        run_maven(["-P", "all,release", "package", COPY_DEPENDENCIES, libraries], sdk.folder)
        yield sdk


def test_the_one_file_has_everything_below_names_of_its_own_for_java_8(packed: Packed) -> None:
    with zipfile.ZipFile(packed.jar("all")) as archive:
        files = [name for name in archive.namelist() if not name.endswith("/")]
        classes = [name for name in files if name.endswith(".class")]
        versions = {struct.unpack(">H", archive.read(name)[6:8])[0] for name in classes}
    own = f"{packed.joined}/"
    assert [name for name in files if not name.startswith((own, *OF_NO_PACKAGE))] == []
    assert [name for name in classes if not name.startswith(own)] == []
    for library in SHADED:
        assert any(name.startswith(f"{own}shaded/{library}/") for name in classes)
    assert max(versions) <= CLASS_FILES_OF_JAVA_8


def test_sources_and_javadoc_are_beside_it(packed: Packed) -> None:
    with zipfile.ZipFile(packed.jar("sources")) as archive:
        assert f"{packed.joined}/Client.java" in archive.namelist()
    with zipfile.ZipFile(packed.jar("javadoc")) as archive:
        page = archive.read(f"{packed.joined}/ClientBuilder.html").decode()
    assert "How long a call may take" in page


def test_it_compiles_without_a_warning(packed: Packed, tmp_path: Path) -> None:
    sources = sorted((packed.folder / "src").rglob("*.java"))
    paths = ["-cp", f"{packed.folder / 'lib'}/*", "-d", str(tmp_path)]
    done = subprocess.run(
        [*JAVAC, "-Xlint:all", *paths, *map(str, sources)], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture(scope="module")
def demo(packed: Packed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the demo was compiled, with the one file alone."""
    folder = tmp_path_factory.mktemp("demo")
    for name in ("Demo.java", "FakeHost.java", "FakeUse.java"):
        text = (DRIVERS / name).read_text(encoding="utf-8")
        (folder / name).write_text(text.replace("PACKAGE", packed.joined), encoding="utf-8")
    (folder / "Simulation.java").write_text(SHOWN[0], encoding="utf-8")
    (folder / "policy-all.jar").write_bytes(packed.jar("all").read_bytes())
    (folder / "example.json").write_bytes((packed.folder / "example.json").read_bytes())
    run([*JAVAC, "--release", "8", "-Xlint:-options", "-cp", "policy-all.jar", *NAMES], folder)
    return folder


@pytest.mark.parametrize("java", javas(), ids=lambda java: java.parts[-3])
def test_a_simulator_decides_with_the_one_file(packed: Packed, demo: Path, java: Path) -> None:
    service = packed.service
    slow = Misbehaving(trickling({}))
    command = [str(java), *SHORT_LIVED, "-cp", "policy-all.jar:.", "Demo"]
    arguments = [service.server.url, USER, PASSWORD, slow.url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with (
        slow.serving(),
        subprocess.Popen([*command, *arguments], cwd=demo, text=True, **pipes) as running,  # type: ignore[call-overload]
    ):
        wait_until(lambda: bool(slow.received) or running.poll() is not None)
        running.stdin.write("c")
        running.stdin.flush()
        wait_until(lambda: slow.left == 1 or running.poll() is not None)
        printed, complaints = running.communicate("d", timeout=MINUTE)
    assert (running.returncode, complaints) == (0, "")
    told = dict(line.split(" ", 1) for line in printed.splitlines())
    example = service.schema.example()
    drawn = own_answer(service, "predict", example, seed=1)["meaning"]
    likely = own_answer(service, "predict_deterministic", example)["meaning"]
    version = service.server.post("predict", example).headers["X-Policy-Version"]
    assert (told["drawn"], told["later"], told["likely"]) == (drawn, drawn, f"{likely} true")
    assert told["many"] == f"2 by {version}"
    assert (told["refused"], told["late"]) == ("/id", "DeadlineExceeded")
    assert (told["cancelled"], told["closed"]) == ("true", "true")
    assert re.fullmatch(r"http://\S+/predict: (200|400) in \d+ ms", told["POST"])
    assert PASSWORD not in printed
    cancelled, late = slow.received
    assert (cancelled.headers["x-site"], "x-site" in late.headers) == ("5", False)
    agent = f"{service.package.dashed}/{service.package.version}"
    assert cancelled.headers["user-agent"] == agent


@pytest.mark.parametrize("java", javas(), ids=lambda java: java.parts[-3])
def test_the_fake_server_runs_from_the_one_file(demo: Path, java: Path) -> None:
    # Its input has ended: it ends as soon as it has begun.
    printed = run([java, *SHORT_LIVED, "-cp", "policy-all.jar:.", "FakeHost"], demo)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/api\n", printed)


def test_a_test_has_the_fake_server_answer_and_looks_at_what_was_asked(demo: Path) -> None:
    printed = run(["java", *SHORT_LIVED, "-cp", "policy-all.jar:.", "FakeUse"], demo)
    assert printed.splitlines() == [
        "the same decisions: true",
        "in a batch: move up, then 0.25",
        "in an episode: move up",
        "The service would not answer so: /action of the Prediction must be 0 or more, not -1.",
        "late",
        "true 6 5 none",
    ]


def test_programs_neither_carry_nor_load_much_of_the_fake_server(
    packed: Packed, demo: Path
) -> None:
    testing = f"{packed.joined}/testing/"
    with zipfile.ZipFile(packed.jar("all")) as archive:
        sizes = [each.compress_size for each in archive.infolist() if testing in each.filename]
    assert 0 < sum(sizes) <= MOST_OF_TESTING
    loaded = demo / "loaded.txt"
    told = {"POLICY_URL": packed.service.server.url, "POLICY_USER": USER}
    log = f"-Xlog:class+load:file={loaded}"
    variables = {**told, "POLICY_PASSWORD": PASSWORD}
    run(["java", *SHORT_LIVED, log, "-cp", "policy-all.jar:.", "Simulation"], demo, variables)
    names = loaded.read_text(encoding="utf-8")
    assert f"{packed.joined}.Client " in names
    assert f"{packed.joined}.testing." not in names


def test_the_program_of_the_documentation_runs_as_it_is(packed: Packed, demo: Path) -> None:
    variables = {
        "POLICY_URL": packed.service.server.url,
        "POLICY_USER": USER,
        "POLICY_PASSWORD": PASSWORD,
    }
    printed = run(["java", *SHORT_LIVED, "-cp", "policy-all.jar:.", "Simulation"], demo, variables)
    example = packed.service.schema.example()
    answers = [own_answer(packed.service, "predict", example, seed=step) for step in range(3)]
    assert printed.splitlines() == [f"{each['action']}: {each['meaning']}" for each in answers]
