"""The command line."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.support.external_weights import write
from tests.support.networks import linear_onnx
from tests.support.server import ROOT, environment, run_command

LPOC = ROOT / "examples" / "lpoc"


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_schema_takes_a_path(tmp_path: Path) -> None:
    done = run_command("schema", LPOC / "schema.yaml", "--noclients", base_path=tmp_path)
    assert done.returncode == 0
    assert done.stderr == ""
    specification = yaml.safe_load((tmp_path / "swagger.yaml").read_text())
    assert specification["info"]["title"] == "Policy Server"
    assert next(iter(specification["definitions"]["Observation"]["properties"])) == "id"


def test_schema_takes_standard_input(tmp_path: Path) -> None:
    text = (LPOC / "schema.yaml").read_text()
    done = run_command("schema", "-", "--noclients", base_path=tmp_path, text=text)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "contract.json").read_text())["schema"] == text


def test_title_and_version_are_kept_as_they_are_typed(tmp_path: Path) -> None:
    options = ["--title", "True", "--version", "1.10"]
    run_command("schema", LPOC / "schema.yaml", "--noclients", *options, base_path=tmp_path)
    information = yaml.safe_load((tmp_path / "swagger.yaml").read_text())["info"]
    assert (information["title"], information["version"]) == ("True", "1.10")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a: [", ["standard input:1: not YAML"]),
        ("- 1", ["a mapping is wanted"]),
        (
            "observations:\n  a: {type: str}\n  b: {type: int, minimum: 3, maximum: 1}\n",
            ["standard input:2: ", "standard input:3: "],
        ),
    ],
)
def test_a_bad_schema_is_exit_code_2_with_every_fault(
    tmp_path: Path, text: str, lines: list[str]
) -> None:
    done = run_command("schema", "-", base_path=tmp_path, text=text)
    assert done.returncode == 2
    assert all(line in done.stderr for line in lines)
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_bad_schema_leaves_the_one_before(tmp_path: Path) -> None:
    run_command("schema", LPOC / "schema.yaml", "--noclients", base_path=tmp_path)
    sdk = tmp_path / "clients" / "content" / "generator" / "python.zip"
    sdk.parent.mkdir(parents=True)
    sdk.write_bytes(b"made before")
    before = {path: path.read_bytes() for path in files_below(tmp_path)}
    assert run_command("schema", "-", base_path=tmp_path, text="x: 1").returncode == 2
    assert {path: path.read_bytes() for path in files_below(tmp_path)} == before


@pytest.mark.parametrize(
    "path", ["no/such/file.yaml", "examples/lpoc", "examples/lpoc/saved_model.zip"]
)
def test_a_file_that_cannot_be_read_is_exit_code_2(tmp_path: Path, path: str) -> None:
    done = run_command("schema", path, base_path=tmp_path)
    assert done.returncode == 2
    assert path in done.stderr
    assert "Traceback" not in done.stderr


def test_a_secret_in_the_schema_is_ignored_and_not_kept(tmp_path: Path) -> None:
    secret = "a-secret-of-1234567"
    schema = tmp_path.with_name(f"{tmp_path.name}-schema.yaml")
    schema.write_text(f"observations: {{x: {{type: int}}}}\nparameters: {{api_key: {secret}}}\n")
    done = run_command("schema", schema, "--noclients", base_path=tmp_path)
    assert done.returncode == 0
    assert "api_key" in done.stderr
    assert secret not in done.stderr + done.stdout
    kept = files_below(tmp_path)
    assert tmp_path / "contract.json" in kept
    assert all(secret.encode() not in path.read_bytes() for path in kept)


def test_publish_works_on_an_empty_base_path_and_shows_progress(tmp_path: Path) -> None:
    done = run_command("publish", LPOC, base_path=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "loading TensorFlow" in done.stderr
    assert "FAILED" not in done.stdout
    version = (tmp_path / "active").read_text().strip()
    assert f"Version {version} is active." in done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The lpoc example with a network that is built quickly."""
    ignored = shutil.ignore_patterns("saved_model.zip", "golden.jsonl", "train.py")
    made = Path(shutil.copytree(LPOC, tmp_path / "lpoc", ignore=ignored))
    (made / "policy.onnx").write_bytes(linear_onnx(39, 5))
    return made


