"""The engines side by side: one network, a matrix, so that the way to the engine is what counts.

Triton is the real one (tests/support/triton.py). TensorFlow Serving is the real one where the
variable TENSORFLOW_MODEL_SERVER names it; the stand-in's figures say what this server's side costs,
and nothing of TensorFlow Serving.
"""

import contextlib
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import networks, ours
from benchmarks.subjects import Subject, decision_check
from tests.support.model_server import IS_REAL, program
from tests.support.triton import environment, triton, write_model

FIELDS, MODEL = 10, "policy"


def install() -> None:
    """Make Triton's environment, where there is a network."""
    environment()


@contextlib.contextmanager
def side_by_side(work: Path) -> Iterator[list[Subject]]:
    """This server with each engine, while what they need runs.

    Args:
        work: Empty folder.
    """
    kernel = networks.kernel(FIELDS)
    write_model(work / "models", MODEL, {"1": kernel}, most_rows=1024)
    reference = f"inference_server: triton\nmodel: {MODEL}\n".encode()
    stood_in = "" if IS_REAL else " (a stand-in: not its speed)"
    with triton(work, work / "models") as started:
        served = {
            "POLICY_SERVER_ENGINE": "tensorflow_serving",
            "POLICY_SERVER_TENSORFLOW_MODEL_SERVER": str(program(work)),
        }
        there = {"POLICY_SERVER_INFERENCE_SERVERS": f"triton={started.url}"}
        cases: list[tuple[str, str, str, bytes, Mapping[str, str]]] = [
            ("ONNX Runtime, in the worker", "model.zip", "onnx", _saved_model(work, kernel), {}),
            (
                "TensorFlow, in a process of its own",
                "model.zip",
                "tensorflow",
                _saved_model(work, kernel, convertible=False),
                {},
            ),
            (
                f"TensorFlow Serving, JSON{stood_in}",
                "model.zip",
                "tensorflow-serving",
                _saved_model(work, kernel),
                served,
            ),
            ("Triton 2.51, bytes, NumPy", "inference_server.yaml", "triton", reference, there),
        ]
        yield [_subject(work, *case) for case in cases]


def _subject(
    work: Path, title: str, file: str, name: str, model: bytes, settings: Mapping[str, str]
) -> Subject:
    folder = work / name
    body = networks.write_schema(folder, FIELDS)
    (folder / file).write_bytes(model)
    ours.publish(folder, work / f"{name}-instance", settings)
    made = ours.subject(
        work / f"{name}-instance",
        body,
        decision_check(None),
        name=f"engine-{name}",
        title=title,
        group="engine",
    )
    return replace(made, environment={**made.environment, **settings})


def _saved_model(work: Path, kernel: Any, *, convertible: bool = True) -> bytes:
    """A zip of the network; with an operation that ONNX lacks, TensorFlow itself runs it."""
    import tensorflow as tf

    folder = work / f"saved-{convertible}"
    module = tf.Module()
    module.kernel = tf.Variable(kernel)

    def serve(observations: Any) -> dict[str, Any]:
        logits = observations @ module.kernel
        if not convertible:
            logits += 1e-6 * tf.math.igamma(tf.abs(logits) + 1.0, 1.0)
        return {"logits": logits}

    takes = [tf.TensorSpec([None, FIELDS], tf.float32, "observations")]
    signature = tf.function(serve, input_signature=takes)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": signature})
    packed = work / f"{folder.name}.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(work))
    return packed.read_bytes()
