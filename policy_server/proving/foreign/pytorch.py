"""Files of PyTorch: TorchScript, pickles, archives of torch.export."""

from policy_server.proving.foreign.exports import OLD_TORCH, torch_export

NAME = (
    "Replace `actions` by what it puts out: `logits`; `mean_log_std` (means, then log standard "
    "deviations); `q_values`; or `actions` (means alone, as SAC, TD3 and most exports of robots "
    "give) with the line `reads: actions` in model.yaml."
)
RSL_RL = (
    "a checkpoint of rsl_rl (Isaac Lab, legged_gym): a pickle of weights without a network. "
    "Isaac Lab's `play.py` writes `exported/policy.onnx` beside it; with rsl_rl alone, export "
    "`runner.alg.policy.actor`, whose output is the means: upload it with the line `reads: means` "
    "in model.yaml. Statistics of an observation normaliser belong before the network."
)
RL_GAMES = (
    "a checkpoint of rl_games: a pickle of weights without a network. Restore the player where it "
    "was trained (`player.restore(file)`) and export `player.model.a2c_network` in a "
    "torch.nn.Module that returns its logits as `logits`, or its means (`mu`) as `actions` with "
    "the line `reads: actions` in model.yaml; its input normaliser belongs before the network."
)
KNOWN = (
    ((b"model_state_dict", b"optimizer_state_dict", b"infos"), RSL_RL),
    ((b"a2c_network",), RL_GAMES),
)
"""Checkpoints by words that a pickle of theirs has, all of them."""


def torchscript() -> str:
    """What a TorchScript file is, and the export that serves it."""
    return (
        "TorchScript (`torch.jit.save`), which holds code that is not run here. Export it as "
        f"ONNX with `torch.onnx.export`. {NAME} {OLD_TORCH}\n\n"
        "import torch\n\n"
        "network = torch.jit.load('policy.pt', map_location='cpu').eval()\n"
        f"{_export(', dynamo=False')}"
    )


def exported_program() -> str:
    """What an archive of torch.export is, and the export that serves it."""
    return (
        "a PyTorch .pt2 archive (`torch.export.save`). Export it as ONNX with "
        f"`torch.onnx.export`. {NAME}\n\n"
        "import torch\n\n"
        "torch.onnx.export(torch.export.load('policy.pt2'), (), 'policy.onnx', "
        "input_names=['obs'],\n"
        "                  output_names=['actions'], external_data=False)"
    )


def pickled(pickle: bytes) -> str:
    """What a file of `torch.save` is, and the export that serves it.

    Args:
        pickle: The beginning of its pickle, which is looked at and never loaded.
    """
    for words, what in KNOWN:
        if all(word in pickle for word in words):
            return what
    if pickle.startswith(b"\x80\x02ctorch.nn.") or b"_modules" in pickle:
        return (
            "a pickle of a PyTorch module (`torch.save(network)`), which runs code of its author "
            "when it is loaded. Load it where it was trained and export it as ONNX with "
            f"`torch.onnx.export`. {NAME} {OLD_TORCH}\n\n"
            "import torch\n\n"
            "network = torch.load('policy.pt', map_location='cpu', weights_only=False).eval()\n"
            f"{_export()}"
        )
    return (
        "a pickle of PyTorch (`torch.save`: .pt, .pth), which holds weights without a network "
        "(a state_dict or a checkpoint). Make the network where it was trained, load the weights "
        f"into it, and export it as ONNX with `torch.onnx.export`. {NAME} {OLD_TORCH}\n\n"
        "import torch\n\n"
        "network = ...  # the class of the network, as in training\n"
        "network.load_state_dict(torch.load('policy.pt', map_location='cpu'))\n"
        "network.eval()\n"
        f"{_export()}"
    )


def _export(more: str = "") -> str:
    call = torch_export("network", "torch.zeros(2, NUMBER_OF_FEATURES)", "actions")
    return f"{call.removesuffix(')')}{more})"
