"""The SDK for Rust: it compiles with warnings as errors, it decides, and says why not."""

import fcntl
import json
import shutil
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from policy_server.clients.names import Package
from policy_server.contract.contract import ContractFile
from tests.clients.compiled import WHO, CommonTests, Programs, blocks, unpacked
from tests.clients.faults import Misbehaving, trickling
from tests.clients.strangers import answering
from tests.clients.toolchains import DRIVERS, MINUTE, run
from tests.support.kept import CACHE
from tests.support.nginx import make_certificates
from tests.support.server import KEY, free_port, gunicorn

CRATES = Path(__file__).with_name("Cargo.lock")
"""Which releases of what the package depends on are compiled, with their checksums."""
BUILT = CACHE / "rust"
"""Outside of the checkout: what was fetched and compiled once stays."""
VARIABLES = {
    "CARGO_INCREMENTAL": "0",
    "CARGO_PROFILE_DEV_DEBUG": "0",
    "CARGO_TARGET_DIR": str(BUILT / "target"),
    "RUSTFLAGS": "-D warnings",
}
A_MINUTE = "60000"
"""Milliseconds."""
AT_MOST = 20 * MINUTE
"""For all that the package depends on: a minute of one processor, and more on a busy machine."""


@dataclass(frozen=True)
class Asked(Programs):
    """The same, with a driver of ours."""

    driver: Path

    def drive(self, url: str, *settings: str | Path) -> str:
        """What the driver says of the package's own observation."""
        observation = json.dumps(self.observation())
        return run([self.driver, url, observation, *settings], self.folder)


def compile_package(folder: Path, examples: Sequence[str], made: Path) -> None:
    """Compile a package and its examples, and put these into a folder.

    One at a time, and always at the same place, so that nothing there is ever compiled twice.
    """
    BUILT.mkdir(parents=True, exist_ok=True)
    with (CACHE / "rust.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        place = BUILT / "package"
        shutil.rmtree(place, ignore_errors=True)
        # Files are as old as their copy: what is older than what was compiled is not compiled.
        shutil.copytree(folder, place, copy_function=shutil.copyfile)
        shutil.copyfile(CRATES, place / "Cargo.lock")
        options = [f"--example={each}" for each in examples]
        run(["cargo", "build", "--quiet", *options], place, VARIABLES, AT_MOST)
        for each in examples:
            shutil.copy(BUILT / "target" / "debug" / "examples" / each, made / each)


@pytest.fixture(scope="module")
def programs(published_lpoc: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    made, compiled = (
        unpacked("rust", published_lpoc, tmp_path_factory),
        tmp_path_factory.mktemp("rust"),
    )
    base_path, folder = made / "instance", made / "rust"
    contract = ContractFile.read(base_path).resolve()
    package = Package.of(contract.title, contract.version).module
    driver = (DRIVERS / "driver.rs.txt").read_text("utf-8").replace("PACKAGE", package)
    (folder / "examples" / "driver.rs").write_text(driver.replace("KEY", KEY), "utf-8")
    (folder / "examples" / "in_code.rs").write_text(blocks(folder, "rust")[-1], "utf-8")
    compile_package(folder, ("decide", "driver", "in_code"), compiled)
    with gunicorn(base_path) as server:
        in_code = [compiled / "in_code"]
        yield Asked(folder, [compiled / "decide"], in_code, server, compiled / "driver")


class TestCommon(CommonTests):
    language = "rust"
    redirected = "no decision: error in response: status code 301 Moved Permanently"
    says_version = True


def test_an_observation_made_in_code_is_decided_as_the_server_does(programs: Asked) -> None:
    done = programs.run_in_code({"POLICY_KEY": KEY})
    assert done.returncode == 0, done.stderr
    asked = programs.server.post("predict", programs.observation(), params={"seed": 7}).json()
    assert done.stdout == f'{asked["action"]}\n"{asked["meaning"]}"\n'


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"misspelt": 1}, "unknown field `misspelt`, expected one of `id`, "),
        ({"id": 1.5}, "invalid type: floating point `1.5`, expected i32 at line "),
        ({"id": None}, "invalid type: null, expected i32 at line "),
        ({"has_core": "true"}, 'invalid type: string "true", expected a boolean at line '),
        ({"target": [1, 1.5]}, "invalid type: floating point `1.5`, expected i32 at line "),
    ],
)
def test_what_is_no_observation_is_refused_before_it_is_sent(
    programs: Asked, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    refusal = programs.refusal(tmp_path, {**programs.observation(), **changes})
    assert refusal.startswith(f"example.json is no observation: {said}")


def test_a_field_that_is_required_is_missed(programs: Asked, tmp_path: Path) -> None:
    refusal = programs.refusal(tmp_path, programs.without_id())
    assert refusal.startswith("example.json is no observation: missing field `id`")


def test_what_kept_it_from_deciding_is_said_with_its_cause(programs: Asked) -> None:
    done = programs.run(WHO, url=f"http://127.0.0.1:{free_port()}/api")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("no decision: error in reqwest: error sending request for url ")
    assert "Connection refused" in done.stderr


def test_a_deadline_is_over_the_whole_call(programs: Asked) -> None:
    slow = Misbehaving(trickling({}))
    with slow.serving():
        for milliseconds in (500, 5_000, 30_000):  # on a busy machine some end before they ask
            assert programs.drive(slow.url, str(milliseconds)) == "too late\n"
            if slow.received:
                break
    assert slow.received


def test_an_authority_of_ones_own_is_trusted_where_it_is_given(
    programs: Asked, tmp_path: Path
) -> None:
    make_certificates(tmp_path)
    server = answering({"action": 3, "meaning": "right", "probability": 1.0})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "fullchain.pem", tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = server.url.replace("http:", "https:")
    with server.serving():
        authority = tmp_path / "authority.pem"
        assert programs.drive(url, A_MINUTE, authority) == "3 right none-0f\n"
        assert programs.drive(url, A_MINUTE) == "no connection\n"
    assert len(server.received) == 1


def test_names_that_languages_keep_for_themselves_go_out_as_they_are(
    published_names: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made, compiled = (
        unpacked("rust", published_names, tmp_path_factory, "-names"),
        tmp_path_factory.mktemp("names"),
    )
    folder = made / "rust"
    (folder / "examples" / "in_code.rs").write_text(blocks(folder, "rust")[-1], "utf-8")
    compile_package(folder, ("decide", "in_code"), compiled)
    with gunicorn(made / "instance") as server:
        programs = Programs(folder, [compiled / "decide"], [compiled / "in_code"], server)
        seeded = server.post("predict", programs.observation(), params={"seed": 7}).json()
        decided, in_code = programs.run(WHO), programs.run_in_code({"POLICY_KEY": KEY})
    assert decided.returncode == 0, decided.stderr
    assert json.loads(decided.stdout).keys() == seeded.keys()
    assert in_code.returncode == 0, in_code.stderr
