"""What people upload where a model is wanted, told by its first bytes."""

import json
import re
from collections.abc import Callable
from typing import NoReturn

from policy_server.errors import UploadRejected
from policy_server.proving.foreign import pytorch
from policy_server.proving.foreign.exports import ONNX, SAVED_MODEL
from policy_server.proving.foreign.zips import FROM_JAX, RLLIB, TENSORFLOW_CHECKPOINT

HEAD_BYTES = 4096
"""How much of a file `refuse_foreign_file` wants to see."""

EITHER = f"{SAVED_MODEL}, or {ONNX}"
PACKED = f"Unpack it first. {EITHER}."
NO_POLICY = f"It holds no policy. {EITHER}."
LFS = (
    "a pointer of Git LFS, a few lines that stand for the file. Fetch the file itself (`git lfs "
    "install`, then `git lfs pull`; on GitHub `Download raw file`) and upload that."
)
WEB_PAGE = (
    "a web page (HTML), as a browser saves it where the file itself was wanted. Download the file "
    "itself (GitHub: `Download raw file`; Hugging Face: the address with `/resolve/`, not "
    "`/blob/`) and upload that."
)
PICKLE = (
    "a pickle, which runs code of its author when it is loaded, and is never loaded here. Load it "
    f"where it was trained. {EITHER}."
)
VEC_NORMALIZE = (
    "a pickle of Stable-Baselines3 beside a policy, such as the statistics of VecNormalize "
    "(vecnormalize.pkl). It is not the policy: upload what is exported of the policy's zip, and "
    "normalise in the preprocessor by these statistics."
)
STABLE_BASELINES = (
    "a pickle of Stable-Baselines 2 (TensorFlow 1). Load it where it was trained, save it again "
    "with the last version of Stable-Baselines 2 (`model.save('model.zip')`), and upload that "
    "zip: the answer says which export serves its algorithm."
)
UNITY = (
    "Upload the .onnx file that ML-Agents writes beside it (`results/RUN/BEHAVIOUR.onnx`), or "
    "train or export again with a version that does."
)
CONVERTED = f"Upload what it was made from, as {ONNX}."

STARTS = {
    b"version https://git-lfs": LFS,
    # A protobuf whose first field is a schema version of 1 and whose second is a graph.
    b"\x08\x01\x12": f"the file saved_model.pb alone, without its variables. {SAVED_MODEL}.",
    # A table whose first, empty key has the header of a checkpoint.
    b"\x00\x00\x06\x08\x01\x1a": TENSORFLOW_CHECKPOINT,
    b"model_checkpoint_path:": TENSORFLOW_CHECKPOINT,
    b"\x1f\x8b": f"packed with gzip. {PACKED}",
    b"BZh": f"packed with bzip2. {PACKED}",
    b"\xfd7zXZ": f"packed with xz. {PACKED}",
    b"\x28\xb5\x2f\xfd": f"packed with Zstandard. {PACKED}",
    b"7z\xbc\xaf": f"packed with 7-Zip. {PACKED}",
    b"Rar!": f"packed with RAR. {PACKED}",
    b"\x93NUMPY": f"a NumPy array (.npy). {NO_POLICY}",
    b"UnityFS": f"a bundle of Unity's assets. {UNITY}",
    b"%YAML 1.1\n%TAG !u!": f"an asset of Unity's editor. {UNITY}",
    b"ptrt": f"an engine of TensorRT, made for one kind of GPU. {CONVERTED}",
    b"ftrt": f"an engine of TensorRT, made for one kind of GPU. {CONVERTED}",
    b"GGUF": f"a GGUF file of a language model. {NO_POLICY}",
    b"MATLAB ": f"a file of MATLAB (.mat). Export its network with `exportONNXNetwork`, as {ONNX}.",
    b"L\x00\x00\x00\x01\x14\x02\x00": "a shortcut of Windows (.lnk): upload the file it points to.",
    b"[InternetShortcut]": "a shortcut to a web page (.url): upload the file it points to.",
    b"book\x00\x00\x00\x00mark": "an alias of macOS: upload the file it points to.",
    b"%PDF": f"a PDF. {NO_POLICY}",
    b"\x89PNG": f"a picture. {NO_POLICY}",
    b"\xff\xd8\xff": f"a picture. {NO_POLICY}",
    b"MZ": f"a program of Windows. {NO_POLICY}",
    b"\x7fELF": f"a program of Linux. {NO_POLICY}",
}
"""What a file is that starts with these bytes, and what to upload instead."""
AT_FOUR = {
    b"ORTM": "ONNX Runtime's own format (.ort). Upload the .onnx file it was made from.",
    b"ET12": f"an ExecuTorch program (.pte). {CONVERTED}",
}
"""What a flatbuffer is, by the identifier after its first four bytes."""


def refuse_foreign_file(head: bytes) -> None:
    """Raise UploadRejected if a file's first bytes show a format that is never served."""
    if not head:
        raise UploadRejected(f"The model's file is empty: was it still being written? {EITHER}.")
    what = _by_start(head)
    if what is None:
        what = next(filter(None, (look(head) for look in LOOKS)), None)
    if what is not None:
        raise UploadRejected(f"The model is {what}")


