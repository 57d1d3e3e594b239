"""What the tests of a language that is compiled share: its package, and programs that use it."""

import json
import re
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess, run

import pytest

from policy_server.contract.contract import ContractFile
from tests.clients.strangers import answering, pointing_to
from tests.clients.toolchains import MINUTE
from tests.conftest import shared
from tests.support.server import KEY, PASSWORD, USER, Server, run_command

WHO = {"POLICY_USER": USER, "POLICY_PASSWORD": PASSWORD}
CALLERS = (WHO, {"POLICY_KEY": KEY}, {"POLICY_TOKEN": KEY})
"""The same caller, in each way that there is to say so."""


def unpacked(
    language: str, published: Path, factory: pytest.TempPathFactory, service: str = ""
) -> Path:
    """A folder of one's own with `instance`, and the package of a language beside it.

    Args:
        language: Of the package.
        published: A BASE_PATH in which a policy decides.
        factory: Makes folders.
        service: What tells it from another one in the same language.
    """

    def make(folder: Path) -> Path:
        base_path = Path(shutil.copytree(published, folder / "instance"))
        done = run_command("clients", "--language", language, base_path=base_path)
        assert f"  ok      {language}\n" in done.stdout, done.stderr
        (archive,) = base_path.glob(f"clients/*/*/{language}.zip")
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder)
        return folder

    return shared(f"clients-{language}{service}", factory, make)


def blocks(folder: Path, word: str) -> list[str]:
    """The pieces of code in the README of a package."""
    text = (folder / "README.md").read_text("utf-8")
    return re.findall(rf"^```{word}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Programs:
    """Programs that use a package, and the server that they ask.

    Attributes:
        folder: Of the package.
        example: What runs its example, which reads `example.json` of the folder that it runs in.
        in_code: What runs the example that makes an observation in code.
    """

    folder: Path
    example: Sequence[str | Path]
    in_code: Sequence[str | Path]
    server: Server

    def run(
        self, who: Mapping[str, str], folder: Path | None = None, url: str = ""
    ) -> CompletedProcess[str]:
        """Have the example decide on the observation of a folder, else on the package's own."""
        return self._run(self.example, folder or self.folder, url, who)

    def run_in_code(self, who: Mapping[str, str]) -> CompletedProcess[str]:
        """Have the other one decide."""
        return self._run(self.in_code, self.folder, "", who)

    def _run(
        self, command: Sequence[str | Path], folder: Path, url: str, who: Mapping[str, str]
    ) -> CompletedProcess[str]:
        return run(
            list(map(str, command)),
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "POLICY_URL": url or self.server.url, **who},
            capture_output=True,
            text=True,
            timeout=MINUTE,
            check=False,
        )

    def observation(self) -> dict[str, object]:
        """The package's own."""
        read: dict[str, object] = json.loads((self.folder / "example.json").read_text("utf-8"))
        return read

    def refusal(self, folder: Path, observation: Mapping[str, object]) -> str:
        """What the example says of what is no observation, which it reads from that folder."""
        (folder / "example.json").write_text(json.dumps(observation))
        done = self.run(WHO, folder)
        assert (done.returncode, done.stdout) == (1, "")
        return done.stderr

    def without_id(self) -> dict[str, object]:
        """The package's own observation without a field that it must have."""
        observation = self.observation()
        del observation["id"]
        return observation


class CommonTests:
    """What the example of each package does; `programs` is a fixture of the file.

    Attributes:
        language: As the package says in its User-Agent.
        redirected: How what it says of a service that redirects begins.
        says_version: It says which version decided.
    """

    language: str
    redirected: str
    says_version = False

    @pytest.mark.parametrize("who", CALLERS, ids=lambda who: "-".join(who))
    def test_it_decides_for_each_kind_of_caller(
        self, programs: Programs, who: dict[str, str]
    ) -> None:
        done = programs.run(who)
        assert done.returncode == 0, done.stderr
        answer = programs.server.post("predict", programs.observation())
        assert json.loads(done.stdout).keys() == answer.json().keys()
        version = answer.headers["X-Policy-Version"]
        assert done.stderr == (f"decided by version {version}\n" if self.says_version else "")

    def test_a_wrong_password_is_refused_with_the_problem(self, programs: Programs) -> None:
        done = programs.run({**WHO, "POLICY_PASSWORD": "wrong"})
        refused = programs.server.post("predict", programs.observation(), auth=(USER, "wrong"))
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"refused: {refused.json()['detail']}\n"

    def test_it_says_what_it_is_and_follows_no_redirect(self, programs: Programs) -> None:
        elsewhere = answering({"action": 0})
        with elsewhere.serving(), (here := pointing_to(elsewhere.url)).serving():
            done = programs.run(WHO, url=here.url)
        assert done.returncode == 1
        assert done.stderr.startswith(self.redirected)
        assert (len(here.received), elsewhere.received) == (1, [])
        sent = {name.lower(): value for name, value in here.received[0].items()}
        assert sent["user-agent"].endswith(f"({self.language})")
        contract = ContractFile.read(programs.folder.parent / "instance").resolve()
        assert sent["x-schema-hash"] == contract.schema.digest
