"""A model file of one format, made into one that is served, and compared with what it was."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from policy_server.errors import UploadRejected
from policy_server.policy.engines.engine import Engine
from policy_server.proving.built_model import (
    PROOF_TOLERANCE,
    BuiltModel,
    compare,
    differs,
    proof_features,
)
from policy_server.proving.description import Description
from policy_server.proving.normalised import Normalised


@dataclass(frozen=True)
class Converted:
    """What was made of a model's file.

    Attributes:
        file: ONNX, or a zip of a SavedModel.
        description: What is declared of it, and what is certain.
        words: What it is and how it was converted, for the report.
        sizes: Actions of each head; None where the file does not tell them.
        action_range: Which numbers of the network stand for the bounds of actions; None where the
            file does not tell it.
        bounds: Of each number of an action, as training had them; None where the file does not
            tell them.
        original: Runs the file itself, for the output of a name; None where nothing here can.
    """

    file: Path
    description: Description
    words: str
    sizes: tuple[int, ...] | None = None
    action_range: tuple[float, float] | None = None
    bounds: Sequence[tuple[float, float]] | None = None
    original: Callable[[str], Engine] | None = None


def prove_converted(built: BuiltModel, converted: Converted) -> BuiltModel:
    """Compare what was built of a converted file with the file itself, where it can be run.

    Raises:
        UploadRejected: They differ.
    """
    described = replace(built.description, action_range=converted.action_range)
    detail = converted.words
    if converted.sizes is not None:
        described = replace(described, sizes=converted.sizes, heads=len(converted.sizes))
    if converted.original is None:
        described = replace(described, engine_detail=f"{detail}; {described.engine_detail}")
        return built.of_file(described)
    original: Engine = converted.original(described.output)
    if (statistics := converted.description.normalise) is not None:
        original = Normalised(original, statistics)
    features = proof_features(described.feature_width)
    difference = compare(built.engine, original, features)
    if difference > PROOF_TOLERANCE:
        raise UploadRejected(f"The model cannot be served: {differs(difference)} from the file's.")
    proof = f"on {len(features)} random inputs its output agrees with the file's to"
    detail = f"{detail}; {proof} {difference:.1e}; {described.engine_detail}"
    return built.of_file(replace(described, engine_detail=detail), original)


def certain(declared: Description, output: str, reads: str, of: str) -> Description:
    """What a file proves of its output, which nothing that is declared may contradict.

    Args:
        declared: By model.yaml.
        output: Name of the output.
        reads: What its numbers stand for.
        of: What proves it: `PPO`.

    Raises:
        UploadRejected: Something else is declared.
    """
    if declared.reads not in (None, reads):
        raise UploadRejected(
            f"model.yaml says `reads: {declared.reads}`, but the file is of {of}, whose network "
            f"puts out what `reads: {reads}` stands for: leave `reads` out."
        )
    if declared.output not in (None, output):
        raise UploadRejected(
            f"model.yaml names the output `{declared.output}`, and the network of the file has "
            f"`{output}` alone: leave `output` out."
        )
    return replace(declared, output=output, reads=reads)
