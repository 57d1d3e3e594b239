"""Policies of RecurrentPPO: the code that exports one with its states."""

KINDS = {
    "Box": (
        "mean_log_std",
        "torch.cat([found.distribution.mean, found.distribution.stddev.log()], dim=1)",
    ),
    "MultiDiscrete": (
        "logits",
        "torch.cat([each.logits for each in found.distribution], dim=1)",
    ),
    "MultiBinary": ("binary_logits", "found.distribution.logits"),
}
"""Of actions: the output that their distribution is exported as, and the code that makes it."""
NUMBERED = ("logits", "found.distribution.logits")
CODE = """import torch
from sb3_contrib import RecurrentPPO

policy = RecurrentPPO.load('model.zip', device='cpu').policy.eval()

class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.policy = policy

    def forward(self, obs, h_in, c_in):
        features = self.policy.pi_features_extractor(obs)
        latent, (h, c) = self.policy.lstm_actor(features[None], (h_in, c_in))
        latent = self.policy.mlp_extractor.forward_actor(latent[0])
        found = self.policy._get_action_dist_from_latent(latent)
        return {numbers}, h, c

state = torch.zeros(policy.lstm_actor.num_layers, 1, policy.lstm_actor.hidden_size)
example = (torch.zeros(1, *policy.observation_space.shape), state, state.clone())
torch.onnx.export(Network(), example, 'policy.onnx', input_names=['obs', 'h_in', 'c_in'],
                  output_names=['{output}', 'h_out', 'c_out'], dynamo=False,
                  external_data=False)"""


def advice(what: str, actions: str, statistics: str) -> str:
    """What such a zip is, and the export that serves it.

    Args:
        what: The file, in words.
        actions: The kind of its actions, as Gymnasium calls it.
        statistics: What is to be said of statistics of observations.
    """
    output, numbers = KINDS.get(actions, NUMBERED)
    return (
        f"{what}, a policy with memory (LSTM), which holds pickles. Export what its actions are "
        f"drawn from as `{output}`, with its states beside: these are found by their names. "
        f"{statistics}\n\n{CODE.format(numbers=numbers, output=output)}"
    )
