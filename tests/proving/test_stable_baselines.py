"""A zip of Stable-Baselines says of which algorithm it is, and gets the export of that one."""

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_server.errors import UploadRejected
from policy_server.proving.archive import unpack_saved_model
from policy_server.proving.foreign import stable_baselines, stable_baselines3
from policy_server.proving.limits import BuildLimits

COMMON = "stable_baselines3.common.policies"
DISCRETE, BOX = "gymnasium.spaces.discrete.Discrete", "gymnasium.spaces.box.Box"
MULTI, BINARY = "gymnasium.spaces.multi_discrete.MultiDiscrete", "gym.spaces.MultiBinary"
DICT = "gymnasium.spaces.dict.Dict"
ON_POLICY: dict[str, Any] = {"gae_lambda": 0.95, "ent_coef": 0.0}
PPO: dict[str, Any] = {**ON_POLICY, "n_epochs": 10, "clip_range": {":type:": "<class 'function'>"}}
DQN: dict[str, Any] = {"exploration_fraction": 0.1, "exploration_rate": 0.05}
TD3: dict[str, Any] = {"policy_delay": 2, "target_noise_clip": 0.5, "target_policy_noise": 0.2}
DDPG: dict[str, Any] = {"policy_delay": 1, "target_noise_clip": 0.0, "target_policy_noise": 0.1}
SAC: dict[str, Any] = {"target_entropy": -2.0, "ent_coef": "auto"}


def typed(kind: str, **more: Any) -> dict[str, object]:
    return {":type:": f"<class '{kind}'>", ":serialized:": "gASVPQ==", **more}


def data(module: str, actions: str, observations: str = BOX, **settings: Any) -> bytes:
    """What Stable-Baselines3 writes as the member `data`."""
    fields: dict[str, Any] = {
        "policy_class": typed("abc.ABCMeta", __module__=module, __doc__="Policy class"),
        "observation_space": typed(observations, dtype="float32", low="[-1. -1.]"),
        "action_space": typed(actions),
        "use_sde": False,
        "policy_kwargs": {},
    }
    return json.dumps({**fields, **settings}).encode()


