"""An uploaded zip gives its SavedModel and nothing else, or it is rejected; nothing gets out."""

import io
import stat
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_server.errors import UploadRejected
from policy_server.proving.archive import unpack_saved_model
from policy_server.proving.limits import BuildLimits
from tests.support.saved_models import save, weights

MODEL = {
    "saved_model.pb": b"graph" * 50,
    "variables/variables.index": b"index",
    "variables/variables.data-00000-of-00001": bytes(range(256)) * 4,
}
ROOM = BuildLimits()
WEIGHTS = b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01(X\x08\x00\x00\x000.weightq\x02"
MODULE = b"\x80\x02ctorch.nn.modules.container\nSequential\nq\x00)\x81q\x01}q\x02"
RSL_RL = b"\x80\x02}q\x00(X\x10\0\0\0model_state_dict optimizer_state_dict iter infos"

Members = Sequence[tuple[str | zipfile.ZipInfo, bytes]]


def packed(members: Members, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def model_members(root: str = "") -> list[tuple[str | zipfile.ZipInfo, bytes]]:
    return [(root + name, content) for name, content in MODEL.items()]


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


class Yard:
    """A folder to unpack in, with something beside it that must not change."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.upload = base / "upload"
        self.inside = base / "in" / "model"
        self.inside.mkdir(parents=True)
        (base / "in" / "secret").write_bytes(b"secret")

    def unpack(self, content: bytes, limits: BuildLimits = ROOM) -> dict[str, bytes]:
        self.upload.write_bytes(content)
        unpack_saved_model(self.upload, self.inside, limits)
        return contents(self.inside)

    def rejection(self, content: bytes, limits: BuildLimits = ROOM) -> str:
        with pytest.raises(UploadRejected) as caught:
            self.unpack(content, limits)
        assert self.outside() == {"upload": content, "in/secret": b"secret"}
        return str(caught.value)

    def outside(self) -> dict[str, bytes]:
        files = contents(self.base).items()
        return {name: content for name, content in files if not name.startswith("in/model/")}


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


@pytest.mark.parametrize("root", ["", "model/", "a/b/c/", "./", "ä ö/", "model\\inner\\"])
def test_the_model_is_found_at_any_depth(yard: Yard, root: str) -> None:
    assert yard.unpack(packed(model_members(root))) == MODEL


def test_names_with_backslashes_are_folders_as_windows_meant_them(yard: Yard) -> None:
    members = [(name.replace("/", "\\"), content) for name, content in MODEL.items()]
    assert yard.unpack(packed(members)) == MODEL


def test_what_lies_beside_the_model_is_left_out(yard: Yard) -> None:
    beside = [
        ("__MACOSX/._saved_model.pb", b"x"),
        ("__MACOSX/m/saved_model.pb", b"x"),
        ("m/events.out.tfevents.1590000025.mac", b"x"),
        ("m/variablesque/file", b"x"),
        ("m/.DS_Store", b"x"),
        ("m/variables", b"a file where a folder is wanted"),
        ("other/variables/variables.index", b"x"),
        ("m", b"a file called as the folder"),
        ("README", b"x"),
    ]
    wanted = [("m/fingerprint.pb", b"f"), ("m/assets/deep/er/words.txt", b"w")]
    unpacked = yard.unpack(packed([*beside, *wanted, *model_members("m/")]))
    assert unpacked == {**MODEL, "fingerprint.pb": b"f", "assets/deep/er/words.txt": b"w"}


def test_a_zip_as_a_mac_makes_it_gives_the_model(
    yard: Yard, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With what a training leaves in the folder, and what the system adds beside each file."""
    source = save(
        tmp_path_factory.mktemp("real") / "m.zip", lambda x, w: {"logits": x @ w}, [weights(4)]
    )
    with zipfile.ZipFile(source) as archive:
        model = {info.filename: archive.read(info) for info in archive.infolist()}
    members: list[tuple[str | zipfile.ZipInfo, bytes]] = [("policy/.DS_Store", b"x")]
    for name, content in model.items():
        members += [(f"policy/{name}", content), (f"__MACOSX/policy/._{name}", b"\0\5\26\7")]
    members.append(("policy/events.out.tfevents.1600000000.host", b"events"))
    unpacked = yard.unpack(packed(members))
    assert {name: content for name, content in unpacked.items() if name in model} == model
    assert not any("__MACOSX" in name or "tfevents" in name for name in unpacked)


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "variables/../../evil",
        "variables/..",
        "/evil",
        "/variables/evil",
        "..\\evil",
        "variables\\..\\..\\evil",
        "\\evil",
        "C:\\evil",
        "C:evil",
        "variables/C:/evil",
        "\\\\server\\share\\evil",
        "../",
    ],
)
def test_members_that_point_out_of_the_folder_are_rejected(yard: Yard, name: str) -> None:
    message = yard.rejection(packed([*model_members(), (name, b"evil")]))
    assert "points out of its folder" in message
    assert contents(yard.inside) == {}


