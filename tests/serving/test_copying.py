"""Archives of versions: only what is whole, signed and trusted is taken, and it must serve here."""

import hashlib
import io
import json
import resource
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from policy_server.contract.contract import Contract
from policy_server.errors import StoreFailed, UploadRejected, VersionConflict, VersionNotFound
from policy_server.proving.limits import BuildLimits
from policy_server.serving.bundle import Bundle
from policy_server.serving.copying import Copies, Receiver
from policy_server.serving.server_key import ServerKey
from policy_server.serving.signed_archive import HEADER_BYTES, check_archive, sign_archive
from policy_server.store.registry import open_store
from policy_server.version.parts import Part
from tests.support.contracts import contract_of, kept_contracts, read_contracts
from tests.support.networks import linear_kernel, linear_onnx

CONTRACT = contract_of(3)
KEY, OTHER = ServerKey(bytes(range(32))), ServerKey(bytes(32))
ROWS = np.random.default_rng(1).uniform(-1, 1, (4, 3))
GOLDEN = "".join(
    json.dumps({"observation": {"x": row.tolist()}, "distribution_inputs": inputs.tolist()}) + "\n"
    for row, inputs in zip(ROWS, ROWS @ linear_kernel(3, 4), strict=True)
).encode()
LIMITS = BuildLimits(unpacked_bytes=5_000_000)
Members = dict[str, bytes]


class Place:
    """A store with the key of its server."""

    def __init__(self, base: Path, key: ServerKey, contract: Contract | None = CONTRACT) -> None:
        self.store = open_store(base)
        contracts = read_contracts(base) if contract is None else kept_contracts(contract, base)
        self.receiver = Receiver(self.store, contracts, LIMITS)
        self.copies = Copies(self.store, lambda: key, (KEY.fingerprint,))

    def receive(self, archive: bytes, *, activate: bool = False) -> str:
        arrived = self.copies.checked(io.BytesIO(archive))
        return self.receiver.receive(arrived, activate).version

    def refusal(self, archive: bytes) -> str:
        """Why an archive is refused; nothing is changed by it."""
        before = (self.store.folders(), self.store.active(), self.store.candidate())
        with pytest.raises(UploadRejected) as caught:
            self.receive(archive, activate=True)
        assert (self.store.folders(), self.store.active(), self.store.candidate()) == before
        staging = self.store.folder("x").parents[1] / "staging"
        assert not staging.exists() or list(staging.iterdir()) == []
        return str(caught.value)

    def archive(self, name: str) -> bytes:
        file = io.BytesIO()
        self.copies.write(name, file)
        return file.getvalue()


@pytest.fixture(scope="module")
def sender(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("sender"), KEY)
    parts = {Part.MODEL: linear_onnx(3, 4), Part.GOLDEN: GOLDEN}
    place.receiver.publish(Bundle({part: io.BytesIO(each) for part, each in parts.items()}))
    return place


@pytest.fixture(scope="module")
def archive(sender: Place) -> bytes:
    name = sender.store.active()
    assert name is not None
    return sender.archive(name)


@pytest.fixture
def here(tmp_path: Path) -> Place:
    return Place(tmp_path / "here", OTHER)


