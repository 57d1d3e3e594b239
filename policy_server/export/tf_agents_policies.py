"""Policies of TF-Agents, asked as its drivers ask them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tf_agents.policies import categorical_q_policy, greedy_policy, q_policy
from tf_agents.trajectories import time_step as ts

from policy_server.export.recording import action_numbers
from policy_server.export.spaces import ExportRefused, Leaf, kind_of, leaves_of
from policy_server.export.trained import Decided, Description, Trained

REAL = {
    "MultivariateNormalDiag": "mean_log_std",
    "Normal": "mean_log_std",
    "SquashToSpecNormal": "squashed_mean_log_std",
    "Deterministic": "means",
}
"""What a distribution of real numbers is read as, by its class."""


VALUED = (q_policy.QPolicy, categorical_q_policy.CategoricalQPolicy)
"""Policies whose logits are values: their action is never drawn by a softmax of these."""


class AgentPolicy(Trained):
    """A policy of TF-Agents.

    Args:
        policy: Of an agent: its `policy` or `collect_policy`.
        env: Of Gymnasium; its observations and actions are as the policy's specs say.
    """

    def __init__(self, policy: Any, env: Any) -> None:
        self.asked, self.drawn = greedy_and_drawn(policy)
        self.framework = f"TF-Agents' {type(self.drawn).__name__}"
        self.observation_space, self.action_space = env.observation_space, env.action_space
        self.leaves = leaves_of(self.observation_space, "observation")
        self.specs = specs_of(policy.time_step_spec.observation, self.leaves)
        check_action(policy.action_spec, self.action_space)
        if policy.observation_and_action_constraint_splitter is not None:
            raise ExportRefused("A policy that splits masks off its observations is not exported.")
        self.states = tf.nest.flatten(self.drawn.policy_state_spec)
        self.kind = self._kind()
        squashed = self.kind == "squashed_mean_log_std"
        self.description = Description(
            reads=self.kind,
            output=self.kind,
            action_range=(-1.0, 1.0) if squashed else None,
            memory=self._memory(),
        )

    def _kind(self) -> str:
        """How the distribution's parameters are read; and that they can be."""
        step = ts.restart(self._seen(tf.zeros((1, self.width))), batch_size=1)
        found = self.drawn.distribution(step, self.drawn.get_initial_state(1)).action
        kind, _ = parameters(found)
        if kind == "logits" and isinstance(self.drawn, VALUED):
            kind = "values"
        if (kind in ("logits", "values")) != (kind_of(self.action_space) != "Box"):
            raise ExportRefused(f"{type(found).__name__} draws no action of {self.action_space}.")
        return kind

    def _memory(self) -> Sequence[Mapping[str, str]] | None:
        for spec in self.states:
            if spec.dtype != tf.float32 or len(spec.shape) != 1:
                raise ExportRefused(f"A state {spec} of a policy's memory is not exported.")
        pairs = [
            {"input": f"state_{number}_in", "output": f"state_{number}_out"}
            for number in range(len(self.states))
        ]
        return pairs or None

    @property
    def width(self) -> int:
        """How many features there are."""
        return sum(leaf.size for leaf in self.leaves)

    def _seen(self, features: Any) -> Any:
        """Features, float32[B, F], as an observation of the policy's specs."""
        parts = {
            leaf.path: tf.cast(
                tf.reshape(
                    features[:, leaf.start : leaf.start + leaf.size], (-1, *leaf.space.shape)
                ),
                self.specs[leaf.path].dtype,
            )
            for leaf in self.leaves
        }
        return parts.get((), {path[0]: part for path, part in parts.items() if path})

    def write_model(self, folder: Path) -> None:
        """Write the folder saved_model."""
        module = tf.Module()
        module.kept = list(self.drawn.variables())
        widths = [("observations", self.width)]
        widths += [(f"state_{at}_in", spec.shape[0]) for at, spec in enumerate(self.states)]
        signature = [tf.TensorSpec((None, width), tf.float32, name) for name, width in widths]
        module.decide = tf.function(self._decided, input_signature=signature)
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        signatures = {"serving_default": module.decide.get_concrete_function()}
        tf.saved_model.save(module, str(folder / "saved_model"), signatures, options)

    def _decided(self, observations: Any, *states: Any) -> dict[str, Any]:
        """The one output and the next states, for features and states."""
        rows = tf.shape(observations)[:1]
        step = ts.TimeStep(
            tf.fill(rows, ts.StepType.MID),
            tf.fill(rows, 0.0),
            tf.fill(rows, 1.0),
            self._seen(observations),
        )
        state = tf.nest.pack_sequence_as(self.drawn.policy_state_spec, list(states))
        found = self.drawn.distribution(step, state)
        outputs = {self.kind: parameters(found.action)[1]}
        for number, after in enumerate(tf.nest.flatten(found.state)):
            outputs[f"state_{number}_out"] = after
        return outputs

    def decide(self, observation: Any, state: Any, mask: Any) -> Decided:
        """What the greedy policy decides, and the distribution behind it."""
        parts = {
            leaf.path: tf.constant(
                leaf.of(observation)[None].astype(self.specs[leaf.path].dtype.as_numpy_dtype)
            )
            for leaf in self.leaves
        }
        seen = parts.get((), {path[0]: part for path, part in parts.items() if path})
        if state is None:
            step = ts.restart(seen, batch_size=1)
            state = self.drawn.get_initial_state(1)
        else:
            step = ts.transition(seen, tf.zeros(1))
        found = self.asked.action(step, state)
        inputs = parameters(self.drawn.distribution(step, state).action)[1].numpy().ravel()
        action = found.action.numpy()[0]
        applied: Any = np.asarray(action)
        if kind_of(self.action_space) == "Box":
            applied = np.clip(applied, self.action_space.low, self.action_space.high)
            applied = applied.astype(self.action_space.dtype)
            numbers = self._numbers(applied, inputs)
        else:
            applied = int(action) if not applied.shape else applied
            numbers = action_numbers(applied, self.action_space)
        return Decided(applied, numbers, inputs, None, found.state)

    def _numbers(self, applied: Any, inputs: Any) -> Any:
        """A real action as the network says it; raise where it is not that of the policy."""
        low, high = self.action_space.low.ravel(), self.action_space.high.ravel()
        mean = inputs[: low.size]
        if self.kind == "squashed_mean_log_std":
            mean = np.tanh(mean)
            expected = low + (mean + 1) * (high - low) / 2
        else:
            expected = np.clip(mean, low, high)
        if not np.allclose(expected, applied.ravel(), atol=1e-4):
            raise ExportRefused(
                f"The policy gives {applied} where its distribution says {expected}: it has a way "
                "of its own to choose, which cannot be exported."
            )
        return mean.tolist()