@pytest.mark.parametrize("name", ["variables/link", "elsewhere", "saved_model.pb"])
def test_symbolic_links_are_rejected(yard: Yard, name: str) -> None:
    link = zipfile.ZipInfo(name)
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    members = [member for member in model_members() if member[0] != name]
    assert "symbolic link" in yard.rejection(packed([*members, (link, b"/etc/passwd")]))


def test_a_member_is_unpacked_once_or_the_zip_is_rejected(yard: Yard) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        content = packed([*model_members(), ("variables/variables.index", b"other")])
    assert "twice" in yard.rejection(content)


def test_names_that_differ_only_in_their_slashes_are_the_same(yard: Yard) -> None:
    content = packed([*model_members(), ("variables\\variables.index", b"other")])
    assert "twice" in yard.rejection(content)


def test_the_ratio_is_limited(yard: Yard) -> None:
    bomb = packed([*model_members(), ("variables/zeros", bytes(50_000_000))])
    assert len(bomb) < 100_000
    message = yard.rejection(bomb)
    assert "times its size, at most 200 times" in message


def test_the_ratio_of_small_archives_does_not_matter(yard: Yard) -> None:
    zeros = bytes(500_000)
    assert yard.unpack(packed([*model_members(), ("variables/z", zeros)]))["variables/z"] == zeros


def test_the_total_is_limited_not_each_member(yard: Yard) -> None:
    content = packed([*model_members(), *((f"variables/{i}", b"x" * 100) for i in range(30))])
    message = yard.rejection(content, BuildLimits(unpacked_bytes=3_000))
    total = 30 * 100 + sum(map(len, MODEL.values()))
    assert f"unpacks to {total} bytes, at most 3000" in message
    yard.unpack(content, BuildLimits(unpacked_bytes=total))


def test_the_number_of_members_is_limited(yard: Yard) -> None:
    content = packed([*model_members(), *((f"variables/{i}", b"") for i in range(98))])
    assert "101 members, at most 100" in yard.rejection(content, BuildLimits(members=100))
    yard.unpack(content, BuildLimits(members=101))


@pytest.mark.parametrize("depth", [21, 900, 15_000])
def test_the_depth_is_limited(yard: Yard, depth: int) -> None:
    content = packed([*model_members(), ("variables/" + "d/" * depth + "f", b"x")])
    assert "folders deep" in yard.rejection(content)
    assert contents(yard.inside) == {}


