"""A model as the build knows it: what serves it, and facts that other parts must fit."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from policy_server.errors import EngineFailed, UploadRejected
from policy_server.policy.engines.engine import Engine, Floats
from policy_server.policy.engines.registry import ENGINES
from policy_server.policy.families.comparison import relative_differences
from policy_server.policy.families.recognition import Output
from policy_server.policy.saved_model import UnusableModel
from policy_server.proving.episodes import STEPS, episode_count, played
from policy_server.proving.heads import Actions
from policy_server.proving.independence import RowProof
from policy_server.proving.reading import Undeclared
from policy_server.proving.remote_engines import NO_ENGINES, RemoteEngines, load_built
from policy_server.version.network_description import NetworkDescription, Undescribed
from policy_server.version.version_parts import read_description

PROOF_TOLERANCE = 1e-4
PROOF_SCALES = (0.1, 1.0, 1.0, 10.0)
PROOF_ROWS, WIDE_PROOF_ROWS = 64, 16
"""Rows of features drawn at each of the scales; fewer of wide ones, images for instance."""
WIDE = 4096
RECORDED_ROWS = 2


class BuiltModel:
    """A model and, while it is being built, the original to compare it with.

    Attributes:
        description: What is known of it.
        engine: What will serve it.

    Args:
        description: What is known of it.
        engine: What will serve it.
        folder: The model's.
        original: What was uploaded, to compare the engine with; None where that is the same.
        fallback: Name of the engine by which the original can serve itself; None where it cannot.
    """

    def __init__(
        self,
        description: NetworkDescription,
        engine: Engine,
        folder: Path,
        original: Engine | None = None,
        fallback: str | None = None,
    ) -> None:
        self.description = description
        self.engine = engine
        self._folder = folder
        self._original = original
        self._fallback = fallback

    @property
    def actions(self) -> Actions:
        """What is known of its actions."""
        known = self.description
        return Actions(known.family, known.sizes, known.heads, known.family_detail)

    @property
    def carries(self) -> str | None:
        """What goes from step to step, in words; None without memory."""
        memory = self.description.memory
        if memory is None:
            return None
        what = "the state of a recurrent network"
        if memory.frames:
            what = f"the last {memory.frames - 1} observations, which {memory.frames} frames take"
        begins = "; it does not begin with zeros" * (
            any(memory.initial) or memory.padding != "zeros"
        )
        return f"{memory.width} numbers ({4 * memory.width} bytes) are carried: {what}{begins}"

    def check_steps(self, is_observed: bool) -> None:
        """Raise UploadRejected if it has memory, and the schema has no observations to step by."""
        if self.description.memory is not None and not is_observed:
            raise UploadRejected(
                "A model with memory is asked by POST /step, which takes observations: the schema "
                "has none."
            )

    def of_file(
        self, description: NetworkDescription, original: Engine | None = None
    ) -> "BuiltModel":
        """This model, as made of a file of another format, which `original` runs."""
        if original is None:
            original, fallback = self._original, self._fallback
        else:
            fallback = None
        return BuiltModel(description, self.engine, self._folder, original, fallback)

    def prove(self, features: Floats) -> str | None:
        """Compare what serves with the original, which serves itself where they differ, if it can.

        Args:
            features: float32[B, F], of valid observations; with memory, each is also that of a
                step of an episode.

        Returns:
            What came of it; None where the original itself serves, or is not at hand.

        Raises:
            UploadRejected: They differ, and the original cannot serve itself.
        """
        if self._original is None:
            return None
        memory, served, original = self.description.memory, self.engine, self._original
        compared = f"on {len(features)} observations"
        if memory is None:
            difference = compare(served, original, features)
        else:
            compared = f"in {episode_count(memory, features)} episodes of {STEPS} steps"
            one, other = (played(each.run, memory, features) for each in (served, original))
            difference = difference_of(one, other)
        if difference <= PROOF_TOLERANCE:
            return f"equal to the original to {difference:.1e} {compared}"
        if self._fallback is None:
            raise UploadRejected(
                "The model cannot be served: as it is served, its output differs from "
                f"the uploaded network's by {difference:.1e} on valid observations "
                f"({PROOF_TOLERANCE:.0e} is allowed)."
            )
        detail = f"TensorFlow serves it: {differs(difference)} on valid observations"
        self.description = replace(self.description, engine=self._fallback, engine_detail=detail)
        self.engine, self._original = self._original, None
        return detail

    def save(self) -> None:
        """Write the description, and drop what nothing will be served from."""
        _drop_all_but(self.description.engine, self._folder)
        self.description.write(self._folder)


def load_built_model(folder: Path, engines: RemoteEngines = NO_ENGINES) -> BuiltModel:
    """The model of an earlier build, from its folder.

    Raises:
        UploadRejected: What was built is damaged.
        Undeclared: It was never known how it is read.
    """
    try:
        described = read_description(folder)
        engine = load_built(engines, described.engine, folder, described.output)
        return BuiltModel(described, engine, folder)
    except Undescribed as undescribed:
        raise Undeclared(str(undescribed)) from undescribed
    except (OSError, ValueError, TypeError, KeyError, EngineFailed) as error:
        raise UploadRejected(
            f"The model that was uploaded before is damaged: {error}. Upload it again."
        ) from error


def describe(
    engine: str, feature_width: int, output: Output, actions: Actions, engine_detail: str
) -> NetworkDescription:
    """The description of a model that was just built."""
    return NetworkDescription(
        engine=engine,
        engine_detail=engine_detail,
        feature_width=feature_width,
        output=output.name,
        output_width=output.width,
        family=actions.family,
        sizes=actions.sizes,
        heads=actions.heads,
        family_detail=actions.detail,
    )


def drop_what_was_built(folder: Path) -> None:
    """Remove from a model's folder what any engine would run."""
    _drop_all_but(None, folder)


