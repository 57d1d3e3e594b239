"""Keras and TensorFlow Lite files that TensorFlow made decide as TensorFlow does."""

import json
import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from examples.quiet_tensorflow import tf
from policy_server.policy.engines.onnx import OnnxEngine
from policy_server.proving.keras_file import KNOWN, check_configuration
from policy_server.version.parts import Part
from tests.proving.conftest import ROWS, CandidateOf, detail
from tests.support.contracts import contract_of

layers = tf.keras.layers


def actor_critic() -> Any:
    """Logits beside a value, with what Keras networks have besides dense layers."""
    inputs = tf.keras.Input((3,), name="obs")
    hidden = layers.Normalization(mean=[0.0, 1.0, 2.0], variance=[1.0, 2.0, 3.0])(inputs)
    hidden = layers.Dense(5, activation="relu", kernel_regularizer="l2")(hidden)
    hidden = layers.Dropout(0.5)(layers.BatchNormalization()(hidden))
    outputs = [layers.Dense(2, name="logits")(hidden), layers.Dense(1, name="value")(hidden)]
    model = tf.keras.Model(inputs, outputs)
    model.compile(optimizer="adam", loss="mse")
    return model


def sequential() -> Any:
    dense = layers.Dense
    return tf.keras.Sequential([tf.keras.Input((3,)), dense(4, "tanh"), dense(2, name="logits")])