def zipped(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return packed.getvalue()


def refusal(folder: Path, content: bytes) -> str:
    (folder / "upload").write_bytes(content)
    with pytest.raises(UploadRejected) as caught:
        unpack_saved_model(folder / "upload", folder / "model", BuildLimits())
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "name", "output", "code"),
    [
        (data(COMMON, DISCRETE, **PPO), "PPO", "logits", "policy.action_net"),
        (data(COMMON, "gym.spaces.discrete.Discrete", **PPO), "PPO", "logits", "policy.action_net"),
        (data("my.own.policies", DISCRETE, **PPO), "PPO", "logits", "mlp_extractor.policy_net"),
        (data(COMMON, MULTI, **PPO), "PPO", "logits", "policy.action_net"),
        (data(COMMON, BINARY, **PPO), "PPO", "logits", "torch.stack([torch.zeros_like"),
        (data(COMMON, BOX, **PPO), "PPO", "mean_log_std", "self.log_std.expand_as(mean)"),
        (data(COMMON, BOX, **{**PPO, "use_sde": True}), "PPO", "means", "policy.action_net"),
        (
            data(COMMON, BOX, **{**PPO, "policy_kwargs": {"squash_output": True}}),
            *("PPO", "actions", "torch.nn.Tanh()"),
        ),
        (data(COMMON, DISCRETE, **ON_POLICY), "A2C", "logits", "policy.action_net"),
        (data(COMMON, BOX, **ON_POLICY), "A2C", "mean_log_std", "log_std"),
        (data(COMMON, BOX, **ON_POLICY, cg_max_steps=15), "TRPO", "mean_log_std", "log_std"),
        (
            data("sb3_contrib.common.maskable.policies", DISCRETE, **PPO),
            *("MaskablePPO", "logits", "from sb3_contrib import MaskablePPO"),
        ),
        (data("stable_baselines3.dqn.policies", DISCRETE, **DQN), "DQN", "q_values", "q_net.q_net"),
        (data("mine", DISCRETE, **DQN), "DQN", "q_values", "q_net.features_extractor"),
        (data("sb3_contrib.qrdqn.policies", DISCRETE, **DQN), "QRDQN", "q_values", ".mean(dim=1)"),
        (data("stable_baselines3.sac.policies", BOX, **SAC), "SAC", "actions", "torch.nn.Tanh()"),
        (
            data("sb3_contrib.tqc.policies", BOX, **SAC, top_quantiles_to_drop_per_net=2),
            *("TQC", "actions", "actor.latent_pi"),
        ),
        (data("sb3_contrib.crossq.policies", BOX, **SAC), "CrossQ", "actions", "actor.latent_pi"),
        (data("stable_baselines3.td3.policies", BOX, **TD3), "TD3", "actions", "actor.mu)"),
        (data("stable_baselines3.td3.policies", BOX, **DDPG), "DDPG", "actions", "actor.mu)"),
        (data("sb3_contrib.ars.policies", BOX, n_delta=8), "ARS", "actions", "policy.action_net"),
        (data("sb3_contrib.ars.policies", DISCRETE, n_delta=8), "ARS", "q_values", "action_net"),
    ],
)
def test_the_export_is_that_of_the_algorithm(
    tmp_path: Path, content: bytes, name: str, output: str, code: str
) -> None:
    message = refusal(tmp_path, zipped(data=content, policy__pth=b"x", pytorch_variables__pth=b"x"))
    said, _, snippet = message.partition("\n\n")
    assert f"a Stable-Baselines3 zip of {name} " in said
    assert f"as `{output}`" in said
    assert "VecNormalize" in said
    compile(snippet, "advice", "exec")
    assert f"import {name}\n" in snippet
    assert code in snippet
    assert f"output_names=['{output}']" in snippet
    assert "external_data=False" in snippet
    declared = {"actions": "`reads: actions`", "means": "`reads: means`"}
    for each, line in declared.items():
        assert (line in said) == (each == output)
    for other in {"logits", "mean_log_std", "q_values", "actions", "means"} - {output}:
        assert f"`{other}`" not in said
        assert f"'{other}'" not in snippet


def test_a_squashed_action_is_scaled_to_its_bounds(tmp_path: Path) -> None:
    content = data("stable_baselines3.sac.policies", BOX, **SAC)
    message = refusal(tmp_path, zipped(data=content, policy__pth=b"x"))
    assert "[-1, 1]" in message
    assert "low + (self.actor(obs) + 1) / 2 * (high - low)" in message


@pytest.mark.parametrize(("space", "output"), [(DISCRETE, "logits"), (BOX, "mean_log_std")])
def test_memory_is_exported_with_its_states(space: Any, output: str) -> None:
    saved = stable_baselines3.read_saved(
        data("sb3_contrib.common.recurrent.policies", space, **PPO)
    )
    said, _, snippet = stable_baselines3.advice(saved).partition("\n\n")
    assert "RecurrentPPO" in said
    assert f"`{output}`, with its states beside" in said
    compile(snippet, "advice", "exec")
    assert f"output_names=['{output}', 'h_out', 'c_out']" in snippet


def test_observations_that_are_no_vector_are_told() -> None:
    saved = stable_baselines3.read_saved(data(COMMON, DISCRETE, DICT, **PPO))
    assert "one vector" in stable_baselines3.advice(saved)
    numbered = stable_baselines3.read_saved(data(COMMON, DISCRETE, DISCRETE, **PPO))
    assert "one-hot" in stable_baselines3.advice(numbered)
    image = data(COMMON, DISCRETE, **PPO, observation_space=typed(BOX, dtype="uint8"))
    assert "divides by 255" in stable_baselines3.advice(stable_baselines3.read_saved(image))


class Evil:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return eval, ("1 / 0",)


