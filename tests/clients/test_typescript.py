"""What only the SDK for TypeScript does: two kinds of modules, signals, and types of any kind."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from policy_server.fake import fake_server
from tests.clients.faked import CREDENTIALS, SCHEMA, faked_sdk
from tests.clients.toolchains import DRIVERS, Sdk, TypeScript, run

CONSUMERS = {
    "a program of Node": ("consumer.ts", "commonjs", "node10", "es2022", "node"),
    "a module of Node": ("consumer.mts", "nodenext", "nodenext", "es2022", "node"),
    "a page": ("consumer.ts", "es2022", "bundler", "es2022,dom,dom.iterable", ""),
}
"""File, module, moduleResolution, lib and types."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with fake_server(SCHEMA, seed=1) as url:
        yield url


@pytest.fixture(scope="module")
def installed(url: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[TypeScript, Sdk]:
    toolchain = TypeScript(tmp_path_factory.mktemp("typescript"))
    sdk = faked_sdk(url, "typescript", tmp_path_factory.mktemp("sdk"))
    toolchain.build([sdk], drivers=False)
    return toolchain, sdk


def placed(toolchain: TypeScript, sdk: Sdk, source: str, name: str) -> Path:
    """A program of the tests, where it finds the package."""
    text = (DRIVERS / source).read_text(encoding="utf-8")
    path = toolchain.folder / name
    path.write_text(text.replace("PACKAGE", sdk.package.dashed), encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", CONSUMERS)
def test_types_are_right_under_full_checks_of_all_declarations(
    installed: tuple[TypeScript, Sdk], kind: str
) -> None:
    toolchain, sdk = installed
    name, module, resolution, lib, types = CONSUMERS[kind]
    program = placed(toolchain, sdk, "consumer.ts", name)
    options = ["--module", module, "--moduleResolution", resolution, "--lib", lib, "--noEmit"]
    run([*toolchain.strict, *options, "--types", types, program], toolchain.folder)


def test_what_a_program_relies_on(url: str, installed: tuple[TypeScript, Sdk]) -> None:
    toolchain, sdk = installed
    program = placed(toolchain, sdk, "behaviour.mjs", "behaviour.mjs")
    example = sdk.folder / "example.json"
    printed = run(["node", program, url, *CREDENTIALS, example], toolchain.folder)
    assert json.loads(printed) == {
        "same": True,
        "logged": True,
        "ended": ["given up", True],
        "episode": [True, "not wanted"],
        "own": [["all", "of-one", True]],
        "token": [True, "The function `token` failed: expired"],
        "secret": False,
        "inAddress": True,
    }


def test_the_example_with_all_options_runs_as_it_is_shipped(
    url: str, installed: tuple[TypeScript, Sdk]
) -> None:
    toolchain, sdk = installed
    user, password = CREDENTIALS
    asks = {"POLICY_URL": url, "POLICY_USER": user, "POLICY_PASSWORD": password}
    printed = run(toolchain.example(sdk, "options"), sdk.folder, asks)
    assert printed.splitlines()[-1] == "2"
    shipped = (sdk.folder / "src" / "exampleOptions.ts").read_text(encoding="utf-8")
    assert shipped in (sdk.folder / "README.md").read_text(encoding="utf-8")
