"""Zips that Stable-Baselines3 wrote decide as it does itself; others are refused by name.

tests/files/stable_baselines3/make.py made the zips, and wrote down what the framework's own code
makes of some observations.
"""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

from policy_server.contract.actions import ActionSettings, ActionSpace
from policy_server.contract.contract import Contract
from policy_server.contract.reading import read_schema
from policy_server.policy.engines.onnx import OnnxEngine
from policy_server.proving.stable_baselines3_settings import read_settings
from policy_server.version.version_parts import read_network
from tests.proving.conftest import Candidate, CandidateOf, detail
from tests.support.contracts import actions_of, contract_of

FILES = Path(__file__).parents[1] / "files" / "stable_baselines3"
SAVED = {
    "ppo_discrete": ("logits", (3,)),
    "ppo_multidiscrete": ("logits", (3, 2)),
    "ppo_multibinary": ("logits", (2, 2, 2)),
    "ppo_box": ("mean_log_std", (2,)),
    "ppo_gsde": ("mean_log_std", (2,)),
    "a2c_one_hot": ("logits", (3,)),
    "trpo": ("mean_log_std", (2,)),
    "maskable": ("logits", (3, 2)),
    "sac": ("squashed_mean_log_std", (2,)),
    "sac_gsde": ("squashed_mean_log_std", (2,)),
    "tqc": ("squashed_mean_log_std", (2,)),
    "td3": ("actions", (2,)),
    "ddpg": ("actions", (2,)),
    "dqn": ("q_values", (3,)),
    "qrdqn": ("q_values", (3,)),
}
"""The output that is served of each, and its heads or dimensions."""
TOLERANCE = 1e-5


def expected(name: str) -> dict[str, NDArray[Any]]:
    with np.load(FILES / "expected.npz") as arrays:
        return {key.partition("/")[2]: arrays[key] for key in arrays if key.startswith(f"{name}/")}


def contract_for(name: str) -> Contract:
    output, sizes = SAVED.get(name, ("actions", (2,)))
    discrete = output in ("logits", "q_values")
    width = expected(name)["features"].shape[1]
    return contract_of(width, discrete=discrete, tuple_=discrete and len(sizes) > 1)


def outputs(candidate: Candidate, features: NDArray[Any]) -> NDArray[np.float64]:
    engine = OnnxEngine(candidate.folder / "model" / "network.onnx")
    return engine.run(features).astype(np.float64)


@pytest.mark.parametrize("name", SAVED)
def test_a_zip_decides_as_the_framework_does(candidate_of: CandidateOf, name: str) -> None:
    candidate = candidate_of(contract_for(name), model=FILES / f"{name}.zip")
    report = candidate.assemble()
    assert report.ready, report
    output, sizes = SAVED[name]
    network = read_network(candidate.folder, candidate.contract)
    assert (network.output, network.sizes) == (output, sizes)
    right = expected(name)
    found = outputs(candidate, right["features"])
    if output == "logits":
        heads = np.split(found, np.cumsum(sizes)[:-1], axis=1)
        shares = np.hstack([special.softmax(head, axis=1) for head in heads])
        if name == "ppo_multibinary":
            shares = shares[:, 1::2]  # of the ones
        np.testing.assert_allclose(shares, right["probabilities"], atol=TOLERANCE)
    elif output in ("mean_log_std", "squashed_mean_log_std"):
        mean, log_std = np.split(found, 2, axis=1)
        np.testing.assert_allclose(mean, right["mean"], atol=TOLERANCE)
        np.testing.assert_allclose(np.exp(log_std), right["deviation"], rtol=TOLERANCE)
        if output != "mean_log_std":
            np.testing.assert_allclose(np.tanh(mean), right["actions"], atol=TOLERANCE)
    else:
        kind = {"actions": "actions", "q_values": "values"}[output]
        np.testing.assert_allclose(found, right[kind], atol=TOLERANCE)
    scaled = output in ("actions", "squashed_mean_log_std")
    assert network.action_range == ((-1.0, 1.0) if scaled else None)


def test_the_report_tells_what_a_zip_does_not_hold(candidate_of: CandidateOf) -> None:
    report = candidate_of(contract_for("sac"), model=FILES / "sac.zip").assemble()
    told = detail(report, "engine")
    for words in ("Stable-Baselines3 zip of SAC", "5 -> 4 -> 4 (ReLU)", "VecNormalize", "[-1, 1]"):
        assert words in told
    report = candidate_of(contract_for("a2c_one_hot"), model=FILES / "a2c_one_hot.zip").assemble()
    assert "Discrete one-hot" in detail(report, "engine")


