"""The SDK for C#: Mono's compiler takes it without a warning, it decides, and says why not."""

import json
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from policy_server.clients.names import Package
from policy_server.contract.contract import ContractFile
from tests.clients.compiled import WHO, CommonTests, Programs, blocks, unpacked
from tests.clients.faults import Behaviour, Misbehaving, stalling, trickling
from tests.clients.strangers import answering, pointing_to
from tests.clients.toolchains import DRIVERS, run
from tests.support.nginx import make_certificates
from tests.support.server import KEY, PASSWORD, USER, free_port, gunicorn

NEWTONSOFT = Path("/usr/lib/cli/Newtonsoft.Json-5.0/Newtonsoft.Json.dll")
"""Of Debian; it is older than the one that the package names, and has all that it uses."""
STRICT = ("mcs", "-langversion:7.2", "-warnaserror", "-warn:4", "-utf8output", "-codepage:utf8")
LIBRARIES = ("System.Net.Http", "System.Runtime.Serialization", NEWTONSOFT)
MEANINGS = "0: up\n1: right\n2: down\n3: left\n4: wait\n"
A_MINUTE = "60000"
"""Milliseconds."""


@dataclass(frozen=True)
class Asked(Programs):
    """The same, with a driver of ours."""

    driver: Sequence[str | Path]

    def drive(
        self,
        what: str,
        text: str | None = None,
        limit: str = A_MINUTE,
        *settings: str,
        url: str = "",
    ) -> str:
        """What the driver says of a text, or of the package's own observation."""
        given = json.dumps(self.observation()) if text is None else text
        return run(
            [*self.driver, url or self.server.url, what, given, limit, *settings], self.folder
        )


def compiled(folder: Path, sources: dict[str, Path], made: Path) -> dict[str, list[str | Path]]:
    """How to run programs that use a package, by their names; everything is compiled strictly."""
    (source,) = (folder / "src").iterdir()
    library = made / f"{source.name}.dll"
    references = [f"-r:{each}" for each in LIBRARIES]
    # Documentation is read, too: what it refers to must be there.
    documented = [f"-doc:{made / 'documentation.xml'}", "-target:library", f"-out:{library}"]
    run([*STRICT, *references, *documented, *sorted(source.rglob("*.cs"))], made)
    (made / NEWTONSOFT.name).write_bytes(NEWTONSOFT.read_bytes())
    for name, path in sources.items():
        run([*STRICT, *references, f"-r:{library}", f"-out:{made / name}.exe", path], made)
    return {name: ["mono", made / f"{name}.exe"] for name in sources}


