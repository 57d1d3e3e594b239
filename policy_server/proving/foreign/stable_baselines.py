"""Zips of Stable-Baselines 2 (TensorFlow 1): which algorithm, and the export of its decisions."""

import json

SETTINGS = {
    "double_q": "DQN",
    "target_policy_noise": "TD3",
    "target_entropy": "SAC",
    "actor_lr": "DDPG",
    "noptepochs": "PPO2",
    "clip_param": "PPO1",
    "q_coef": "ACER",
    "kfac_clip": "ACKTR",
    "cg_damping": "TRPO",
    "alpha": "A2C",
}
"""Algorithms by a setting that only they have, or those before them here."""
POLICIES = {
    "PPO2": "model.act_model",
    "A2C": "model.step_model",
    "ACER": "model.step_model",
    "ACKTR": "model.step_model",
    "TRPO": "model.policy_pi",
    "PPO1": "model.policy_pi",
}
"""Where the policy is that acts."""
REAL = "gym.spaces.box.Box"


def advice(content: bytes) -> str:
    """What such a zip is, and the export that serves it: the end of a sentence and more.

    Args:
        content: Its member `data`, JSON, whose pickles are left alone.
    """
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        fields = None
    fields = fields if isinstance(fields, dict) else {}
    name = next((name for key, name in SETTINGS.items() if key in fields), "")
    what = f"a Stable-Baselines 2 zip (TensorFlow 1){f' of {name}' if name else ''}"
    if "lstm" in f"{fields.get('policy')} {fields.get('policy_kwargs')}".lower():
        return (
            f"{what}: a policy with memory (LSTM), without a network. Write a SavedModel where it "
            "was trained, with the states as inputs and the next ones as outputs, and say in "
            "model.yaml which is which: `memory: [{input: ..., output: ...}]`."
        )
    if not name:
        return (
            f"{what}, which holds weights without a network and does not say of which algorithm. "
            "Load it where it was trained and write a SavedModel with "
            "`tf.saved_model.simple_save`: `logits` or `mean_log_std` of PPO2, A2C, ACER, ACKTR "
            "and TRPO (`proba_distribution.flatparam()` of the policy), `q_values` of DQN, the "
            "deterministic action of SAC, TD3 and DDPG as `actions` with the line "
            "`reads: actions` in model.yaml."
        )
    real = REAL in str(fields.get("action_space"))
    said, observations, output, tensor = _export(name, real)
    return (
        f"{what}, which holds weights without a network. Export {said} where it was trained, as a "
        "SavedModel, and upload a zip of its folder. Statistics of `VecNormalize` are not in this "
        f"zip: if training used it, the preprocessor has to normalise.\n\n"
        f"import tensorflow as tf\nfrom stable_baselines import {name}\n\n"
        f"model = {name}.load('model.zip')\n"
        "with model.graph.as_default():\n"
        "    tf.saved_model.simple_save(model.sess, 'saved_model',\n"
        f"                               inputs={{'obs': {observations}}},\n"
        f"                               outputs={{'{output}': {tensor}}})"
    )


def _export(name: str, real: bool) -> tuple[str, str, str, str]:
    """What is exported in words, its input, its name, and the tensor."""
    if name == "DQN":
        step = "model.step_model"
        said = "the values of its actions as `q_values`"
        return said, f"{step}.obs_ph", "q_values", f"{step}.q_values"
    if name in ("SAC", "TD3", "DDPG"):
        said = (
            "the deterministic action as `actions`, with the line `reads: actions` in model.yaml "
            "(it is scaled to the bounds of the action space here),"
        )
        both = "model._get_pretrain_placeholders()"
        return said, f"{both}[0]", "actions", f"{both}[2]"
    policy = POLICIES[name]
    output = "mean_log_std" if real else "logits"
    said = "means and log standard deviations side by side" if real else "the logits of its actions"
    tensor = f"{policy}.proba_distribution.flatparam()"
    return f"{said} as `{output}`", f"{policy}.obs_ph", output, tensor