def greedy_and_drawn(policy: Any) -> tuple[Any, Any]:
    """The policy that takes the most probable action, and the one that knows the distribution."""
    drawn = policy
    while isinstance(drawn, greedy_policy.GreedyPolicy):
        drawn = drawn.wrapped_policy
    if hasattr(drawn, "wrapped_policy"):
        raise ExportRefused(
            f"{type(drawn).__name__} explores: give the policy that the agent acts by afterwards, "
            "agent.policy."
        )
    if isinstance(policy, greedy_policy.GreedyPolicy):
        return policy, drawn
    return greedy_policy.GreedyPolicy(drawn), drawn


def parameters(distribution: Any) -> tuple[str, Any]:
    """How a distribution's parameters are read, and these, float32[B, W]."""
    kind = type(distribution).__name__
    if kind in ("Categorical", "ShiftedCategorical"):
        return "logits", flat(distribution.logits_parameter())
    if kind == "Independent":
        distribution, kind = distribution.distribution, type(distribution.distribution).__name__
    if kind not in REAL:
        known = ", ".join(("Categorical", *REAL))
        raise ExportRefused(f"The distribution {distribution} is not exported; {known} are.")
    if REAL[kind] == "means":
        return REAL[kind], flat(distribution.loc)
    if kind == "SquashToSpecNormal":
        inner = distribution.input_distribution
        return REAL[kind], sides(inner.mean(), inner.stddev())
    return REAL[kind], sides(distribution.mean(), distribution.stddev())


def sides(mean: Any, deviation: Any) -> Any:
    """Means and logarithms of standard deviations side by side."""
    return tf.concat([flat(mean), flat(tf.math.log(deviation) + tf.zeros_like(mean))], axis=1)


def flat(numbers: Any) -> Any:
    """Numbers of each row in one axis, float32[B, W]."""
    return tf.reshape(tf.cast(numbers, tf.float32), (tf.shape(numbers)[0], -1))


def specs_of(spec: Any, leaves: Sequence[Leaf]) -> dict[tuple[Any, ...], Any]:
    """What the policy takes of each part of an observation; raise where it is something else."""
    found = {}
    for leaf in leaves:
        each = spec
        for key in leaf.path:
            each = each.get(key) if isinstance(each, Mapping) else None
        if not hasattr(each, "dtype") or tuple(each.shape) != leaf.space.shape:
            raise ExportRefused(
                f"The policy takes {spec}, and the environment has `{leaf.name}`, {leaf.space}: "
                "make it with the wrappers that training had."
            )
        found[leaf.path] = each
    count = len(tf.nest.flatten(spec))
    if count != len(leaves):
        raise ExportRefused(f"The policy takes {count} arrays, the environment has {len(leaves)}.")
    return found


def check_action(spec: Any, space: Any) -> None:
    """Raise ExportRefused where the policy's actions are not those of the environment."""
    kind = kind_of(space)
    fits = hasattr(spec, "shape") and tuple(spec.shape) == tuple(space.shape)
    if fits and kind == "Box":
        fits = bool(np.allclose(spec.minimum, space.low) and np.allclose(spec.maximum, space.high))
    elif fits and kind == "Discrete":
        fits = int(spec.minimum) == space.start and int(spec.maximum) == space.start + space.n - 1
    elif fits:
        last = np.asarray(space.nvec) - 1 if kind == "MultiDiscrete" else None
        alike = last is not None and bool((last == np.ravel(last)[0]).all())
        fits = alike and bool((spec.minimum == 0).all() and (spec.maximum == last).all())
    if not fits:
        raise ExportRefused(
            f"The policy's actions are {spec}, the environment's action space is {space}: of one "
            "array they have to be, with equal bounds."
        )