def claiming(content: bytes, name: str, size: int) -> bytes:
    """The archive with another unpacked size for a member, in its directory and its header."""
    changed = bytearray(content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        place = archive.getinfo(name).header_offset
    struct.pack_into("<I", changed, place + 22, size)
    directory = 0
    while (directory := content.find(b"PK\x01\x02", directory)) >= 0:
        if content[directory + 46 :].startswith(name.encode()):
            struct.pack_into("<I", changed, directory + 24, size)
        directory += 4
    return bytes(changed)


def test_a_member_that_states_less_than_it_holds_does_not_grow(yard: Yard) -> None:
    bomb = packed([*model_members(), ("variables/zeros", bytes(20_000_000))])
    message = yard.rejection(claiming(bomb, "variables/zeros", 100))
    assert "not a sound zip" in message
    assert len(contents(yard.inside).get("variables/zeros", b"")) <= 100


def test_a_member_that_states_more_than_it_holds_is_believed_up_to_the_limits(yard: Yard) -> None:
    content = packed([*model_members(), ("variables/short", b"abc")])
    assert yard.unpack(claiming(content, "variables/short", 300))["variables/short"] == b"abc"


def test_a_member_that_states_more_than_is_unpacked_is_rejected(yard: Yard) -> None:
    content = packed([*model_members(), ("variables/short", b"abc")])
    message = yard.rejection(claiming(content, "variables/short", 0xFFFF_FFF0))
    assert "unpacks to 42949" in message


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressions_that_expand_at_once_are_rejected(yard: Yard, method: int) -> None:
    """Of these, Python unpacks a megabyte at once, to gigabytes, whatever size is stated."""
    assert f"method {method}" in yard.rejection(packed(model_members(), method))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_usual_compressions_unpack(yard: Yard, method: int) -> None:
    assert yard.unpack(packed(model_members(), method)) == MODEL


def patched_directory(content: bytes, offset: int, value: int) -> bytes:
    """The archive with 16 bits of every directory entry replaced."""
    changed = bytearray(content)
    place = 0
    while (place := content.find(b"PK\x01\x02", place)) >= 0:
        struct.pack_into("<H", changed, place + offset, value)
        place += 4
    return bytes(changed)


def test_unknown_compressions_are_rejected(yard: Yard) -> None:
    message = yard.rejection(patched_directory(packed(model_members()), 10, 99))
    assert "compressed by method 99" in message


def test_encrypted_members_are_rejected(yard: Yard) -> None:
    message = yard.rejection(patched_directory(packed(model_members()), 8, 0x1))
    assert "encrypted" in message


def test_two_models_are_rejected_with_their_places(yard: Yard) -> None:
    message = yard.rejection(packed([*model_members("old/"), *model_members("new/")]))
    assert "2 SavedModels (old, new)" in message


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ([], "tf.saved_model.save"),
        ([("notes.txt", b"x")], "tf.saved_model.save"),
        ([("__MACOSX/saved_model.pb", b"x")], "tf.saved_model.save"),
        ([("config.json", b"{}"), ("model.weights.h5", b"x")], "model.export(folder)"),
        ([("m/data.pkl", b"x"), ("m/constants.pkl", b"x")], "torch.jit.load"),
        ([("m/archive_format", b"pt2"), ("m/models/model.json", b"x")], "torch.export.load"),
        ([("m/data.pkl", WEIGHTS), ("m/data/0", b"x")], "network.load_state_dict"),
        ([("m/data.pkl", MODULE), ("m/data/0", b"x")], "weights_only=False).eval()"),
        ([("m/data.pkl", RSL_RL), ("m/data/0", b"x")], "exported/policy.onnx"),
        ([("m/data.pkl", WEIGHTS + b"X\x0b\0\0\0a2c_network")], "player.restore"),
        ([("rllib_checkpoint.json", b"{}")], "export_model(folder)"),
        ([("p/algorithm_state.pkl", b"x")], "export_model(folder)"),
        ([("rllib_checkpoint.json", b"{}"), ("rl_module/module_state.pkl", b"x")], "RLModule.from"),
        ([("m/policy.onnx", b"x")], "Upload the .onnx file itself"),
        ([("policy.onnx", b"x"), ("policy.onnx.data", b"x")], "publish FOLDER"),
        ([("ckpt-1.index", b"x"), ("ckpt-1.data-00000-of-00001", b"x")], "checkpoint"),
        ([("frozen_graph.pb", b"x")], "TensorFlow graph alone"),
        ([("a.xml", b"x"), ("a.bin", b"x")], "OpenVINO"),
        ([("Data/com.apple.CoreML/model.mlmodel", b"x")], "Core ML"),
        ([("arr_0.npy", b"x")], "NumPy"),
        ([("d/_CHECKPOINT_METADATA", b"{}")], "jax2tf"),
        ([("[Content_Types].xml", b"x")], "document"),
        ([("policy.tflite", b"x")], "Upload the .tflite file"),
        ([("run/policy.pt", b"x")], "'run/policy.pt'. Upload that file itself"),
    ],
)
def test_a_zip_without_a_model_is_told_the_export_that_serves(
    yard: Yard, members: Members, told: str
) -> None:
    message = yard.rejection(packed(members))
    assert message.startswith("The zip holds no saved_model.pb; it ")
    assert told in message


