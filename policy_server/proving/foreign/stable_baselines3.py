"""Zips of Stable-Baselines3: which algorithm, and the export of its decisions."""

import json
from dataclasses import dataclass
from typing import Any

from policy_server.proving.foreign import recurrent_ppo
from policy_server.proving.foreign.exports import OLD_TORCH, torch_export

POLICIES = {
    ".recurrent.": "RecurrentPPO",
    ".maskable.": "MaskablePPO",
    ".qrdqn.": "QRDQN",
    ".crossq.": "CrossQ",
    ".tqc.": "TQC",
    ".ars.": "ARS",
    ".dqn.": "DQN",
    ".sac.": "SAC",
    ".td3.": "TD3",
}
"""Algorithms by a part of the name of the module that their class of policies is in."""
SETTINGS = {
    "top_quantiles_to_drop_per_net": "TQC",
    "exploration_fraction": "DQN",
    "n_delta": "ARS",
    "target_entropy": "SAC",
    "target_policy_noise": "TD3",
    "cg_max_steps": "TRPO",
    "clip_range": "PPO",
    "gae_lambda": "A2C",
}
"""Algorithms by a setting that only they have, or those before them here."""
CONTRIB = ("RecurrentPPO", "MaskablePPO", "QRDQN", "CrossQ", "TQC", "ARS", "TRPO")
SQUASHED = ("SAC", "TQC", "CrossQ")
DETERMINISTIC = ("TD3", "DDPG")
SPACES = ("MultiDiscrete", "Discrete", "MultiBinary", "Box", "Dict", "Tuple")
STATISTICS = (
    "Statistics of `VecNormalize` are not in this zip: if training used it, the preprocessor has "
    "to normalise, and golden cases show that it does."
)
LAYERS = "policy.pi_features_extractor, policy.mlp_extractor.policy_net, policy.action_net"


@dataclass(frozen=True)
class Saved:
    """What the member `data` of a zip tells.

    Attributes:
        algorithm: Its class, such as `PPO`; empty if it is not known.
        actions: Class of the space of actions, such as `Discrete`; empty if it is not known.
        observations: Class of the space of observations; empty if it is not known.
        image: Observations are images of bytes.
        exploring: The deviation depends on the state (gSDE).
        squashed: Means go through tanh before they are actions.
    """

    algorithm: str = ""
    actions: str = ""
    observations: str = ""
    image: bool = False
    exploring: bool = False
    squashed: bool = False


@dataclass(frozen=True)
class Export:
    """How an algorithm's decisions become an output that is served.

    Attributes:
        what: What is exported, in words.
        output: Its name.
        code: Lines that make `network` of `policy`.
        remark: What else is needed; a sentence, or empty.
    """

    what: str
    output: str
    code: str
    remark: str = ""


def read_saved(content: bytes) -> Saved:
    """Read the member `data`: JSON, whose pickles are left alone."""
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        return Saved()
    if not isinstance(fields, dict):
        return Saved()
    policy, options = fields.get("policy_class"), fields.get("policy_kwargs")
    module = str(policy.get("__module__")) if isinstance(policy, dict) else str(policy)
    observed = fields.get("observation_space")
    return Saved(
        _algorithm(module, fields),
        _space(fields.get("action_space")),
        _space(observed),
        image=isinstance(observed, dict) and observed.get("dtype") == "uint8",
        exploring=fields.get("use_sde") is True,
        squashed=isinstance(options, dict) and options.get("squash_output") is True,
    )


def advice(saved: Saved) -> str:
    """What such a zip is, and the export that serves it: the end of a sentence and more."""
    name = saved.algorithm
    if not name:
        return (
            "a Stable-Baselines3 zip, which holds pickles and does not say of which algorithm. "
            "Load it where it was trained and export its network as ONNX: `logits` of PPO, A2C or "
            "TRPO, `q_values` of DQN, the deterministic action of SAC, TD3 or DDPG as `actions` "
            f"with the line `reads: actions` in model.yaml. {STATISTICS}"
        )
    what = f"a Stable-Baselines3 zip of {name}"
    if saved.actions:
        what += f" with the actions {saved.actions}"
    if name == "RecurrentPPO":
        return recurrent_ppo.advice(what, saved.actions, f"{STATISTICS} {OLD_TORCH}")
    if saved.observations in ("Dict", "Tuple"):
        return (
            f"{what}, which holds pickles, and whose observations are a {saved.observations}. A "
            "network that is served takes one vector: wrap the policy in a torch.nn.Module that "
            f"splits it, and export {_export(saved).what} as `{_export(saved).output}` "
            f"(`torch.onnx.export(..., external_data=False)`). {_export(saved).remark}".strip()
        )
    export = _export(saved)
    parts = [
        f"{what}, which holds pickles. Export {export.what} as `{export.output}`.",
        export.remark,
        _observations(saved),
        f"{STATISTICS} {OLD_TORCH}",
    ]
    return f"{' '.join(part for part in parts if part)}\n\n{_code(saved, export)}"


def _algorithm(module: str, fields: dict[str, Any]) -> str:
    named = next((name for part, name in POLICIES.items() if part in module), None)
    name = named or next((name for key, name in SETTINGS.items() if key in fields), "")
    # DDPG is TD3 without its delay and without its noise.
    if name == "TD3" and fields.get("policy_delay") == 1 and fields.get("target_noise_clip") == 0:
        return "DDPG"
    return name