def test_check_reports_and_activates_nothing(folder: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    done = run_command("check", folder, base_path=base)
    assert done.returncode == 0, done.stderr
    assert "ok      width" in done.stdout
    assert not (base / "active").exists()
    assert not (base / "versions").exists()


@pytest.mark.parametrize("folder", ["no/such/folder", "docs", "examples/lpoc/schema.yaml"])
def test_publishing_what_is_no_policy_is_exit_code_2(published_lpoc: Path, folder: str) -> None:
    done = run_command("publish", folder, base_path=published_lpoc)
    assert done.returncode == 2
    assert folder in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_brings_its_schema_along(folder: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    thermostat = ROOT / "examples/thermostat/schema.yaml"
    run_command("schema", thermostat, "--noclients", base_path=base)
    done = run_command("publish", folder, base_path=base)
    assert done.returncode == 0, done.stderr
    assert f"the API changes: {folder}/schema.yaml is not the schema that was served" in done.stderr
    assert '"has_left_neighbour"' in run_command("example", base_path=base).stdout


def test_the_title_stays_where_the_schema_does(folder: Path, tmp_path: Path) -> None:
    base, options = tmp_path / "base", ["--title", "Factory", "--noclients"]
    run_command("schema", LPOC / "schema.yaml", *options, base_path=base)
    done = run_command("publish", folder, base_path=base)
    assert (done.returncode, "the API changes" in done.stderr) == (0, False)
    version = (base / "active").read_text().strip()
    for place in (base, base / "versions" / version):
        assert json.loads((place / "contract.json").read_text())["title"] == "Factory"


def test_weights_beside_an_onnx_file_are_published_with_it(tmp_path: Path) -> None:
    """The exporter of PyTorch writes `policy.onnx` and `policy.onnx.data`."""
    folder, base = tmp_path / "policy", tmp_path / "base"
    folder.mkdir()
    write(folder)
    text = 'observations:\n  x: {type: "List[float]", min_items: 4, max_items: 4}\n'
    (folder / "schema.yaml").write_text(text)
    run_command("schema", LPOC / "schema.yaml", "--noclients", base_path=base)
    done = run_command("check", folder, base_path=base)
    assert done.returncode == 0, done.stderr
    assert "It would serve" in done.stdout
    done = run_command("publish", folder, base_path=base)
    assert done.returncode == 0, done.stderr
    assert "is active" in done.stdout


@pytest.mark.parametrize("name", ["policy.pt", "saved.zip"])
def test_a_foreign_file_in_a_folder_is_told_with_its_export(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.writestr("policy/data.pkl", b"x")
        archive.writestr("policy/constants.pkl", b"x")
    base = tmp_path / "base"
    run_command("schema", LPOC / "schema.yaml", "--noclients", base_path=base)
    done = run_command("check", tmp_path, base_path=base)
    assert done.returncode != 0
    assert "TorchScript" in done.stderr
    assert "\nnetwork = torch.jit.load('policy.pt', map_location='cpu').eval()\n" in done.stderr


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_schema_as_windows_saves_it(tmp_path: Path, encoding: str) -> None:
    text = "observations:\r\n  x: {type: int, minimum: 0, maximum: 3, description: Türen}\r\n"
    (tmp_path / "schema.yaml").write_bytes(text.encode(encoding))
    done = run_command("schema", tmp_path / "schema.yaml", "--noclients", base_path=tmp_path / "b")
    assert done.returncode == (2 if encoding == "utf-16" else 0)
    assert ("it is text in UTF-16" in done.stderr) == (encoding == "utf-16")
    assert "Traceback" not in done.stderr


def test_a_schema_that_cannot_be_served_is_not_published(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(LPOC, tmp_path / "folder"))
    (folder / "schema.yaml").write_text("observations:\n  a: {type: str}\n")
    done = run_command("publish", folder, base_path=tmp_path / "base")
    assert done.returncode == 2
    assert f"{folder}/schema.yaml:2: " in done.stderr
    assert not (tmp_path / "base" / "active").exists()


def test_a_new_schema_ends_the_version_that_no_longer_fits(lpoc_instance: Path) -> None:
    schema = ROOT / "examples/thermostat/schema.yaml"
    done = run_command("schema", schema, "--noclients", base_path=lpoc_instance)
    assert done.returncode == 0
    assert "no longer decides" in done.stderr
    assert not (lpoc_instance / "active").exists()
    assert '"outdoor_temperature"' in run_command("example", base_path=lpoc_instance).stdout


def test_a_schema_that_means_the_same_lets_the_version_decide(lpoc_instance: Path) -> None:
    before = (lpoc_instance / "active").read_text()
    text = (LPOC / "schema.yaml").read_text().replace("Does the table carry", "Has the table got")
    done = run_command("schema", "-", "--noclients", base_path=lpoc_instance, text=text)
    assert (done.returncode, done.stderr) == (0, "")
    assert (lpoc_instance / "active").read_text() == before


def test_clean_asks_and_takes_no_for_an_answer(lpoc_instance: Path) -> None:
    for answer in ("n\n", "\n", ""):
        done = run_command("clean", base_path=lpoc_instance, text=answer)
        assert done.returncode == 0
        assert "Nothing was removed." in done.stdout
        assert (lpoc_instance / "active").exists()
    assert "Removed." in run_command("clean", base_path=lpoc_instance, text="y\n").stdout
    assert not list(lpoc_instance.iterdir())


def test_clean_touches_nothing_else(lpoc_instance: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("kept")
    (lpoc_instance / "mine.txt").write_text("kept")
    versions = lpoc_instance / "versions"
    versions.rename(outside / "versions")
    versions.symlink_to(outside / "versions")
    done = run_command("clean", "--yes", base_path=lpoc_instance)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in lpoc_instance.iterdir()] == ["mine.txt"]
    assert (outside / "precious").read_text() == "kept"
    assert list((outside / "versions").iterdir())


def test_clean_of_nothing_says_so(tmp_path: Path) -> None:
    assert "Nothing to remove" in run_command("clean", base_path=tmp_path / "none").stdout


def test_example_prints_a_command_without_the_password(lpoc_instance: Path) -> None:
    done = run_command("example", base_path=lpoc_instance, POLICY_SERVER_PASSWORD="hidden-word")
    assert done.stdout.startswith("curl ")
    assert "hidden-word" not in done.stdout


def test_help_lists_the_commands() -> None:
    done = subprocess.run(
        [sys.executable, "generate.py", "--help"],
        cwd=ROOT,
        env={**environment(Path("none")), "PAGER": "cat"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    for command in ("schema", "publish", "check", "clients", "clean", "example"):
        assert command in done.stdout + done.stderr
