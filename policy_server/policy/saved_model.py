"""SavedModels: TensorFlow's files, read and run with TensorFlow, which this file alone imports.

It uses the graph API, which reads the exports of every TensorFlow since 1.13; the object API
refuses graphs with placeholders outside their signature.
"""

import os
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policy_server.errors import EngineFailed
from policy_server.policy.carried import Carried
from policy_server.policy.engines.engine import Floats
from policy_server.policy.lean_tensorflow import keras_left_out
from policy_server.policy.saved_model_feeds import Draws, ancestors, neutral
from policy_server.policy.tensorflow_flow import Unbounded, check_bounded
from policy_server.policy.tensorflow_graph import (
    Loading,
    NotServed,
    has_variables,
    loading,
    served_graph,
)

TEXT = 7  # of TensorFlow's DataType
OBSERVATION_NAMES = ("observations", "observation", "obs", "0/observation", "input", "inputs")
ACTIONS = re.compile(r"actions(?:_(\d+))?")
DRAWING = re.compile(r"^(Stateless|Parameterized)?(Truncated|Random|Multinomial)(?!.*Seed)")
"""Operations that draw random numbers."""


STEP_TYPE = "step_type"
"""TF-Agents' input that says whether an episode begins; it resets the states."""


class UnusableModel(ValueError):
    """A SavedModel that holds no policy which this server could run; the message says why."""


