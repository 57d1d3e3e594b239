"""Settings as people, editors and platforms write them: each counts, or is named with a remedy."""

import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType

import pytest

from policy_server.app.settings import Settings, read_settings
from policy_server.errors import ConfigurationError


def settings_of(
    tmp_path: Path, content: bytes = b"", environment: Mapping[str, str] = MappingProxyType({})
) -> Settings:
    dotenv = tmp_path / ".env"
    dotenv.write_bytes(content)
    return read_settings(environment=environment, dotenv_path=dotenv)


def refusal_of(
    tmp_path: Path, content: bytes = b"", environment: Mapping[str, str] = MappingProxyType({})
) -> str:
    with pytest.raises(ConfigurationError) as caught:
        settings_of(tmp_path, content, environment)
    return str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"PORT=9001",
        b"PORT=9001\r\nDEBUG=true\r\n",
        b"\xef\xbb\xbfPORT=9001\n",
        b"export PORT=9001\n",
        b" PORT = 9001 \n",
        b"# a comment\n\nPORT='9001'\n",
        b'POLICY_SERVER_PORT="9001" # of the proxy\n',
        b"BASE_PATH=~/state\nPORT=9001\n",
    ],
)
def test_a_file_as_people_and_editors_write_it(tmp_path: Path, content: bytes) -> None:
    assert settings_of(tmp_path, content).port == 9001


@pytest.mark.parametrize(
    ("content", "place", "fault"),
    [
        ("PORT=9001\n".encode("utf-16"), ".env", "save it as UTF-8"),
        (b"POLICY_SERVER_USER=J\xf6rg\n", ".env", "save it as UTF-8"),
        (b"DEBUG=true\nthis is no variable\n", ".env:2", "NAME=value"),
        (b"PORT='9001\n", ".env:1", "NAME=value"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_line(
    tmp_path: Path, content: bytes, place: str, fault: str
) -> None:
    told = refusal_of(tmp_path, content)
    assert place in told
    assert fault in told


def test_a_folder_called_env_holds_no_settings(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    assert read_settings(environment={}, dotenv_path=tmp_path / ".env") == Settings()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("POLICY_SERVER_PASSWROD", "POLICY_SERVER_PASSWORD"),
        ("POLICY_SERVER_APIKEYS", "POLICY_SERVER_API_KEYS"),
        ("policy_server_user", "POLICY_SERVER_USER"),
        ("POLICY_SERVER_BASEPATH", "POLICY_SERVER_BASE_PATH"),
    ],
)
@pytest.mark.parametrize("in_file", [False, True])
def test_a_misspelt_name_is_told_from_what_was_meant(
    tmp_path: Path, written: str, meant: str, in_file: bool
) -> None:
    content = f"{written}=a secret that long\n".encode() if in_file else b""
    told = refusal_of(tmp_path, content, {} if in_file else {written: "a secret that long"})
    assert f"{written}: is no setting: did you mean {meant}?" in told
    assert "a secret that long" not in told


def test_a_name_like_no_other_is_told_where_all_are(tmp_path: Path) -> None:
    assert "docs/configuration.md" in refusal_of(tmp_path, environment={"POLICY_SERVER_QQQQ": "1"})


def test_what_kubernetes_tells_of_a_service_of_this_name_is_no_setting(tmp_path: Path) -> None:
    service = {
        "POLICY_SERVER_SERVICE_HOST": "10.0.0.7",
        "POLICY_SERVER_SERVICE_PORT": "8080",
        "POLICY_SERVER_SERVICE_PORT_HTTP": "8080",
        "POLICY_SERVER_PORT": "tcp://10.0.0.7:8080",
        "POLICY_SERVER_PORT_8080_TCP": "tcp://10.0.0.7:8080",
        "POLICY_SERVER_PORT_8080_TCP_PROTO": "tcp",
        "POLICY_SERVER_PORT_8080_TCP_PORT": "8080",
        "POLICY_SERVER_PORT_8080_TCP_ADDR": "10.0.0.7",
    }
    assert settings_of(tmp_path, environment=service) == Settings()
    assert settings_of(tmp_path, environment={"PORT": "9001", **service}).port == 9001
    told = refusal_of(tmp_path, environment={"POLICY_SERVER_PORT": "8080/tcp"})
    assert "POLICY_SERVER_PORT: is a whole number" in told


@pytest.mark.parametrize("ending", ["\r", "\r\n"])
def test_a_variable_from_a_file_of_windows_has_no_line_end(tmp_path: Path, ending: str) -> None:
    given = {"PORT": f"9001{ending}", "POLICY_SERVER_PASSWORD": f"a b c d e f{ending}"}
    found = settings_of(tmp_path, environment=given)
    assert (found.port, found.password) == (9001, "a b c d e f")


def test_the_folder_of_all_state_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for wrong in ("/dev/null", f"{tmp_path}/file", f"{tmp_path}/file/below"):
        told = refusal_of(tmp_path, environment={"BASE_PATH": wrong})
        assert "BASE_PATH: is a folder" in told
        assert repr(wrong) in told
    new = tmp_path / "is" / "made"
    assert settings_of(tmp_path, environment={"BASE_PATH": str(new)}).base_path == new


NONSENSE = (
    "/dev/null",
    "/",
    " ",
    "-1",
    "nan",
    "\0",
    "\ud800",
    "9" * 5_000,
    "x" * 100_000,
    "ä\n",
    "~nobody/x",
)


PAIR = ("POLICY_SERVER_TLS_CERTIFICATE", "POLICY_SERVER_TLS_KEY")


@pytest.mark.parametrize("value", NONSENSE, ids=map(str, range(len(NONSENSE))))
def test_no_setting_fails_on_nonsense_but_in_a_sentence(tmp_path: Path, value: str) -> None:
    """As it comes from the environment, where any bytes may stand, and from `.env`."""
    for name in sorted({each.metadata["name"] for each in fields(Settings)}):
        given = dict.fromkeys(PAIR if name in PAIR else (name,), value)
        try:
            settings_of(tmp_path, environment=given)
        except ConfigurationError as error:
            summary, *faults = str(error).splitlines()
            assert summary == "The settings cannot be used."
            assert faults
            for fault in faults:
                place, _, sentence = fault.strip().partition(": ")
                assert place.startswith(("POLICY_SERVER_OIDC_", *given)), fault
                assert re.match("(is|are|cannot|names) ", sentence), fault[:300]
                assert len(fault) < 400, fault[:400]