@pytest.mark.parametrize("pickle", [WEIGHTS, MODULE])
def test_files_of_torch_are_told_what_their_output_must_be_called(
    yard: Yard, pickle: bytes
) -> None:
    message = yard.rejection(packed([("m/data.pkl", pickle)]))
    for word in ("external_data=False", "`logits`", "`mean_log_std`", "`q_values`", "reads: act"):
        assert word in message
    code = message.partition("\n\n")[2]
    compile(code, "advice", "exec")
    assert "torch.onnx.export(network" in code


def test_torchscript_is_exported_by_the_exporter_that_knows_it(yard: Yard) -> None:
    message = yard.rejection(packed([("m/data.pkl", b"x"), ("m/constants.pkl", b"x")]))
    assert "TorchScript" in message
    code = message.partition("\n\n")[2]
    compile(code, "advice", "exec")
    assert code.endswith("external_data=False, dynamo=False)")


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x03\x04", b"no zip at all" * 100])
def test_what_is_no_zip_is_rejected(yard: Yard, content: bytes) -> None:
    assert "not a sound zip" in yard.rejection(content)


def test_a_zip_cut_anywhere_is_rejected(yard: Yard) -> None:
    whole = packed(model_members("m/"))
    cuts = {round(len(whole) * share / 40) for share in range(40)} | {len(whole) - 1}
    for cut in sorted(cuts):
        message = yard.rejection(whole[:cut])
        assert ("end is missing" in message) == (cut >= 4)


def test_a_real_zip_cut_anywhere_is_rejected(
    yard: Yard, tmp_path_factory: pytest.TempPathFactory
) -> None:
    source = save(
        tmp_path_factory.mktemp("real") / "m.zip", lambda x, w: {"logits": x @ w}, [weights(4)]
    )
    whole = source.read_bytes()
    for share in range(40):
        yard.rejection(whole[: len(whole) * share // 40])


WHOLE = packed(model_members("m/"))


@settings(max_examples=300, deadline=None)
@given(flips=st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(1, 255)), max_size=6))
def test_flipped_bytes_give_the_model_or_a_rejection(
    tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[int, int]]
) -> None:
    changed = bytearray(WHOLE)
    for place, mask in flips:
        changed[place] ^= mask
    yard = Yard(tmp_path_factory.mktemp("flips"))
    try:
        unpacked = yard.unpack(bytes(changed))
    except UploadRejected:
        assert flips
    else:
        # Every content has a checksum; names have none, and a file may drop out by its name.
        assert set(unpacked.values()) <= set(MODEL.values())
    assert yard.outside() == {"upload": bytes(changed), "in/secret": b"secret"}


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=400))
def test_arbitrary_bytes_are_rejected(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    Yard(tmp_path_factory.mktemp("bytes")).rejection(b"PK\x03\x04" + content)