def import_tensorflow() -> Any:
    """TensorFlow, quiet and without a GPU; raises UnusableModel where it is not installed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    try:
        with keras_left_out():
            import tensorflow
    except ImportError as error:
        raise UnusableModel(
            "TensorFlow is not installed here, and it is read with TensorFlow: build the version "
            "where it is, or upload ONNX."
        ) from error
    tensorflow.get_logger().setLevel("ERROR")
    return tensorflow


class SavedModel:
    """A SavedModel in a session of its own.

    Attributes:
        output_name: Name in the signature of the output that `run` gives.
        carried: What it carries from step to step: rows have that behind the features, and what
            `run` gives has it behind the output.
        tensorflow: The library, which this file alone imports.

    Raises:
        UnusableModel: It cannot be loaded, or holds no policy.
    """

    output_name: str = ""
    carried: Carried = Carried()

    def __init__(self, folder: Path) -> None:
        self.tensorflow = tensorflow = import_tensorflow()
        v1 = tensorflow.compat.v1
        threads = v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
        self.graph = tensorflow.Graph()
        self.session = v1.Session(graph=self.graph, config=threads)
        try:
            meta = _meta_graph(folder)
        except Exception as error:  # protobuf's and those of the disk
            raise UnusableModel(f"TensorFlow cannot load it: {_first_line(error)}") from error
        signature = _signature(meta.signature_def)
        self.inputs = {str(name): str(info.name) for name, info in signature.inputs.items()}
        # Texts are served by nobody, and what makes them need not be known.
        numbers = {name: each for name, each in signature.outputs.items() if each.dtype != TEXT}
        self.outputs = {str(name): str(info.name) for name, info in numbers.items()}
        tensors, how = {*self.inputs.values(), *self.outputs.values()}, loading(meta)
        try:
            self._definition = served_graph(meta, tensors, how)
            with self.graph.as_default():
                self._load(meta, how, folder)
        except NotServed as error:
            raise UnusableModel(str(error)) from error
        except Exception as error:  # TensorFlow's errors have no common root
            raise UnusableModel(f"TensorFlow cannot load it: {_first_line(error)}") from error

    def _load(self, meta: Any, how: Loading, folder: Path) -> None:
        """Make the graph of what is served alone, and give its variables their numbers."""
        self.tensorflow.import_graph_def(
            self._definition, name="", producer_op_list=meta.meta_info_def.stripped_op_list
        )
        if how.restore and has_variables(self._definition):
            self.session.run(how.restore, {how.file: str(folder / "variables/variables")})
        if how.initialise:
            self.session.run(how.initialise)

    def unbounded(self) -> str | None:
        """Why one observation may take more than others, or for ever; None where none does."""
        try:
            check_bounded(self._definition, self.observation_tensor)
        except Unbounded as error:
            return str(error)
        return None

    @cached_property
    def observation_tensor(self) -> str:
        """Name of the tensor that takes the features."""
        for name in OBSERVATION_NAMES:
            if name in self.inputs:
                return self.inputs[name]
        floats = [name for name in self.inputs.values() if self.tensor(name).dtype.is_floating]
        if len(floats) != 1:
            raise UnusableModel(
                f"no input is called `observations` (there are {', '.join(sorted(self.inputs))})."
            )
        return floats[0]

    def kinds(self) -> Mapping[str, tuple[str, int | None]]:
        """Of each output, `integer`, `real` or `other`, and its rank; None where that is open."""
        kinds = {}
        for name, tensor_name in self.outputs.items():
            tensor = self.tensor(tensor_name)
            kind = "integer" if tensor.dtype.is_integer else "other"
            kinds[name] = ("real" if tensor.dtype.is_floating else kind, tensor.shape.rank)
        return kinds

    def words_of(self, named: Mapping[str, str]) -> list[str]:
        """Inputs or outputs in words: name, type, shape."""
        tensors = [(name, self.tensor(tensor)) for name, tensor in named.items()]
        return [f"{name}: {each.dtype.name} {each.shape}" for name, each in tensors]

    def drawing(self) -> str:
        """Operations that draw random numbers on the way to the output that is served."""
        found = {operation.type for operation in ancestors(self.graph, [self.output_tensor])}
        return ", ".join(sorted(kind for kind in found if DRAWING.search(kind)))

    @property
    def output_tensor(self) -> str:
        """Name of the tensor that holds the output that is served."""
        return self.outputs[self.output_name]

    @cached_property
    def feature_width(self) -> int:
        """F: the numbers that the network takes, all axes but the batch flattened."""
        shape = self.tensor(self.observation_tensor).shape
        if shape.rank is None or None in shape[1:].as_list():
            raise UnusableModel(
                "the shape of its observations is open: export it with a fixed one."
            )
        return int(np.prod(shape[1:].as_list(), dtype=int))

    @property
    def row_width(self) -> int:
        """F + S: the numbers of a row, which are the features where nothing is carried."""
        taken = self.feature_width
        return self.carried.feature_width(taken) + self.carried.width(taken)

    @cached_property
    def action_outputs(self) -> list[str]:
        """Names of the outputs that hold drawn actions, in the order of the heads."""
        numbered = {name: ACTIONS.fullmatch(name) for name in self.outputs}
        names = [(int(match[1] or 0), name) for name, match in numbered.items() if match]
        return [name for _, name in sorted(names)]

    @property
    def actions_are_integers(self) -> bool | None:
        """Whether drawn actions are numbers of actions; None where the model draws none."""
        kinds = {self.tensor(self.outputs[name]).dtype.is_integer for name in self.action_outputs}
        if len(kinds) > 1:
            mixed = "its actions are mixed (hybrid): numbered in one component and real in another"
            raise UnusableModel(f"{mixed}, which is not served. Export a policy for each of them.")
        return kinds.pop() if kinds else None

    def run(self, rows: Floats) -> Floats:
        """The output that is served, float32[B, W], of float32[B, F]; F + S give W + S."""
        states = [state.output for state in self.carried.states]
        found, *following = self._run([self.output_tensor, *states], rows)
        output = np.asarray(found, dtype=np.float32)
        output = output[:, np.newaxis] if output.ndim == 1 else output
        if not (states or self.carried.frames):
            return output
        features = self.carried.features(rows, self.feature_width)
        return self.carried.joined(output.reshape(len(rows), -1), following, features)

    def draw(self, rows: Floats) -> Draws:
        """Let the model draw one action a row itself."""
        names = [self.outputs[name] for name in self.action_outputs]
        has_log = "action_logp" in self.outputs
        values = self._run([*names, self.outputs["action_logp"]] if has_log else names, rows)
        return Draws(values[: len(names)], values[-1] if has_log else None)

    def _run(self, fetches: list[str], rows: Floats) -> list[NDArray[Any]]:
        return self.fetch(fetches, self.feeds(fetches, rows))

    def fetch(self, fetches: list[str], feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """What tensors are; raises EngineFailed."""
        try:
            return list(self.session.run(fetches, feeds))
        except (self.tensorflow.errors.OpError, ValueError, TypeError) as error:  # those: of feeds
            raise EngineFailed(f"TensorFlow failed: {_first_line(error)}") from error

    def feeds(self, fetches: Iterable[str], rows: Floats) -> dict[str, NDArray[Any]]:
        """Values for every placeholder that the fetches need, in the signature or not."""
        taken = self.feature_width
        if rows.shape[1] != self.row_width:
            raise EngineFailed(
                f"{rows.shape[1]} features were given, the network takes {self.row_width}"
            )
        observation, features = (
            self.tensor(self.observation_tensor),
            self.carried.features(rows, taken),
        )
        given = {observation.name: features.reshape(len(rows), *observation.shape[1:].as_list())}
        given |= self.carried.feeds(rows, taken)
        feeds = {
            name: values.astype(self.tensor(name).dtype.as_numpy_dtype)
            for name, values in given.items()
        }
        for name, fill in self.further_inputs(fetches).items():
            if name not in feeds:
                feeds[name] = neutral(self.tensor(name), len(rows), fill)
        return feeds

    def further_inputs(self, fetches: Iterable[str]) -> Mapping[str, int]:
        """Every placeholder beside the observation that these need, and its neutral value."""
        listed = set(self.inputs.values()) - {self.observation_tensor}
        found: dict[str, int] = {}
        for operation in ancestors(self.graph, fetches):
            name = operation.outputs[0].name if operation.outputs else ""
            placeholder = operation.type == "Placeholder" and name != self.observation_tensor
            if placeholder or name in listed:
                found[name] = self._filling(name)
        return found

    def _filling(self, tensor_name: str) -> int:
        """The value of an input that says nothing of the observation."""
        called = self.called(tensor_name)
        return self.carried.step if STEP_TYPE in called else int("seq_lens" in called)

    def called(self, tensor_name: str) -> str:
        """All that an input is called: by the graph, and by the signature where it lists it."""
        names = [name for name, tensor in self.inputs.items() if tensor == tensor_name]
        return " ".join([tensor_name, *names])

    def tensor(self, name: str) -> Any:
        """The tensor of a name."""
        return self.graph.get_tensor_by_name(name)


def _meta_graph(folder: Path) -> Any:
    """The graph to load: that of the tags `serve` if there is one, else the first."""
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    model.ParseFromString((folder / "saved_model.pb").read_bytes())
    if not model.meta_graphs:
        raise ValueError("it holds no graph")
    served = [each for each in model.meta_graphs if list(each.meta_info_def.tags) == ["serve"]]
    return (served or model.meta_graphs)[0]


def _signature(signatures: Mapping[str, Any]) -> Any:
    named = {name: value for name, value in signatures.items() if not name.startswith("__saved")}
    for name in ("serving_default", "action"):
        if name in named:
            return named[name]
    if len(named) != 1:
        raise UnusableModel(
            f"it has the signatures {', '.join(sorted(named)) or '(none)'}: "
            "`serving_default` is wanted."
        )
    return next(iter(named.values()))


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
