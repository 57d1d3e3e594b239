"""Wherever it is put, it serves, or one sentence names the setting and what to do."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import requests

from tests.support.churn import SCHEMA, parts_of
from tests.support.ordinary_user import as_user_without_an_entry
from tests.support.server import (
    Server,
    environment,
    free_port,
    run_command,
    running_in,
)

ROOT = Path(__file__).resolve().parents[2]
GUNICORN = str(Path(sys.executable).with_name("gunicorn"))
CONFIGURATION = str(ROOT / "gunicorn.conf.py")
FROM_ANYWHERE = {
    "gunicorn": [GUNICORN, "-c", CONFIGURATION, "app:app", "-w", "1"],
    "python app.py": [sys.executable, str(ROOT / "app.py")],
    "serve": [sys.executable, str(ROOT / "generate.py"), "serve", "--workers", "1"],
}
READ_ONLY = """\
for folder in /tmp /dev/shm /var/tmp $WRITABLE; do mount --bind $folder $folder; done
for folder in / /tmp /dev/shm /var/tmp; do mount -o remount,ro,bind $folder; done
exec "$@"
"""
NAMESPACE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root", "--mount"]
OF_CONDA = {"HOST": "x86_64-conda-linux-gnu", "DEBUG": "release"}
"""As compiler packages of conda and builds of C++ set them in every shell."""
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
WITHOUT = {"LANG": "", "LC_ALL": "", "LC_CTYPE": ""}
LOCALES = [WITHOUT, {**WITHOUT, "LANG": "C"}, {**WITHOUT, "LC_ALL": "POSIX"}, {**WITHOUT, **ASCII}]
UMLAUTS = (
    "observations:\n  wärme: {type: float, minimum: 0, maximum: 1, description: Wärme in °C}\n"
)
WINDOWS = {
    "schema.yaml": SCHEMA,
    "preprocessor.py": "def preprocess(observation):\n    return observation['x'] + [0] * 61\n",
    "output_mapper.yaml": "".join(f"{action}: zurück {action}\n" for action in range(64)),
    "golden.jsonl": '{"observation": {"x": [1, 1.5, 2]}, "meaning": "zurück 0"}\n',
}


def refusal(
    command: list[str], base: Path, folder: Path, settings: Mapping[str, str], code: int = 2
) -> str:
    """What a server says that does not start."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(base, **{"PORT": "0", **settings}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def decides(server: Server) -> bool:
    return server.post("predict", {"warmth": 20.0}).status_code == 200


@pytest.fixture
def base(published_warm: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(published_warm, tmp_path / "base"))


@pytest.mark.parametrize("command", FROM_ANYWHERE)
def test_it_is_started_from_another_folder(base: Path, command: str) -> None:
    port = free_port()
    given = {"PORT": str(port)}
    with running_in(Path("/"), FROM_ANYWHERE[command], port, base, given) as server:
        assert decides(server)


@pytest.mark.parametrize("options", [[], ["-k", "gthread"]])
def test_a_worker_that_cannot_serve_it_says_so_at_the_start(
    published_warm: Path, tmp_path: Path, options: list[str]
) -> None:
    command = [GUNICORN, "--chdir", str(ROOT), "app:app", "-b", "127.0.0.1:0", *options]
    told = refusal(command, published_warm, tmp_path, {}, code=4)
    assert f"-c {CONFIGURATION}" in told


@pytest.mark.parametrize(
    ("command", "host"), [("gunicorn", "::1"), ("python app.py", "[::1]"), ("serve", "[::1]")]
)
def test_an_address_of_ipv6_is_listened_on_in_either_spelling(
    base: Path, tmp_path: Path, command: str, host: str
) -> None:
    port = free_port()
    given = {"HOST": host, "PORT": str(port)}
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            FROM_ANYWHERE[command], cwd="/", env=environment(base, **given), stderr=output
        )
    try:
        url = f"http://[::1]:{port}/api/health/live"
        retried = requests.adapters.HTTPAdapter(
            max_retries=requests.adapters.Retry(200, connect=200, backoff_factor=0.1, backoff_max=1)
        )
        with requests.Session() as session:
            session.mount("http://", retried)
            assert session.get(url, timeout=60).ok
    finally:
        process.terminate()
        assert process.wait(60) in (0, -signal.SIGTERM), log.read_text()
    told = run_command("example", base_path=base, **given).stdout
    assert f"http://[::1]:{port}/api/predict" in told


@pytest.mark.parametrize("command", FROM_ANYWHERE)
def test_names_that_other_programs_set_are_told_with_the_remedy(
    published_warm: Path, tmp_path: Path, command: str
) -> None:
    told = refusal(FROM_ANYWHERE[command], published_warm, tmp_path, OF_CONDA)
    for name, value in OF_CONDA.items():
        (line,) = [each for each in told.splitlines() if each.strip().startswith(f"{name}:")]
        assert repr(value) in line
        assert f"set POLICY_SERVER_{name}" in line


def test_ours_come_before_what_other_programs_set_wherever_they_stand(
    base: Path, tmp_path: Path
) -> None:
    port = free_port()
    (tmp_path / ".env").write_text(
        f"POLICY_SERVER_HOST=127.0.0.1\nPOLICY_SERVER_DEBUG=no\nPOLICY_SERVER_PORT={port}\n"
    )
    given = {**OF_CONDA, "PORT": "1"}
    with running_in(tmp_path, FROM_ANYWHERE["gunicorn"], port, base, given) as server:
        assert decides(server)


