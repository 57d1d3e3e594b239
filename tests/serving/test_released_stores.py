"""Stores that released versions have made are served on: the same decisions, and the same names.

`tests/files/stores/N.tar.xz` was made by release N: two versions, of which the second took all but
its output mapper from the first. `N.jsonl` has what that release answered.
"""

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from policy_server.store.content import content_hash
from policy_server.store.registry import open_store
from policy_server.version.parts import Part, uploaded_paths
from tests.support.checkout import ROOT
from tests.support.contracts import read_contracts
from tests.support.server import environment, gunicorn, run_command

STORES = Path(ROOT) / "tests" / "files" / "stores"
RELEASES = sorted(path.name.removesuffix(".tar.xz") for path in STORES.glob("*.tar.xz"))
TUPLE = Path(ROOT) / "examples" / "simple_stochastic_tuple"
FORMAT = "format"


def unpacked(release: str, folder: Path) -> Path:
    with tarfile.open(STORES / f"{release}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.mark.parametrize("release", RELEASES)
def test_a_store_of_a_release_is_served_as_that_release_did(release: str, tmp_path: Path) -> None:
    base = unpacked(release, tmp_path / "base")
    versions = sorted(path.name for path in (base / "versions").iterdir())
    with gunicorn(base) as server:
        for line in (STORES / f"{release}.jsonl").read_text().splitlines():
            recorded = json.loads(line)
            answer = server.post("distribution", recorded["observation"]).json()
            assert answer == approximately(recorded["distribution"])
        # What a content is called, and what a version is proven against, has not changed: the
        # parts that are there are known again, and make no version.
        mapper = (base / "versions" / versions[0] / "output_mapper/output_mapper.yaml").read_bytes()
        report = server.upload("outputmapper", "output_mapper_file", mapper).json()
        assert report["version"] == versions[0]
        assert server.post(f"versions/{versions[0]}/verify", None).json()["passed"]
    assert (base / FORMAT).is_file()
    assert all(path.stat().st_nlink == 1 for path in base.rglob("*") if path.is_file())
    looked_at = run_command("fsck", base_path=base)
    assert looked_at.returncode == 0, looked_at.stdout + looked_at.stderr


def approximately(found: object) -> object:
    """A pattern of pytest's for an answer, in which numbers are real."""
    if isinstance(found, dict):
        return {name: approximately(each) for name, each in found.items()}
    if isinstance(found, list):
        return [approximately(each) for each in found]
    return pytest.approx(found, abs=1e-6) if isinstance(found, float) else found


@pytest.mark.parametrize("release", RELEASES)
def test_digests_cover_today_what_they_covered_in_a_release(release: str, tmp_path: Path) -> None:
    """What a release wrote into its manifests comes out again, from its files.

    If it does not, every version of every store would count as proven against another contract,
    and every upload as a new one. A digest that is to cover more wants a format and a migration.
    """
    base = unpacked(release, tmp_path / "base")
    store = open_store(base)
    contracts = read_contracts(base)
    assert store.names()
    for name in store.names():
        manifest, folder = store.manifest(name), store.folder(name)
        parts = {Part(part) for part in manifest.parts}
        contract = contracts.of(name)
        assert contract.digest == manifest.contract
        assert contract.schema.digest == manifest.schema_hash
        assert content_hash(folder, parts, uploaded_paths(folder, parts)) == manifest.hash
        assert store.damage(name) is None
        assert store.alike(manifest.contract, manifest.hash) is not None


def test_a_store_of_a_later_release_is_refused_by_server_and_commands(tmp_path: Path) -> None:
    base = unpacked(RELEASES[0], tmp_path / "base")
    (base / FORMAT).write_text("99\n")
    before = {path: path.read_bytes() for path in base.rglob("*") if path.is_file()}
    for arguments in (("fsck",), ("publish", TUPLE)):
        refused = run_command(*arguments, base_path=base)
        assert refused.returncode == 2
        assert "of format 99" in refused.stderr
        assert "Traceback" not in refused.stderr
    assert {path: path.read_bytes() for path in base.rglob("*") if path.is_file()} == before
    assert "of format 99" in gunicorn_refusing(base)


def gunicorn_refusing(base: Path) -> str:
    """What gunicorn prints when it ends at its start, with exit code 2."""
    command = [str(Path(sys.executable).parent / "gunicorn"), "app:app", "-b", "127.0.0.1:0"]
    ended = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(base),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    return ended.stderr


def test_fsck_names_what_is_damaged(tmp_path: Path) -> None:
    base = unpacked(RELEASES[0], tmp_path / "base")
    first, second = sorted((base / "versions").iterdir())
    (first / "manifest.json").write_text("{")
    network = second / "model" / "network.onnx"
    network.unlink()  # a hard link of that release's: the first would be spoilt, too
    network.write_bytes(b"spoilt")
    (base / "candidate").write_text("7-nothing\n")
    looked_at = run_command("fsck", base_path=base)
    assert looked_at.returncode == 1
    lines = looked_at.stdout.splitlines()
    assert [line.split(maxsplit=1)[1] for line in lines if line.startswith("  DAMAGED")] == [
        f"version {first.name}",
        f"version {second.name}",
        "candidate: 7-nothing",
    ]
    assert any("model/network.onnx is not what it was" in line for line in lines)