def members_of(archive: bytes) -> Members:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def forged(members: Members, key: ServerKey = KEY, method: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of anything, rightly signed."""
    file = io.BytesIO(bytes(HEADER_BYTES))
    file.seek(HEADER_BYTES)
    with zipfile.ZipFile(file, "w", method) as written:
        for name, content in members.items():
            written.writestr(name, content)
    sign_archive(file, key)
    return file.getvalue()


def with_files(archive: bytes, **changed: bytes) -> Members:
    """The members with other files, which the manifest knows."""
    members = members_of(archive)
    manifest = json.loads(members["manifest.json"])
    for name, content in changed.items():
        members[name] = content
        manifest["files"][name] = hashlib.sha256(content).hexdigest()
    return {**members, "manifest.json": json.dumps(manifest).encode()}


def test_a_version_arrives_as_it_was_built_and_waits_to_be_activated(
    sender: Place, here: Place, archive: bytes
) -> None:
    name = here.receive(archive)
    assert here.store.active() is None
    there, found = sender.store.manifest(str(sender.store.active())), here.store.manifest(name)
    assert (found.hash, found.contract) == (there.hash, there.contract)
    built = {path for path in there.files if path.startswith("model/")}
    assert {path: found.files[path] for path in built} == {
        path: there.files[path] for path in built
    }
    checks = {check["name"]: check["detail"] for check in found.checks}
    assert f"version {there.name} of the server with the key {KEY.fingerprint}" in checks["copy"]
    assert {check["name"] for check in there.checks} <= checks.keys()
    assert here.receive(archive, activate=True) == name, "it is found again"
    assert here.store.active() == name
    assert here.receive(archive) == name
    again = replace(here.store.manifest(name), created=0.0)
    assert again == replace(found, created=0.0)


def test_its_golden_cases_must_agree_here(here: Place, archive: bytes) -> None:
    lines = [json.loads(line) for line in GOLDEN.splitlines()]
    lines[2]["distribution_inputs"][1] += 0.5
    other = "".join(json.dumps(line) + "\n" for line in lines).encode()
    told = here.refusal(forged(with_files(archive, **{"golden/cases": other})))
    assert "1 of 4 golden cases disagree" in told


def test_a_store_that_has_nothing_takes_the_contract_along(tmp_path: Path, archive: bytes) -> None:
    empty = Place(tmp_path / "empty", OTHER, contract=None)
    name = empty.receive(archive, activate=True)
    assert empty.store.active() == name
    assert read_contracts(tmp_path / "empty").served().digest == CONTRACT.digest


@pytest.mark.parametrize(
    ("contract", "said"),
    [
        (contract_of(4), "x: is now"),
        (contract_of(3, more="y: {type: int}"), "y: is no longer a field of the schema"),
        (contract_of(3, discrete=False), "are discrete actions there, and continuous actions here"),
    ],
)
def test_another_schema_is_refused_and_told(
    tmp_path: Path, archive: bytes, contract: Contract, said: str
) -> None:
    told = Place(tmp_path / "base", OTHER, contract).refusal(archive)
    assert "was proven with another schema" in told
    assert said in told


def test_a_change_of_any_byte_is_found(archive: bytes, here: Place) -> None:
    """In each field of the header, and all over the zip: names, contents, directory, end."""
    header = [0, 4, 8, 11, 12, 19, 20, 51, 52, HEADER_BYTES - 1]
    zipped = [*range(HEADER_BYTES, len(archive), len(archive) // 60), len(archive) - 1]
    for place in (*header, *zipped):
        changed = bytearray(archive)
        changed[place] ^= 0x10
        with pytest.raises(UploadRejected):
            here.copies.checked(io.BytesIO(bytes(changed)))
    assert check_archive(io.BytesIO(archive)).fingerprint == KEY.fingerprint


def test_every_way_to_be_no_archive_has_its_own_words(archive: bytes, here: Place) -> None:
    later = archive[:11] + b"\x02" + archive[12:]
    as_text = archive.replace(b"\r\n", b"\n")
    for content, said in (
        (b"", "This is no archive of a version"),
        (b"PK\x03\x04", "This is no archive of a version"),
        (archive[:5], "The archive is cut: 5 bytes"),
        (archive[:50], "The archive is cut: 50 of 116 or more bytes"),
        (archive[:-1], f"The archive is cut: {len(archive) - 1} of {len(archive)} bytes"),
        (archive + b"\0", "is not as its server has signed it"),
        (later, "The archive is of format 2, and this release knows 1"),
        (as_text, "copied as a text"),
    ):
        assert said in here.refusal(content)


def test_a_key_that_is_not_trusted_is_named_with_the_remedy(archive: bytes, here: Place) -> None:
    stranger = ServerKey(b"s" * 32)
    told = here.refusal(forged(members_of(archive), stranger))
    assert stranger.fingerprint in told
    assert "add it to POLICY_SERVER_TRUSTED_KEYS" in told
    assert here.receive(forged(members_of(archive), OTHER)), "its own key is trusted"


def less_one(members: Members) -> Members:
    return {name: each for name, each in members.items() if name != "contract.json"}


def other_file(members: Members) -> Members:
    return {**members, "model/network.json": members["model/network.json"] + b" "}


def with_field(name: str, value: object) -> Callable[[Members], Members]:
    def changed(members: Members) -> Members:
        manifest = {**json.loads(members["manifest.json"]), name: value}
        return {**members, "manifest.json": json.dumps(manifest).encode()}

    return changed


HOSTILE: dict[str, tuple[Callable[[Members], Members], str]] = {
    "path": (lambda _: {"../../outside": b"x"}, "points out of its folder"),
    "absolute": (lambda _: {"/tmp/outside": b"x"}, "points out of its folder"),
    "nothing": (lambda _: {}, "has no manifest.json"),
    "no manifest": (lambda members: {**members, "manifest.json": b"{"}, "cannot be read"),
    "one more": (lambda members: {**members, "more": b""}, "more: is in no manifest"),
    "one less": (less_one, "contract.json: is missing"),
    "other file": (other_file, "its manifest does not know: model/network.json"),
    "unknown part": (with_field("parts", ["model", "soul"]), "does not know: soul"),
    "no such part": (with_field("parts", ["model", "output_mapper"]), "lacks output_mapper/"),
    "incomplete": (with_field("complete", False), "which lacks parts"),
    "contract": (with_field("contract", "0" * 16), "not what its version was proven with"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_trusted_server_signs_must_still_be_a_version(
    name: str, archive: bytes, here: Place
) -> None:
    change, said = HOSTILE[name]
    assert said in here.refusal(forged(change(members_of(archive))))


def test_a_zip_bomb_is_not_unpacked(archive: bytes, here: Place) -> None:
    bomb = {**members_of(archive), "bomb": bytes(LIMITS.unpacked_bytes)}
    told = here.refusal(forged(bomb, method=zipfile.ZIP_DEFLATED))
    assert "unpacks to" in told


def test_a_full_disk_changes_nothing(archive: bytes, here: Place) -> None:
    """No file may be longer than 10 kB: the system says so as it does of a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(StoreFailed, match="Nothing was changed"):
            here.receive(archive, activate=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert here.store.folders() == []
    assert here.receive(archive, activate=True) == here.store.active()


def test_only_what_is_whole_can_be_copied(tmp_path: Path) -> None:
    place = Place(tmp_path / "base", KEY, contract_of(varying=True))
    waiting = place.receiver.upload({Part.MODEL: io.BytesIO(linear_onnx(5, 4))})
    with pytest.raises(VersionConflict, match="lacks parts"):
        place.archive(waiting.version)
    with pytest.raises(VersionNotFound):
        place.archive("99-none")


def test_what_is_damaged_is_not_copied(here: Place, archive: bytes) -> None:
    name = here.receive(archive)
    with (here.store.folder(name) / "model" / "network.json").open("ab") as file:
        file.write(b" ")
    with pytest.raises(VersionConflict, match="is damaged"):
        here.archive(name)