def refuse_unknown_file() -> NoReturn:
    """Raise UploadRejected for a file that nothing is known of."""
    raise UploadRejected(
        "The model is not a sound ONNX file, nor a zip, nor of any other kind that is known here. "
        f"{EITHER}."
    )


def _by_start(head: bytes) -> str | None:
    for start, what in STARTS.items():
        if head.startswith(start):
            return what
    return AT_FOUR.get(head[4:8])


def _pickle(head: bytes) -> str | None:
    if head.startswith(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"):
        return pytorch.pickled(head)  # as PyTorch wrote them before 1.6
    if not re.match(rb"\x80[\x02-\x05]|\(dp0|ccopy_reg|ccollections", head):
        return None
    if b"stable_baselines3" in head:
        return VEC_NORMALIZE
    if b"stable_baselines" in head:
        return STABLE_BASELINES
    if b"rllib" in head:
        return RLLIB
    return PICKLE


def _tar(head: bytes) -> str | None:
    return f"packed with tar. {PACKED}" if head[257:262] == b"ustar" else None


def _zeros(head: bytes) -> str | None:
    if len(head) < 64 or any(head):
        return None
    return (
        "nothing but zeros where it begins, as a download or a copy leaves it that did not "
        "finish. Fetch it again."
    )


def _safetensors(head: bytes) -> str | None:
    if head[8:10] != b'{"' or int.from_bytes(head[:8], "little") > 100_000_000:
        return None
    return (
        "a safetensors file: weights without a network. Make the network where it was trained, "
        f"load the weights into it, and export it as {ONNX}."
    )


def _msgpack(head: bytes) -> str | None:
    """A map whose first key is a short string, as Flax writes its parameters."""
    if not re.match(rb"[\x81-\x8f][\xa1-\xbf][a-zA-Z_]", head):
        return None
    return f"a msgpack file, as Flax writes parameters, {FROM_JAX}"


def _barracuda(head: bytes) -> str | None:
    """A format version as an integer of 64 bits, then numbers of 32."""
    version, inputs = int.from_bytes(head[:8], "little"), int.from_bytes(head[8:12], "little")
    if len(head) < 16 or not 5 <= version <= 40 or not 1 <= inputs <= 100:
        return None
    return f"a file of Unity's Barracuda (.nn), which is not read. {UNITY}"


def _graph(head: bytes) -> str | None:
    """A protobuf that begins with a node, which begins with its name."""
    if not re.match(rb"\n.{1,3}\n.[ -~]", head, re.DOTALL):
        return None
    if not any(word in head for word in (b"Placeholder", b"Const", b"VarHandleOp")):
        return None
    return f"a TensorFlow graph alone (.pb, .meta), without signatures. {SAVED_MODEL}."


def _core_ml(head: bytes) -> str | None:
    """Like ONNX a version first, but then a description that is a message, not a text."""
    if not re.match(rb"\x08.\x12(?:[\x80-\xff]{0,2}[\x00-\x7f])\n", head, re.DOTALL):
        return None
    return f"a Core ML model (.mlmodel). {CONVERTED}"


def _text(head: bytes) -> str | None:
    """Text, whatever of it is known."""
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if head.startswith(mark):
            text = head[: len(head) // 2 * 2].decode(encoding, errors="replace")
            return f"no model but text in UTF-16, which begins {text[:60]!r}. {EITHER}."
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(head) < HEAD_BYTES or error.start < len(head) - 3:
            return None
        text = head[: error.start].decode("utf-8-sig")
    if re.search(r"[\x00-\x08\x0e-\x1f]", text):
        return None
    return _known_text(text.lstrip())


def _known_text(text: str) -> str:
    if re.match(r"<(!doctype html|html|head|body)", text, re.IGNORECASE):
        return WEB_PAGE
    if re.search(r"<net\b", text):
        return f"OpenVINO's .xml, without its weights. {CONVERTED}"
    if text.startswith("{"):
        return _known_json(text)
    return f"not a sound ONNX file, nor a zip, but text, which begins {text[:60]!r}. {EITHER}."


def _known_json(text: str) -> str:
    if '"checkpoint_version"' in text:
        return RLLIB
    if '"modelTopology"' in text or '"layers-model"' in text or '"graph-model"' in text:
        return f"TensorFlow.js's model.json. {SAVED_MODEL}, of the model it was made from."
    if '"class_name"' in text and '"config"' in text:
        return f"the architecture of a Keras model, without weights. {SAVED_MODEL}."
    try:
        message = json.loads(text).get("message")
    except (ValueError, RecursionError):
        message = None
    answer = f", an answer that says {str(message)[:60]!r}" if message else ""
    return f"JSON, which begins {text[:60]!r}{answer}. {NO_POLICY}"


LOOKS: tuple[Callable[[bytes], str | None], ...] = (
    _pickle,
    _tar,
    _zeros,
    _safetensors,
    _msgpack,
    _barracuda,
    _graph,
    _core_ml,
    _text,
)
"""What needs a closer look, in this order."""
