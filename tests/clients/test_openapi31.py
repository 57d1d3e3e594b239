"""Generators that read OpenAPI 3.1 make clients of the served contract that compile and decide."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from policy_server.contract.operations import OPERATIONS
from tests.clients.toolchains import QUIET_NPM, run
from tests.support.counterparts import environment_of
from tests.support.kept import kept
from tests.support.server import KEY, ROOT, Server, gunicorn
from tests.support.warm import OBSERVATION

DRIVERS = ROOT / "tests/clients/openapi31"
FILES = {
    "package.json": "package.json",
    "tsconfig.json": "tsconfig.json",
    "fetch.ts.txt": "fetch.ts",
    "hey.ts.txt": "hey.ts",
}
"""What lies beside the clients in TypeScript, and what it is called there."""
DECIDED = [["0", 409], ["1", 409]]
"""What a driver prints: the meaning of an action, and why another version did not decide."""


@pytest.fixture(scope="module")
def server(published_warm: Path) -> Iterator[Server]:
    with gunicorn(published_warm) as made:
        yield made


@pytest.fixture
def contract(server: Server, tmp_path: Path) -> Path:
    path = tmp_path / "openapi.json"
    path.write_bytes(server.get("openapi.json", auth=None).content)
    return path


def node_modules() -> Path:
    """The generators of npm, installed once for all checkouts."""
    digest = hashlib.sha256((DRIVERS / "package.json").read_bytes()).hexdigest()[:16]

    def install(made: Path) -> None:
        shutil.copy(DRIVERS / "package.json", made)
        run(["npm", "install", *QUIET_NPM], made)

    return kept(f"openapi31-{digest}", install) / "node_modules"


def decided(server: Server, folder: Path, *command: str | Path) -> Any:
    return json.loads(run([*command, server.url, KEY, OBSERVATION.decode()], folder))


def test_openapi_typescript_and_hey_api(server: Server, contract: Path, tmp_path: Path) -> None:
    """Both in one run of the compiler."""
    for name, target in FILES.items():
        shutil.copy(DRIVERS / name, tmp_path / target)
    (tmp_path / "node_modules").symlink_to(node_modules())
    programs = tmp_path / "node_modules" / ".bin"
    run([programs / "openapi-typescript", contract, "-o", "schema.d.ts"], tmp_path)
    run([programs / "openapi-ts", "-i", contract, "-o", "hey", "--silent"], tmp_path)
    run([programs / "tsc"], tmp_path)
    for name in ("fetch", "hey"):
        assert decided(server, tmp_path, "node", f"out/{name}.js") in DECIDED


def test_openapi_python_client(server: Server, contract: Path, tmp_path: Path) -> None:
    programs = environment_of("openapi_python_client") / "bin"
    generate: list[str | Path] = ["generate", "--path", contract]
    generate += ["--meta", "none", "--output-path", "policy"]
    run([programs / "openapi-python-client", *generate], tmp_path)
    written = {path.stem for path in (tmp_path / "policy" / "api").glob("*/*.py")}
    assert written - {"__init__"} == set(OPERATIONS)
    shutil.copy(DRIVERS / "attrs.py.txt", tmp_path / "attrs.py.txt")
    command: list[str | Path] = [programs / "python", "-W", "error", "attrs.py.txt"]
    assert decided(server, tmp_path, *command) in DECIDED