def test_a_user_without_an_entry_and_with_group_0_serves_and_takes_uploads(
    base: Path, tmp_path: Path
) -> None:
    """As OpenShift runs images: what is to be written to belongs to another user, and group 0."""
    if os.geteuid() == 0:
        for path in (base, *base.rglob("*")):
            os.chown(path, 10001, 0)
            path.chmod(path.stat().st_mode | (path.stat().st_mode & 0o700) >> 3)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    port = free_port()
    command = as_user_without_an_entry(*FROM_ANYWHERE["gunicorn"])
    given = {"HOME": "/", "PORT": str(port), "POLICY_SERVER_PASSWORD": ""}
    given["POLICY_SERVER_API_KEYS"] = ""
    with running_in(Path("/"), command, port, base, given) as server:
        user, _, password = (base / "credentials").read_text().strip().partition(":")
        auth = (user, password)
        assert server.post("predict", {"warmth": 20.0}, auth=auth).status_code == 200
        mapper = b"0: cold\n1: warm\n"
        report = server.upload("outputmapper", "output_mapper_file", mapper, auth=auth)
        assert report.json().get("state") == "active", report.text
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize("temporary", [True, False])
def test_on_a_root_that_cannot_be_written_to(base: Path, tmp_path: Path, temporary: bool) -> None:
    """With BASE_PATH and a folder for temporary files it does all; without these it says so."""
    (tmp_path / "temporary").mkdir()
    port = free_port()
    command = [*NAMESPACE, "sh", "-ec", READ_ONLY, "sh", *FROM_ANYWHERE["gunicorn"]]
    writable = [base, tmp_path / "temporary"] if temporary else [base]
    given = {"PORT": str(port), "WRITABLE": " ".join(map(str, writable))}
    given["TMPDIR"] = str(tmp_path / "temporary")
    if not temporary:
        told = refusal(command, base, Path("/"), given)
        assert "TMPDIR: names no folder that can be written to" in told
        assert "set it to one" in told
        return
    with running_in(Path("/"), command, port, base, given) as server:
        assert decides(server)
        mapper = b"0: cold\n1: warm\n"
        report = server.upload("outputmapper", "output_mapper_file", mapper)
        assert report.json().get("state") == "active", report.text


@pytest.mark.parametrize("locale", LOCALES, ids=["none", "C", "POSIX", "ASCII"])
def test_in_any_locale_texts_are_unicode(tmp_path: Path, locale: Mapping[str, str]) -> None:
    folder = tmp_path / "policy"
    folder.mkdir()
    (folder / "schema.yaml").write_text(UMLAUTS, encoding="utf-8")
    from tests.support.networks import linear_onnx  # which imports onnx

    (folder / "policy.onnx").write_bytes(linear_onnx(1, 2))
    (folder / "output_mapper.yaml").write_text("0: wärmer\n1: kälter\n", encoding="utf-8")
    base, port = tmp_path / "base", free_port()
    published = run_command("publish", folder, base_path=base, **locale)
    assert published.returncode == 0, published.stderr
    told = run_command("example", base_path=base, **locale)
    assert told.returncode == 0, told.stderr
    given = {"PORT": str(port), **locale}
    with running_in(Path("/"), FROM_ANYWHERE["gunicorn"], port, base, given) as server:
        answer = server.post("predict", {"wärme": 0.5})
        assert answer.json()["meaning"] in {"wärmer", "kälter"}
        refused = server.post("predict", {"wärme": "heiß"})
        assert refused.json()["errors"][0]["pointer"] == "/wärme"
        assert "°C" in server.get("schema").content.decode()
    assert "Traceback" not in server.log.read_text()


def windows_folder(folder: Path, encoding: str, only: str | None = None) -> Path:
    """A policy of which the texts, or one of them, were saved by an editor of Windows."""
    folder.mkdir()
    (folder / "model.onnx").write_bytes(parts_of(0, preprocessor=True)["model_file"][1])
    for name, text in WINDOWS.items():
        odd = only in (None, name)
        content = text.replace("\n", "\r\n").encode(encoding) if odd else text.encode()
        (folder / name).write_bytes(content)
    return folder


def test_files_as_editors_of_windows_save_them_are_published(tmp_path: Path) -> None:
    folder = windows_folder(tmp_path / "policy", "utf-8-sig")
    done = run_command("publish", folder, base_path=tmp_path / "base")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is active." in done.stdout


@pytest.mark.parametrize("name", WINDOWS)
def test_files_in_utf16_are_named_with_the_remedy(tmp_path: Path, name: str) -> None:
    folder = windows_folder(tmp_path / "policy", "utf-16", only=name)
    done = run_command("check", folder, base_path=tmp_path / "base")
    told = done.stdout + done.stderr
    assert done.returncode in (1, 2), told
    assert "UTF-16" in told
    assert "Save it as UTF-8" in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    "name",
    [
        *("BASE_PATH", "PORT", "TUPLE", "WEB_CONCURRENCY"),
        *("POLICY_SERVER_PASSWORD_FILE", "POLICY_SERVER_API_KEYS_FILE"),
        *("POLICY_SERVER_MEMORY_KEY_FILE", "POLICY_SERVER_TRUSTED_PROXIES"),
    ],
)
def test_no_device_is_a_setting(published_warm: Path, tmp_path: Path, name: str) -> None:
    """`/dev/null`, with which people mean nothing at all; one program stands for all settings."""
    given = {name: "/dev/null"}
    if name == "BASE_PATH":
        told = refusal(FROM_ANYWHERE["serve"], Path("/dev/null"), tmp_path, {})
    else:
        told = refusal(FROM_ANYWHERE["serve"], published_warm, tmp_path, given)
    assert f"  {name}: " in told
