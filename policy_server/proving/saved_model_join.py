"""Lays several outputs of a SavedModel side by side, as one output more of its graph."""

from typing import Any

from policy_server.policy.saved_model import SavedModel, UnusableModel
from policy_server.proving.joined import STANDARD_DEVIATION, Joined, Piece


def join(model: SavedModel, joined: Joined) -> None:
    """Add an output that holds the numbers of several others, in their order.

    What does not depend on the observations is repeated for each, as in ONNX files.

    Args:
        model: Whose graph and outputs are added to.
        joined: Which outputs; the model has all that are named.

    Raises:
        UnusableModel: Their shapes do not go together.
    """
    tf = model.tensorflow
    columns: list[Any] = []
    try:
        with model.graph.as_default():
            for piece in joined.pieces:
                column = tf.cast(_column(model, piece), tf.float32)
                if piece.role == STANDARD_DEVIATION:
                    column = tf.math.log(column)
                if columns and not joined.are_heads:
                    column = tf.broadcast_to(column, tf.shape(columns[0]))
                columns.append(column)
            model.outputs[joined.name] = tf.concat(columns, axis=1).name
    except ValueError as error:
        names = " and ".join(each.words for each in joined.pieces)
        raise UnusableModel(
            f"{names} do not go side by side: as many numbers of each are wanted, or one for all."
        ) from error


def _column(model: SavedModel, piece: Piece) -> Any:
    """The numbers of a piece, [B, A] if there are some for each observation."""
    if not isinstance(piece.source, str):
        return model.tensorflow.constant([list(piece.source)], model.tensorflow.float32)
    tensor = model.graph.get_tensor_by_name(model.outputs[piece.source])
    per_observation = tensor.shape.rank == 1 and tensor.shape[0] is None
    return tensor[:, model.tensorflow.newaxis] if per_observation else tensor