@pytest.fixture(scope="module")
def programs(published_lpoc: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    made, out = unpacked("csharp", published_lpoc, tmp_path_factory), tmp_path_factory.mktemp("cs")
    base_path, folder = made / "instance", made / "csharp"
    contract = ContractFile.read(base_path).resolve()
    namespace = Package.of(contract.title, contract.version).pascal
    driver = (DRIVERS / "driver.cs.txt").read_text("utf-8").replace("NAMESPACE", namespace)
    driver = driver.replace("USER", USER).replace("PASSWORD", PASSWORD)
    (out / "Driver.cs").write_text(driver, "utf-8")
    (out / "InCode.cs").write_text(blocks(folder, "csharp")[-1], "utf-8")
    sources = {
        "decide": folder / "example" / "Program.cs",
        "in_code": out / "InCode.cs",
        "driver": out / "Driver.cs",
    }
    run_by = compiled(folder, sources, out)
    with gunicorn(base_path) as server:
        yield Asked(folder, run_by["decide"], run_by["in_code"], server, run_by["driver"])


class TestCommon(CommonTests):
    language = "csharp"
    redirected = "no decision: the service redirects to http://127.0.0.1:"
    says_version = True


def test_an_observation_made_in_code_is_decided_as_the_server_does(programs: Asked) -> None:
    done = programs.run_in_code({"POLICY_KEY": KEY})
    assert done.returncode == 0, done.stderr
    asked = programs.server.post("predict", programs.observation(), params={"seed": 7}).json()
    assert done.stdout == f"{asked['action']}\n{asked['meaning']}\n"


def test_fields_that_are_forgotten_or_misspelt_do_not_compile(
    programs: Asked, tmp_path: Path
) -> None:
    code = blocks(programs.folder, "csharp")[-1]
    library = next(Path(programs.driver[1]).parent.glob("*Client.dll"))
    for changed, said in (
        (code.replace("            id: 3,\n", ""), "CS1729: .* takes `11' arguments"),
        (code.replace(" id: 3,", " idd: 3,"), "CS1739"),
        (code.replace(" id: 3,", " id: 3.5,"), "CS1503"),
    ):
        assert changed != code
        (tmp_path / "InCode.cs").write_text(changed)
        command = [*STRICT, *(f"-r:{each}" for each in (*LIBRARIES, library)), "InCode.cs"]
        with pytest.raises(AssertionError, match=said):
            run(command, tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"misspelt": 1}, "the schema has no field 'misspelt'"),
        ({"id": 1.5}, "'id' is 1.5, which is no Int32"),
        ({"id": 3_000_000_000}, "'id' is 3000000000, which is no Int32"),
        ({"id": 10**30}, f"'id' is {10**30}, which is no Int32"),
        ({"id": None}, "'id' is null, which is no Int32"),
        ({"is_up_free": None}, "'is_up_free' is null, which is no Boolean"),
        ({"has_core": "true"}, "'has_core' is \"true\", which is no Boolean"),
        ({"target": 1}, "'target' is 1, which is no list"),
        ({"target": [1, 1.5]}, "'target[1]' is 1.5, which is no Int32"),
    ],
)
def test_what_is_no_observation_is_refused_before_it_is_sent(
    programs: Asked, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    refusal = programs.refusal(tmp_path, {**programs.observation(), **changes})
    assert refusal == f"example.json is no observation: {said}\n"


def test_keys_that_no_header_can_have_are_refused_and_not_shown(programs: Asked) -> None:
    assert programs.drive("odd keys") == "4 refused\n"


def test_a_field_that_is_required_is_missed(programs: Asked, tmp_path: Path) -> None:
    refusal = programs.refusal(tmp_path, programs.without_id())
    assert refusal.startswith("example.json is no observation: Required property 'id' not found")


def test_a_field_that_is_not_given_is_not_sent(programs: Asked) -> None:
    observation = programs.observation()
    del observation["is_up_free"]
    server = Misbehaving(stalling({}))
    with server.serving():
        programs.drive("decide", json.dumps(observation), "5000", url=server.url)
    assert [json.loads(each.body) for each in server.received] == [observation]


def test_a_handler_of_ones_own_follows_no_redirect_either(programs: Asked) -> None:
    elsewhere = answering({"action": 0})
    with elsewhere.serving(), (here := pointing_to(elsewhere.url)).serving():
        said = programs.drive("decide", None, A_MINUTE, "wrapped", url=here.url)
    assert said.startswith(f"the service redirects to {elsewhere.url}")
    assert said.endswith("|301|\n")
    assert (len(here.received), elsewhere.received) == (1, [])


def test_what_kept_it_from_deciding_is_said_with_its_cause(programs: Asked) -> None:
    done = programs.run(WHO, url=f"http://127.0.0.1:{free_port()}/api")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "no decision: there was no answer: Connection refused\n"


def test_what_the_service_found_wrong_is_told_by_its_field(programs: Asked) -> None:
    wrong = json.dumps({**programs.observation(), "id": 9_999})
    said, status, pointer = programs.drive("decide", wrong).strip().split("|")
    assert (status, pointer) == ("400", "/id")
    assert said == programs.server.post("predict", json.loads(wrong)).json()["detail"]


@pytest.mark.parametrize("behaviour", [trickling, stalling])
def test_a_deadline_is_over_the_whole_call(
    programs: Asked, behaviour: Callable[[Any], Behaviour]
) -> None:
    slow = Misbehaving(behaviour({}))
    with slow.serving():
        said = programs.drive("decide", limit="5000", url=slow.url)
    assert said == "there was no answer within 5 s; the service may still be at work||\n"
    assert len(slow.received) == 1


def test_a_call_can_be_cancelled(programs: Asked) -> None:
    slow = Misbehaving(trickling({}))
    with slow.serving():
        assert programs.drive("cancel", url=slow.url) == "cancelled\n"


def test_an_answer_that_is_none_of_the_services_is_said_to_be_none(programs: Asked) -> None:
    odd = answering({"action": "left"})
    with odd.serving():
        said = programs.drive("decide", url=odd.url)
    assert said.startswith("200 with application/json is no answer of the service: ")


def test_twenty_calls_at_once_are_decided_alike(programs: Asked) -> None:
    asked = programs.server.post("predict_deterministic", programs.observation()).json()
    assert programs.drive("at once") == f"{asked['action']}\n"


DECISION = {"action": 3, "meaning": "right", "probability": 1.0}


def test_a_certificate_is_trusted_where_ones_own_handler_trusts_it(
    programs: Asked, tmp_path: Path
) -> None:
    make_certificates(tmp_path)
    server = answering(DECISION)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "fullchain.pem", tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = server.url.replace("http:", "https:")
    with server.serving():
        trusted = str(tmp_path / "fullchain.pem")
        assert programs.drive("decide", None, A_MINUTE, trusted, url=url) == "3 right none-0f\n"
        assert "CERTIFICATE_VERIFY_FAILED" in programs.drive("decide", url=url)
    assert len(server.received) == 1


def test_a_proxy_is_asked_where_it_is_given(programs: Asked) -> None:
    proxy = answering(DECISION)
    with proxy.serving():
        given = ("decide", None, A_MINUTE, proxy.url.removesuffix("/api"))
        assert programs.drive(*given, url="http://policy.invalid/api") == "3 right none-0f\n"
    assert [each["Host"] for each in proxy.received] == ["policy.invalid"]


def test_an_upload_is_waited_for_and_refused_with_its_faults(programs: Asked) -> None:
    served = programs.server.get("versions").json()["active"]
    made = programs.drive("upload", MEANINGS).strip()
    versions = programs.server.get("versions").json()
    assert made == versions["active"] != served
    assert "|422|" in programs.drive("upload", "0: only one\n")
    assert programs.server.get("versions").json()["active"] == made


@pytest.fixture(scope="module")
def named(published_names: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    """The same of a schema with enumerations, and with names that languages keep for themselves."""
    made = unpacked("csharp", published_names, tmp_path_factory, "-names")
    folder, out = made / "csharp", tmp_path_factory.mktemp("names")
    (out / "InCode.cs").write_text(blocks(folder, "csharp")[-1], "utf-8")
    sources = {"decide": folder / "example" / "Program.cs", "in_code": out / "InCode.cs"}
    run_by = compiled(folder, sources, out)
    with gunicorn(made / "instance") as server:
        yield Programs(folder, run_by["decide"], run_by["in_code"], server)


def test_names_that_languages_keep_for_themselves_go_out_as_they_are(named: Programs) -> None:
    seeded = named.server.post("predict", named.observation(), params={"seed": 7}).json()
    decided, in_code = named.run(WHO), named.run_in_code({"POLICY_KEY": KEY})
    assert decided.returncode == 0, decided.stderr
    assert json.loads(decided.stdout).keys() == seeded.keys()
    assert in_code.returncode == 0, in_code.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("wrd", "RED"),
        ("wrd", "red, green"),
        ("wrd", 1),
        ("type", "CLASS_VALUE"),
        ("1st", 2),
        ("1st", 10**12),
        ("words", ["X"]),
    ],
)
def test_a_value_that_is_not_listed_is_taken_for_no_other(
    named: Programs, tmp_path: Path, name: str, value: object
) -> None:
    refusal = named.refusal(tmp_path, {**named.observation(), name: value})
    assert refusal.startswith(f"example.json is no observation: '{name}")
