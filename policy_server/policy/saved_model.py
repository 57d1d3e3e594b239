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
from policy_server.policy.engines.engine import Floats
from policy_server.policy.lean_tensorflow import keras_left_out
from policy_server.policy.saved_model_feeds import Draws, neutral, others
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
CONSTANT_INPUTS = ("is_training", "seq_lens", "timestep")
"""Inputs that do not describe the situation; they have one right value when serving."""


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
        tensorflow: The library, which this file alone imports.

    Raises:
        UnusableModel: It cannot be loaded, or holds no policy.
    """

    output_name: str = ""

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
        floats = [name for name in self.inputs.values() if self._tensor(name).dtype.is_floating]
        if len(floats) != 1:
            raise UnusableModel(
                f"no input is called `observations` (there are {', '.join(sorted(self.inputs))})."
            )
        return floats[0]

    def kinds(self) -> Mapping[str, tuple[str, int | None]]:
        """Of each output, `integer`, `real` or `other`, and its rank; None where that is open."""
        kinds = {}
        for name, tensor_name in self.outputs.items():
            tensor = self._tensor(tensor_name)
            kind = "integer" if tensor.dtype.is_integer else "other"
            kinds[name] = ("real" if tensor.dtype.is_floating else kind, tensor.shape.rank)
        return kinds

    def words_of(self, named: Mapping[str, str]) -> list[str]:
        """Inputs or outputs in words: name, type, shape."""
        tensors = [(name, self._tensor(tensor)) for name, tensor in named.items()]
        return [f"{name}: {each.dtype.name} {each.shape}" for name, each in tensors]

    def drawing(self) -> str:
        """Operations that draw random numbers on the way to the output that is served."""
        found = {operation.type for operation in self._ancestors([self.output_tensor])}
        return ", ".join(sorted(kind for kind in found if DRAWING.search(kind)))

    @property
    def output_tensor(self) -> str:
        """Name of the tensor that holds the output that is served."""
        return self.outputs[self.output_name]

    @cached_property
    def feature_width(self) -> int:
        """F: the numbers that the network takes, all axes but the batch flattened."""
        shape = self._tensor(self.observation_tensor).shape
        if shape.rank is None or None in shape[1:].as_list():
            raise UnusableModel(
                "the shape of its observations is open: export it with a fixed one."
            )
        return int(np.prod(shape[1:].as_list(), dtype=int))

    @cached_property
    def action_outputs(self) -> list[str]:
        """Names of the outputs that hold drawn actions, in the order of the heads."""
        numbered = {name: ACTIONS.fullmatch(name) for name in self.outputs}
        names = [(int(match[1] or 0), name) for name, match in numbered.items() if match]
        return [name for _, name in sorted(names)]

    @property
    def actions_are_integers(self) -> bool | None:
        """Whether drawn actions are numbers of actions; None where the model draws none."""
        kinds = {self._tensor(self.outputs[name]).dtype.is_integer for name in self.action_outputs}
        if len(kinds) > 1:
            raise UnusableModel(
                "its actions are mixed (hybrid): numbered in one component and real in another, "
                "which is not served. Export a policy for each component."
            )
        return kinds.pop() if kinds else None

    def check_stateless(self, features: Floats) -> None:
        """Raise UnusableModel if the distribution inputs depend on more than the observations.

        They must be the same when run again, and when each further input has another value.

        Args:
            features: float32[B, F], some finite input vectors.
        """
        feeds = dict(self._feeds([self.output_tensor], features))
        expected = self._fetch([self.output_tensor], feeds)[0]

        def moves(inputs: Mapping[str, NDArray[Any]]) -> bool:
            output = self._fetch([self.output_tensor], inputs)[0]
            return not np.array_equal(output, expected, equal_nan=True)

        if moves(feeds):
            raise UnusableModel(
                "its distribution inputs differ from run to run: export it without noise in its "
                "parameters and without dropout."
            )
        for name in sorted(feeds.keys() - {self.observation_tensor}):
            if any(constant in self._called(name) for constant in CONSTANT_INPUTS):
                continue
            if any(moves({**feeds, name: other}) for other in others(feeds[name])):
                raise UnusableModel(
                    f"its decisions depend on `{name}`, which one observation does not tell: "
                    "policies with memory are not served."
                )

    def run(self, features: Floats) -> Floats:
        """The output that is served, float32[B, W], of float32[B, F]."""
        output = np.asarray(self._run([self.output_tensor], features)[0], dtype=np.float32)
        return output[:, np.newaxis] if output.ndim == 1 else output

    def draw(self, features: Floats) -> Draws:
        """Let the model draw one action a row itself."""
        names = [self.outputs[name] for name in self.action_outputs]
        has_log = "action_logp" in self.outputs
        values = self._run([*names, self.outputs["action_logp"]] if has_log else names, features)
        return Draws(values[: len(names)], values[-1] if has_log else None)

    def _run(self, fetches: list[str], features: Floats) -> list[NDArray[Any]]:
        return self._fetch(fetches, self._feeds(fetches, features))

    def _fetch(self, fetches: list[str], feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        try:
            return list(self.session.run(fetches, feeds))
        except (self.tensorflow.errors.OpError, ValueError, TypeError) as error:  # those: of feeds
            raise EngineFailed(f"TensorFlow failed: {_first_line(error)}") from error

    def _feeds(self, fetches: Iterable[str], features: Floats) -> Mapping[str, NDArray[Any]]:
        """Values for every placeholder that the fetches need, in the signature or not."""
        if features.shape[1] != self.feature_width:
            raise EngineFailed(
                f"{features.shape[1]} features were given, the network takes {self.feature_width}"
            )
        observation = self._tensor(self.observation_tensor)
        shape = [len(features), *observation.shape[1:].as_list()]
        feeds: dict[str, NDArray[Any]] = {
            observation.name: features.reshape(shape).astype(observation.dtype.as_numpy_dtype)
        }
        listed = set(self.inputs.values())
        for operation in self._ancestors(fetches):
            name = operation.outputs[0].name if operation.outputs else ""
            wanted = operation.type == "Placeholder" or name in listed
            if wanted and name not in feeds:
                lengths = "seq_lens" in self._called(name)
                feeds[name] = neutral(operation.outputs[0], len(features), fill=int(lengths))
        return feeds

    def _called(self, tensor_name: str) -> str:
        """All that an input is called: by the graph, and by the signature where it lists it."""
        names = [name for name, tensor in self.inputs.items() if tensor == tensor_name]
        return " ".join([tensor_name, *names])

    def _ancestors(self, fetches: Iterable[str]) -> list[Any]:
        seen: dict[str, Any] = {}
        waiting = [self._tensor(name).op for name in fetches]
        while waiting:
            operation = waiting.pop()
            if operation.name not in seen:
                seen[operation.name] = operation
                waiting += [tensor.op for tensor in operation.inputs]
                waiting += list(operation.control_inputs)
        return list(seen.values())

    def _tensor(self, name: str) -> Any:
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
