"""The exports that lead to a model which is served, in words and as code to copy."""

SAVED_MODEL = (
    "Upload a zip of a TensorFlow SavedModel's folder (`tf.saved_model.save`, Keras: "
    "`model.export(folder)`, RLlib: `policy.export_model(folder)`)"
)
ONNX = (
    "ONNX (`torch.onnx.export(..., external_data=False)`) with an output whose name says what it "
    "is: `logits`, `mean_log_std` (means, then log standard deviations), `q_values`; or "
    "`actions`, with the line `reads: actions` in model.yaml"
)
OLD_TORCH = "torch before 2.5 knows no `external_data`: leave it out there."


def torch_export(network: str, example: str, output: str) -> str:
    """The call that writes a PyTorch network as one file of ONNX, for any number of rows.

    Args:
        network: Code whose value is the network.
        example: Code whose value is an input of it, of two rows.
        output: Name of what it puts out.
    """
    return (
        f"torch.onnx.export({network}, {example}, 'policy.onnx', input_names=['obs'],\n"
        f"                  output_names=['{output}'], dynamic_axes={{'obs': {{0: 'batch'}}}},\n"
        "                  external_data=False)"
    )