def _space(field: Any) -> str:
    """The class of a space, of which the JSON holds the text `<class 'gym.spaces.box.Box'>`."""
    text = str(field.get(":type:")) if isinstance(field, dict) else ""
    return next((name for name in SPACES if text.endswith(f".{name}'>")), "")


def _observations(saved: Saved) -> str:
    if saved.image:
        return (
            "Its observations are images, which Stable-Baselines3 divides by 255 and turns "
            "channels first before the network: the preprocessor does that."
        )
    if saved.observations not in ("Box", ""):
        return "Its observations are numbered: the preprocessor makes them one-hot."
    return ""


def _export(saved: Saved) -> Export:
    if saved.algorithm in SQUASHED:
        return _scaled("actor.features_extractor, actor.latent_pi, actor.mu, torch.nn.Tanh()")
    if saved.algorithm in DETERMINISTIC:
        return _scaled("actor.features_extractor, actor.mu")
    if saved.algorithm == "DQN":
        code = "q_net = policy.q_net\n" + _sequential("q_net.features_extractor, q_net.q_net")
        return Export("the values of its actions", "q_values", code)
    if saved.algorithm == "QRDQN":
        return Export("the values of its actions, means of their quantiles", "q_values", QUANTILES)
    if saved.algorithm == "ARS":
        return _ars(saved)
    if saved.actions != "Box":
        return _numbered(saved)
    if saved.squashed:
        return _scaled(f"{LAYERS}, torch.nn.Tanh()")
    if saved.exploring:
        remark = (
            "With generalised state-dependent exploration (`use_sde`) the deviation is no output "
            "of its own: the mean is served, with the line `reads: means` in model.yaml."
        )
        return Export("the mean of its actions", "means", _sequential(LAYERS), remark)
    code = MEAN_LOG_STD.format(layers=LAYERS)
    what = "means and log standard deviations side by side"
    return Export(what, "mean_log_std", code, "Clip the actions to their bounds as training did.")


def _numbered(saved: Saved) -> Export:
    if saved.actions == "MultiBinary":
        return Export(
            "two logits for each binary action, of which the first is 0,",
            "logits",
            BINARY.format(layers=LAYERS),
            "The output mapper declares a head of two actions for each.",
        )
    remark = ""
    if saved.actions == "MultiDiscrete":
        remark = "The output mapper declares the heads, in their order."
    if saved.algorithm == "MaskablePPO":
        remark = f"{remark} Masks are not served: every action may be drawn.".strip()
    return Export("the logits of its actions", "logits", _sequential(LAYERS), remark)


def _ars(saved: Saved) -> Export:
    layers = "policy.features_extractor, policy.action_net"
    if saved.actions == "Box":
        return _scaled(layers)
    what = "the numbers of which it takes the highest"
    return Export(what, "q_values", _sequential(layers))


def _scaled(layers: str) -> Export:
    remark = (
        "Its network gives them in [-1, 1]; the code scales them to the bounds of the actions, as "
        "`model.predict(observation, deterministic=True)` does. Write the line `reads: actions` "
        "into model.yaml."
    )
    return Export("the deterministic action", "actions", SCALED.format(layers=layers), remark)


def _sequential(layers: str) -> str:
    return f"network = torch.nn.Sequential({layers})"


def _code(saved: Saved, export: Export) -> str:
    package = "sb3_contrib" if saved.algorithm in CONTRIB else "stable_baselines3"
    imports, shape = ["import torch"], "*policy.observation_space.shape"
    if saved.observations not in ("Box", ""):
        imports, shape = ["import torch", "from gymnasium.spaces import flatdim"], FLAT
    return "\n".join(
        [
            *imports,
            f"from {package} import {saved.algorithm}",
            "",
            f"policy = {saved.algorithm}.load('model.zip', device='cpu').policy.eval()",
            export.code,
            torch_export("network", f"torch.zeros(2, {shape})", export.output),
        ]
    )


FLAT = "flatdim(policy.observation_space)"
MODULE = """class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        """
MEAN_LOG_STD = (
    MODULE
    + """self.mean = torch.nn.Sequential({layers})
        self.log_std = policy.log_std

    def forward(self, obs):
        mean = self.mean(obs)
        return torch.cat([mean, self.log_std.expand_as(mean)], dim=1)

network = Network()"""
)
BINARY = (
    MODULE
    + """self.logits = torch.nn.Sequential({layers})

    def forward(self, obs):
        logits = self.logits(obs)
        return torch.stack([torch.zeros_like(logits), logits], dim=2).flatten(1)

network = Network()"""
)
QUANTILES = (
    MODULE
    + """net = policy.quantile_net
        self.net = torch.nn.Sequential(net.features_extractor, net.quantile_net)
        self.quantiles = net.n_quantiles

    def forward(self, obs):
        return self.net(obs).unflatten(1, (self.quantiles, -1)).mean(dim=1)

network = Network()"""
)
SCALED = (
    """actor = getattr(policy, 'actor', None)
low, high = (torch.tensor(bound) for bound in (policy.action_space.low, policy.action_space.high))

"""
    + MODULE
    + """self.actor = torch.nn.Sequential({layers})

    def forward(self, obs):
        return low + (self.actor(obs) + 1) / 2 * (high - low)

network = Network()"""
)
