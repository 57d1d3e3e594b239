"""Which parts of a picture matter for a decision: what changes when each is covered.

Zeiler and Fergus, "Visualizing and understanding convolutional networks" (2014), section 4.2.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policy_server.contract.fields.encoded_array import EncodedArray
from policy_server.contract.schema import Observation
from policy_server.explaining.quantity import Quantity, Weigh

MOST_CELLS = 12
"""Along each side."""
NOTHING_SHARE, NOTHING = 5e-4, 1e-6
"""A smaller change is none: of a probability, and of a mean, beside the largest that was found."""


@dataclass(frozen=True)
class Saliency:
    """What covering parts of a picture does.

    Attributes:
        name: Of the field.
        cells: float64[rows, columns], by how much the quantity is smaller where each is covered.
        size: Height and width of the picture.
        matters: Whether covering any changes the quantity at all.
        deciding: How many of them, covered alone, change the decision; None of a continuous one.
    """

    name: str
    cells: NDArray[np.float64]
    size: tuple[int, int]
    matters: bool
    deciding: int | None


def saliency(
    name: str,
    field: EncodedArray,
    observation: Observation,
    weigh: Weigh,
    quantity: Quantity,
) -> Saliency:
    """Cover each cell of a picture with its mean colour.

    Args:
        name: Of the field that holds the picture.
        field: Its shape is that of one.
        observation: Has it.
        weigh: Asks the policy.
        quantity: Of its answers.
    """
    picture = field.as_picture(field.read(observation[name]))
    height, width, _ = picture.shape
    tops, lefts = (
        np.array_split(np.arange(side), min(MOST_CELLS, side)) for side in (height, width)
    )
    mean = picture.mean(axis=(0, 1)).astype(picture.dtype)
    asked = [observation]
    for rows in tops:
        for columns in lefts:
            covered = picture.copy()
            covered[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = mean
            asked.append({**observation, name: field.write(field.of_picture(covered))})
    weighed = weigh(asked)
    values = [quantity.of(each) for each in weighed]
    cells = values[0] - np.array(values[1:]).reshape(len(tops), len(lefts))
    deciding = None
    least = NOTHING * max(map(abs, values))
    if quantity.is_share:
        before, *after = [quantity.decided(each) for each in weighed]
        deciding = sum(each != before for each in after)
        least = NOTHING_SHARE
    return Saliency(name, cells, (height, width), bool(np.abs(cells).max() > least), deciding)