def test_actions_of_a_td3_are_scaled_to_the_bounds_that_the_schema_declares(
    candidate_of: CandidateOf,
) -> None:
    text = (
        'observations:\n  x: {type: "List[float]", min_items: 5, max_items: 5}\n'
        "actions:\n  torque: {type: float, minimum: -2, maximum: 2}\n"
        "  brake: {type: float, minimum: 0, maximum: 1}\n"
    )
    schema = read_schema(text)
    contract = Contract(schema, ActionSpace.of(ActionSettings(), schema.actions))
    candidate = candidate_of(contract, model=FILES / "td3.zip")
    assert candidate.assemble().ready
    assert read_network(candidate.folder, contract).action_range == (-1.0, 1.0)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("recurrent", ("RecurrentPPO", "memory")),
        ("crossq", ("networks of CrossQ are not read", "`actions`", "from sb3_contrib import")),
    ],
)
def test_what_is_not_read_is_refused_by_name(
    candidate_of: CandidateOf, name: str, words: tuple[str, ...]
) -> None:
    report = candidate_of(contract_for(name), model=FILES / f"{name}.zip").assemble()
    assert report.rejected is not None
    for word in words:
        assert word in report.rejected


def changed(name: str, **settings: Any) -> bytes:
    """A zip whose `data` has other settings."""
    packed = io.BytesIO()
    with zipfile.ZipFile(FILES / f"{name}.zip") as old, zipfile.ZipFile(packed, "w") as new:
        for member in old.namelist():
            content = old.read(member)
            if member == "data":
                content = json.dumps({**json.loads(content), **settings}).encode()
            new.writestr(member, content)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"policy_class": {"__module__": "mine"}}, "one of its author's (`mine`)"),
        ({"policy_kwargs": {"activation_fn": "<class 'mine.Spline'>"}}, "function Spline"),
        ({"policy_kwargs": {"activation_fn": "relu"}}, "names no class"),
        ({"policy_kwargs": {"features_extractor_class": "<class 'mine.Net'>"}}, "mine.Net"),
        ({"policy_kwargs": ["x"]}, "`policy_kwargs` cannot be read"),
        ({"observation_space": {":type:": "<class 'gym.spaces.dict.Dict'>"}}, "a Dict, not one"),
        (
            {
                "observation_space": {
                    ":type:": "<class 'gym.spaces.box.Box'>",
                    "dtype": "uint8",
                    "_shape": [8, 8, 3],
                }
            },
            "observations are images",
        ),
        ({"action_space": {":type:": "<class 'gym.spaces.discrete.Discrete'>", "n": 4}}, "3 outp"),
        ({"action_space": None}, "of no kind"),
    ],
)
def test_settings_that_lead_to_another_network_are_refused(
    candidate_of: CandidateOf, settings: dict[str, Any], words: str
) -> None:
    model = changed("ppo_discrete", **settings)
    report = candidate_of(contract_for("ppo_discrete"), model=model).assemble()
    assert report.rejected is not None
    assert words in report.rejected
    assert "torch.onnx.export" in report.rejected


def test_what_model_yaml_says_against_the_algorithm_is_refused(candidate_of: CandidateOf) -> None:
    model, contract = FILES / "ppo_discrete.zip", contract_for("ppo_discrete")
    report = candidate_of(contract, model=model, description="reads: values").assemble()
    assert report.rejected is not None
    assert "the file is of PPO" in report.rejected
    report = candidate_of(contract, model=model, description="output: value").assemble()
    assert report.rejected is not None
    assert "`logits` alone" in report.rejected
    assert candidate_of(contract, model=model, description="reads: logits").assemble().ready


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"[" * 100_000, b'{"n_epochs": NaN}'])
def test_a_zip_that_does_not_say_what_it_is_gets_every_export(
    candidate_of: CandidateOf, content: bytes
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("data", content)
        archive.writestr("policy.pth", b"x")
    report = candidate_of(contract_of(), model=packed.getvalue()).assemble()
    assert report.rejected is not None
    assert "does not say of which algorithm" in report.rejected


def test_bounds_and_sizes_of_spaces_are_read_from_their_text() -> None:
    with zipfile.ZipFile(FILES / "sac.zip") as archive:
        settings = read_settings(archive.read("data"))
    assert (settings.actions.low, settings.actions.high) == ((-2.0, -2.0), (2.0, 2.0))
    assert (settings.observations.type, settings.observations.shape) == ("Box", (5,))
    with zipfile.ZipFile(FILES / "ppo_multidiscrete.zip") as archive:
        assert read_settings(archive.read("data")).actions.counts == (3, 2)


def test_the_contract_of_numbered_actions_is_kept(candidate_of: CandidateOf) -> None:
    contract = Contract(contract_for("td3").schema, actions_of(discrete=True))
    report = candidate_of(contract, model=FILES / "td3.zip").assemble()
    assert report.rejected is not None