def _drop_all_but(engine: str | None, folder: Path) -> None:
    """Remove from a model's folder what other engines would run."""
    for file in (loader.file for name, loader in ENGINES.items() if name != engine):
        if (folder / file).is_dir():
            shutil.rmtree(folder / file)
        else:
            (folder / file).unlink(missing_ok=True)


def proof_features(width: int) -> Floats:
    """Random input vectors at several scales, float32[B, F]."""
    rng = np.random.default_rng(0)
    count = PROOF_ROWS if width <= WIDE else WIDE_PROOF_ROWS
    rows = [scale * rng.standard_normal((count, width)) for scale in PROOF_SCALES]
    return np.concatenate(rows).astype(np.float32)


def recorded_rows(features: Floats) -> Floats:
    """Those of the proof features by which a network on another server is known again."""
    return features[len(features) // len(PROOF_SCALES) :][:RECORDED_ROWS]  # of a usual scale


def proof_outputs(engine: Engine, name: str, features: Floats) -> Floats:
    """A network's outputs, float32[B, W], which are the same each time it is asked.

    Raises:
        UnusableModel: They are not, or not of that shape, or nothing in them is finite.
    """
    outputs = engine.run(features)
    if outputs.ndim != 2 or len(outputs) != len(features):
        raise UnusableModel(
            f"its output `{name}` has the shape {list(outputs.shape)} for {len(features)} "
            "observations: one row of numbers for each is wanted."
        )
    if not np.isfinite(outputs).any():
        raise UnusableModel(f"its output `{name}` is not finite, whatever the observation.")
    if not np.array_equal(outputs, engine.run(features), equal_nan=True):
        raise UnusableModel(
            f"its output `{name}` differs from run to run: what an action is drawn from is wanted, "
            "not the draw. Export that, as `logits` or `mean_log_std`."
        )
    fault = RowProof(engine.run, features).fault()
    if fault is not None:
        raise UnusableModel(f"its output `{name}` {fault}")
    return outputs


def compare(served: Engine, original: Engine, features: Floats) -> float:
    """The largest difference between two engines' outputs, relative where they exceed 1.

    Two masks of an action do not differ; neither do two NaNs, which a network may give to features
    that no observation has. Infinity stands for outputs that cannot be compared.
    """
    return difference_of(served.run(features), original.run(features))


def difference_of(served: Floats, original: Floats) -> float:
    """The largest difference of outputs; as `compare`."""
    ours, theirs = served.astype(np.float64), original.astype(np.float64)
    if ours.shape != theirs.shape:
        return np.inf
    compared = ~(np.isnan(ours) & np.isnan(theirs))
    differences = relative_differences(theirs[compared], ours[compared])
    return float(np.max(differences, initial=0.0))


def differs(difference: float) -> str:
    """How far a converted network lies from the original, in words."""
    return f"converted, its output differs by {difference:.1e} ({PROOF_TOLERANCE:.0e} is allowed)"
