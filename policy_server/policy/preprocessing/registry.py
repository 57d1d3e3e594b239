"""The operations, in the order in which they are applied, which is that of the words in a file."""

from policy_server.policy.preprocessing.affine import Offset, Scale
from policy_server.policy.preprocessing.clip import Clip
from policy_server.policy.preprocessing.normalise import Normalise
from policy_server.policy.preprocessing.operation import Operation

OPERATIONS: tuple[type[Operation], ...] = (Scale, Offset, Normalise, Clip)