def saved(model: Any, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Keras, on NumPy 2
        model.save(path)
    return path


def assert_serves(candidate: Any, expected: Any) -> None:
    report = candidate.assemble()
    assert report.ready, report
    assert candidate.network.engine == "onnxruntime"
    engine = OnnxEngine(candidate.folder / "model" / "network.onnx")
    np.testing.assert_allclose(engine.run(ROWS), np.asarray(expected), atol=1e-5)
    left = {path.name for path in (candidate.folder / "model").iterdir()}
    assert left == {"upload", "network.onnx", "network.json"}


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_keras_file_decides_as_keras_does(
    candidate_of: CandidateOf, tmp_path: Path, ending: str
) -> None:
    model = actor_critic()
    candidate = candidate_of(contract_of(), model=saved(model, tmp_path / f"policy{ending}"))
    assert_serves(candidate, model(ROWS, training=False)[0])
    assert candidate.network.output == "logits"
    alone = sequential()
    candidate = candidate_of(contract_of(), model=saved(alone, tmp_path / f"alone{ending}"))
    assert_serves(candidate, alone(ROWS))


def test_what_a_keras_file_puts_out_is_asked_where_no_layer_says_it(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    model = tf.keras.Sequential([tf.keras.Input((3,)), layers.Dense(2, name="head")])
    report = candidate_of(contract_of(), model=saved(model, tmp_path / "policy.keras")).assemble()
    assert report.missing == [Part.DESCRIPTION]
    assert "`head` (2 numbers for each observation)" in detail(report, "reading")


def rewritten(source: Path, target: Path, change: Callable[[str], str]) -> Path:
    """A .keras file with another configuration."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                content = change(content.decode()).encode()
            new.writestr(name, content)
    return target


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_lambda_is_refused_by_name_and_not_run(
    candidate_of: CandidateOf, tmp_path: Path, ending: str
) -> None:
    mark = tmp_path / "ran"
    place = str(mark)
    model = tf.keras.Sequential([tf.keras.Input((3,))])
    model.add(layers.Lambda(lambda x: x * Path(place).write_bytes(b"x")))
    file = saved(model, tmp_path / f"policy{ending}")
    mark.unlink()
    report = candidate_of(contract_of(), model=file).assemble()
    assert report.rejected is not None
    assert "Lambda layer" in report.rejected
    assert "model.export" in report.rejected
    assert not mark.exists()


@pytest.mark.parametrize(
    "named",
    [
        {"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/tmp/x"}},
        {"module": "keras.layers", "class_name": "TorchModuleWrapper", "config": {"module": "x"}},
        {"module": "keras.layers", "class_name": "StringLookup", "config": {"vocabulary": "/x"}},
        {"module": "builtins", "class_name": "function", "config": "eval"},
        {"module": "os", "class_name": "system", "config": "true"},
        {"module": "os", "class_name": "Dense", "config": {}},
        {"module": "keras.utils", "class_name": "get_file", "config": "http://x"},
        {"module": "mine", "class_name": "Attention", "registered_name": "mine>Attention"},
        {"class_name": "__lambda__", "config": {"value": "4wAA"}},
        {"class_name": ["Dense"], "config": {}},
    ],
    ids=lambda named: str(named["class_name"]),
)
def test_whatever_may_load_something_is_refused_by_name(
    candidate_of: CandidateOf, tmp_path: Path, named: dict[str, Any]
) -> None:
    def put(configuration: str) -> str:
        fields = json.loads(configuration)
        fields["config"]["layers"][1]["config"]["activation"] = named
        return json.dumps(fields)

    plain = saved(sequential(), tmp_path / "plain.keras")
    report = candidate_of(
        contract_of(), model=rewritten(plain, tmp_path / "odd.keras", put)
    ).assemble()
    assert report.rejected is not None
    word = "Lambda" if named["class_name"] == "__lambda__" else str(named["class_name"])
    assert word in report.rejected
    assert "`model.export('saved_model')`" in report.rejected


def test_what_is_let_through_is_known_to_keras() -> None:
    named = {name for name in KNOWN if hasattr(layers, name)}
    assert {"Dense", "Conv2D", "LSTM", "BatchNormalization"} <= named
    assert not KNOWN & {"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "StringLookup"}
    check_configuration(json.dumps({"class_name": "Dense", "compile_config": {"class_name": "x"}}))


def hdf5(path: Path, fill: Callable[[Any], object]) -> Path:
    configuration = json.dumps({"class_name": "Sequential", "config": {"layers": []}})
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = configuration
        fill(file)
    return path


@pytest.mark.parametrize(
    ("fill", "words"),
    [
        (lambda file: file.__setitem__("x", h5py.ExternalLink("/etc/x.h5", "/x")), "links"),
        (lambda file: file.__setitem__("x", h5py.SoftLink("/x")), "links"),
        (lambda file: file.__setitem__("x", file["/"]), "in two places"),
        (
            lambda file: file.create_dataset("x", (8,), "u1", external=[("/etc/passwd", 0, 8)]),
            "other files",
        ),
        (lambda file: file.create_dataset("x", (2**40,), "f4", chunks=(2**10,)), "unpacks to"),
        (lambda file: file.attrs.__delitem__("model_config"), "without the network"),
        (lambda file: file.attrs.__setitem__("model_config", "[" * 10**5), "no sound JSON"),
    ],
)
def test_hdf5_that_reaches_out_of_itself_is_refused(
    candidate_of: CandidateOf, tmp_path: Path, fill: Callable[[Any], object], words: str
) -> None:
    file = hdf5(tmp_path / "policy.h5", fill)
    report = candidate_of(contract_of(), model=file).assemble()
    assert report.rejected is not None
    assert words in report.rejected


def test_an_hdf5_file_that_is_cut_off_is_damaged(candidate_of: CandidateOf, tmp_path: Path) -> None:
    file = saved(sequential(), tmp_path / "policy.h5")
    os.truncate(file, file.stat().st_size // 2)
    report = candidate_of(contract_of(), model=file).assemble()
    assert report.rejected is not None
    assert "The Keras file is damaged" in report.rejected


def lite(model: Any, path: Path, **options: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        for name, value in options.items():
            setattr(converter, name, value)
        path.write_bytes(converter.convert())
    return path


def test_a_tensorflow_lite_file_decides_as_its_interpreter_does(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    model = tf.keras.Sequential(
        [tf.keras.Input((3,)), layers.Dense(8, "tanh"), layers.Dense(4, "softmax")]
    )
    candidate = candidate_of(contract_of(), model=lite(model, tmp_path / "policy.tflite"))
    assert_serves(candidate, model(ROWS))
    assert candidate.network.family == "probabilities"
    report = candidate_of(contract_of(), model=tmp_path / "policy.tflite").assemble()
    assert "its output agrees with the file's to" in detail(report, "engine")
    assert "equal to the original" in detail(report, "proof")


def examples() -> Any:
    yield from ([row[np.newaxis]] for row in ROWS)


def test_a_quantised_file_is_refused_by_name(candidate_of: CandidateOf, tmp_path: Path) -> None:
    model = tf.keras.Sequential([tf.keras.Input((3,)), layers.Dense(64, "tanh"), layers.Dense(4)])
    file = lite(
        model,
        tmp_path / "policy.tflite",
        optimizations=[tf.lite.Optimize.DEFAULT],
        representative_dataset=examples,
        inference_input_type=tf.int8,
        inference_output_type=tf.int8,
    )
    report = candidate_of(contract_of(), model=file, description="reads: logits").assemble()
    assert report.rejected is not None
    assert "quantised numbers (int8)" in report.rejected


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_tensorflow_lite_file_that_is_cut_off_is_refused(
    candidate_of: CandidateOf, tmp_path: Path, share: float
) -> None:
    file = lite(sequential(), tmp_path / "policy.tflite")
    os.truncate(file, int(file.stat().st_size * share))
    report = candidate_of(contract_of(), model=file).assemble()
    assert report.rejected is not None
    assert "TensorFlow Lite" in report.rejected