def test_pickles_in_it_are_left_alone(tmp_path: Path) -> None:
    harm = pickle.dumps(Evil()).hex()
    content = data(COMMON, DISCRETE, **PPO, lr_schedule={":serialized:": harm})
    assert " of PPO " in refusal(tmp_path, zipped(data=content, policy__pth=pickle.dumps(Evil())))


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"[" * 100_000, b"{}", b'{"a": NaN}'])
def test_data_that_tells_nothing_gets_every_export(tmp_path: Path, content: bytes) -> None:
    message = refusal(tmp_path, zipped(data=content, policy__pth=b"x"))
    for word in ("`logits` of PPO", "`q_values` of DQN", "SAC, TD3", "`reads: actions`"):
        assert word in message


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(sorted({
        *PPO, *DQN, *TD3, *SAC, "policy_class", "action_space", "observation_space", ":type:",
        "__module__", "policy_kwargs", "policy",
    })), inner),
    max_leaves=12,
)  # fmt: skip


@given(fields=JSON)
def test_whatever_it_holds_gets_a_sentence(fields: object) -> None:
    content = json.dumps(fields).encode()
    assert "Stable-Baselines3" in stable_baselines3.advice(stable_baselines3.read_saved(content))
    assert "Stable-Baselines 2" in stable_baselines.advice(content)


SB2 = "stable_baselines.common.policies"
PPO2: dict[str, Any] = {"noptepochs": 4, "cliprange": 0.2}


def data2(actions: str, doc: str = "a MLP (2 layers of 64)", **settings: Any) -> bytes:
    policy = typed("abc.ABCMeta", __module__=SB2, __doc__=f"Policy object, using {doc}")
    fields = {"policy": policy, "action_space": typed(actions), "gamma": 0.99, **settings}
    return json.dumps(fields).encode()


GYM_BOX, GYM_DISCRETE = "gym.spaces.box.Box", "gym.spaces.discrete.Discrete"


@pytest.mark.parametrize(
    ("content", "name", "output", "code"),
    [
        (data2(GYM_DISCRETE, **PPO2), "PPO2", "logits", "model.act_model.obs_ph"),
        (data2(GYM_BOX, **PPO2), "PPO2", "mean_log_std", "proba_distribution.flatparam()"),
        (data2(GYM_DISCRETE, alpha=0.99), "A2C", "logits", "model.step_model"),
        (data2(GYM_BOX, cg_damping=0.1), "TRPO", "mean_log_std", "model.policy_pi"),
        (data2(GYM_DISCRETE, clip_param=0.2), "PPO1", "logits", "model.policy_pi"),
        (data2(GYM_DISCRETE, double_q=True), "DQN", "q_values", "model.step_model.q_values"),
        (data2(GYM_BOX, **SAC), "SAC", "actions", "_get_pretrain_placeholders()[2]"),
        (data2(GYM_BOX, **TD3), "TD3", "actions", "_get_pretrain_placeholders()[2]"),
        (data2(GYM_BOX, actor_lr=1e-4), "DDPG", "actions", "_get_pretrain_placeholders()[2]"),
    ],
)
def test_stable_baselines_2_gets_a_saved_model_of_its_algorithm(
    tmp_path: Path, content: bytes, name: str, output: str, code: str
) -> None:
    message = refusal(tmp_path, zipped(data=content, parameters=b"x", parameter_list=b"[]"))
    said, _, snippet = message.partition("\n\n")
    assert f"Stable-Baselines 2 zip (TensorFlow 1) of {name}," in said
    compile(snippet, "advice", "exec")
    assert "tf.saved_model.simple_save" in snippet
    assert f"outputs={{'{output}': model." in snippet
    assert code in snippet
    assert ("`reads: actions`" in said) == (output == "actions")


def test_stable_baselines_2_with_memory_is_refused_by_name() -> None:
    message = stable_baselines.advice(data2(GYM_DISCRETE, "LSTMs", **PPO2))
    assert "memory" in message
    assert "simple_save" not in message
