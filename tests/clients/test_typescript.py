"""What only the SDK for TypeScript does: two kinds of modules, signals, and types of any kind."""

import functools
import json
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.clients.faked import handed_out
from tests.clients.toolchains import DRIVERS, Sdk, TypeScript, run
from tests.support.browser import chromium, watched_page
from tests.support.server import PASSWORD, USER, Server, gunicorn

CONSUMERS = {
    "module of Node": ("consumer.mts", "nodenext", "nodenext", "es2022", "--types", "node"),
    "page": ("consumer.ts", "es2022", "bundler", "es2022,dom,dom.iterable", "--typeRoots", "none"),
}
"""File, module, moduleResolution and lib, and which other types there are: none in a page.

The drivers of the common suite are programs of Node that `require` the package.
"""


PAGE = '<!doctype html><title>app</title><link rel="icon" href="data:,">'
DECIDE = """async ([url, user, password, example]) => {
  const sdk = await import("/esm/index.js");
  const client = new sdk.Client({url, user, password, timeout: 20000});
  const observation = sdk.ObservationFromJSON(JSON.parse(example));
  const decided = await client.predictions.predict(observation, 7);
  const late = await client.predictions.predict(observation, 7, {timeout: 0}).catch(error => error);
  return [decided, late.name];
}"""


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder."""

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A site of another origin than the service's, and its folder."""
    folder = tmp_path_factory.mktemp("site")
    handler = functools.partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def server(published_warm: Path, site: tuple[str, Path]) -> Iterator[Server]:
    with gunicorn(published_warm, POLICY_SERVER_CORS_ORIGINS=site[0]) as made:
        yield made


@pytest.fixture(scope="module")
def installed(server: Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[TypeScript, Sdk]:
    toolchain = TypeScript(tmp_path_factory.mktemp("typescript"))
    folder = tmp_path_factory.mktemp("sdk")
    sdk = handed_out(server.url, (USER, PASSWORD), toolchain.language, folder)
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
    name, module, resolution, lib, *types = CONSUMERS[kind]
    program = placed(toolchain, sdk, "consumer.ts", name)
    options = ["--module", module, "--moduleResolution", resolution, "--lib", lib, "--noEmit"]
    run([*toolchain.strict, *options, *types, program], toolchain.folder)


def test_what_a_program_relies_on(server: Server, installed: tuple[TypeScript, Sdk]) -> None:
    toolchain, sdk = installed
    program = placed(toolchain, sdk, "behaviour.mjs", "behaviour.mjs")
    given = [server.url, USER, PASSWORD, str(sdk.folder / "example.json")]
    printed = run(["node", program, *given], toolchain.folder)
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


def test_a_page_of_another_origin_decides(
    server: Server, installed: tuple[TypeScript, Sdk], site: tuple[str, Path]
) -> None:
    (toolchain, sdk), (origin, folder) = installed, site
    (folder / "index.html").write_text(PAGE)
    (folder / "esm").symlink_to(toolchain.folder / sdk.service / "esm")
    example = (sdk.folder / "example.json").read_text(encoding="utf-8")
    with chromium() as browser, watched_page(browser) as page:
        page.goto(f"{origin}/index.html")
        decided, late = page.evaluate(DECIDE, [server.url, USER, PASSWORD, example])
    own = server.post("predict", json.loads(example), params={"seed": 7})
    assert decided.pop("policyVersion") == own.headers["X-Policy-Version"]
    assert decided == own.json()
    assert late == "DeadlineError"


def test_the_example_with_all_options_runs_as_it_is_shipped(
    server: Server, installed: tuple[TypeScript, Sdk]
) -> None:
    toolchain, sdk = installed
    asks = {"POLICY_URL": server.url, "POLICY_USER": USER, "POLICY_PASSWORD": PASSWORD}
    printed = run(toolchain.example(sdk, "options"), sdk.folder, asks)
    assert printed.splitlines()[-1] == "2"
    shipped = (sdk.folder / "src" / "exampleOptions.ts").read_text(encoding="utf-8")
    assert shipped in (sdk.folder / "README.md").read_text(encoding="utf-8")
