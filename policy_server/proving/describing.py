"""What is known of a model file before there is a schema, and texts to begin one with."""

import json
import re
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from policy_server.contract.actions import ActionSettings, ActionSpace
from policy_server.contract.contract import Contract
from policy_server.contract.reading import read_schema
from policy_server.errors import UploadRejected
from policy_server.policy.families.registry import FAMILIES
from policy_server.proving.built_model import BuiltModel
from policy_server.proving.converted import Converted, prove_converted
from policy_server.proving.description import FILE as MODEL_YAML
from policy_server.proving.description import Description, read_description
from policy_server.proving.job import UNDESCRIBED
from policy_server.proving.joined import Joined
from policy_server.proving.leapp import action_names
from policy_server.proving.limits import BuildLimits
from policy_server.proving.readers.reader import Inspection, ModelUpload
from policy_server.proving.readers.registry import converted, read_model, reader_of
from policy_server.proving.reading import Undeclared
from policy_server.proving.remote_engines import NO_ENGINES, RemoteEngines
from policy_server.proving.report import BuildReport
from policy_server.resources import COMMAND
from policy_server.version.network_description import NetworkDescription
from policy_server.version.parts import Part, uploaded_file
from policy_server.version.version_parts import known_sizes

SPACES = [ActionSettings(False, True), ActionSettings(True, True), ActionSettings(False, False)]
"""One numbered action, several, and real numbers, in the order in which they are tried."""
SCHEMA_YAML = "schema.yaml"
SHOWN_LETTERS = 300
DOUBT = "The contract's actions are"
"""Begins what a question says of a contract, of which there is none yet."""
AGAIN = f"Run `{COMMAND} describe FILE --reads WORD` (and `--output NAME`) with what is right."
NAME = re.compile(r"[A-Za-z_]\w*")


def describe(
    folder: Path,
    limits: BuildLimits,
    step: Callable[[str, float], None],
    engines: RemoteEngines = NO_ENGINES,
) -> BuildReport:
    """Look at a model, try it under each kind of actions, and build nothing.

    Args:
        folder: Has a folder for the model, and for its description where one is given.
        limits: How much it may take.
        step: Told what is being done and how many seconds it may take.
        engines: Whose networks other servers run.

    Returns:
        What was found out, as checks: `schema.yaml` and `model.yaml` are texts.
    """
    report = BuildReport()
    try:
        described = uploaded_file(folder, Part.DESCRIPTION)
        declared = read_description(described) if described.is_file() else Description()
        with tempfile.TemporaryDirectory(dir=folder) as workshop:
            upload = ModelUpload(
                uploaded_file(folder, Part.MODEL),
                Path(workshop),
                _contract(SPACES[0]),
                declared,
                limits,
                lambda what: step(what, limits.model_seconds),
                engines=engines,
            )
            _tell(upload, report)
    except UploadRejected as error:
        report.reject(error)
    except Exception as error:  # a file odder than was thought of: say which fault it was
        traceback.print_exc()
        report.rejected = f"The file cannot be described: {type(error).__name__}: {error}."
    return report


def _tell(upload: ModelUpload, report: BuildReport) -> None:
    with converted(upload) as (file, made):
        inspected = reader_of(file.file).inspect(file)
        words = inspected.format if made is None else f"{made.words}, as {inspected.format}"
        report.passed("format", words)
        for name, rows in (("input", inspected.inputs), ("output", inspected.outputs)):
            for row in rows:
                report.passed(name, row)
        for key, value in inspected.metadata.items():
            report.passed("metadata", f"{key}: {value[:SHOWN_LETTERS]}")
        found, question = _tried(file, made)
    if found is None:
        report.failed("reading", question, Part.DESCRIPTION)
        return
    (built, space), network = found, found[0].description
    report.passed("reading", network.family_detail)
    if built.carries is not None:
        report.passed("memory", built.carries)
    bounds = inspected.bounds if made is None else made.bounds
    actions = _actions(network, space, inspected.metadata, bounds)
    report.passed(SCHEMA_YAML, f"{_observations(network, inspected)}{actions}")
    reads = file.description.reading or FAMILIES[network.family].readings[0].word
    if isinstance(file.description.output, Joined):
        output = f"# output: as in the {MODEL_YAML} that was given\n"
    elif network.output in {row.partition(":")[0] for row in inspected.outputs}:
        output = f"output: {json.dumps(network.output)}\n"
    else:  # found inside the network, by what the file says of itself
        output = "# output: none needs to be named\n"
    if file.description.memory is not None and made is None:
        output += f"# memory: as in the {MODEL_YAML} that was given\n"
    report.passed(MODEL_YAML, f"{output}reads: {reads}\n")


Found = tuple[BuiltModel, ActionSettings]


def _tried(file: ModelUpload, made: Converted | None) -> tuple[Found | None, str]:
    """What the model is under the first kind of actions that fits it; or else what has to be said.

    Raises:
        UploadRejected: It can be served under none.
    """
    questions: list[str] = []
    faults: list[UploadRejected] = []
    for settings in (SPACES[0], SPACES[2]):
        try:
            built = read_model(replace(file, contract=_contract(settings)))
            built = built if made is None else prove_converted(built, made)
        except Undeclared as undeclared:
            questions.append(str(undeclared).partition(DOUBT)[0])
        except UploadRejected as error:
            faults.append(error)
        else:
            for each in SPACES:
                if _fits(built.description, _contract(each)):
                    return (built, each), ""
    if not questions:
        raise faults[0]
    return None, " Or else, ".join([*dict.fromkeys(questions)]) + f" {AGAIN}"


def _fits(network: NetworkDescription, contract: Contract) -> bool:
    family = FAMILIES[network.family]
    counts = () if network.sizes is None else family(network.sizes).action_sizes
    return contract.actions.contradiction(family.kind, network.heads, counts) is None


def _contract(settings: ActionSettings) -> Contract:
    return Contract(read_schema(UNDESCRIBED), ActionSpace.of(settings))


def _observations(network: NetworkDescription, inspected: Inspection) -> str:
    name = inspected.inputs[0].partition(":")[0] if inspected.inputs else ""
    field = name if NAME.fullmatch(name) else "observation"
    width = network.feature_width
    return (
        "# One field for all features, in the order of training. Fields with names, types and\n"
        "# bounds instead are checked and documented for clients (docs/schema.md).\n"
        f'observations:\n  {field}: {{type: "List[float]", min_items: {width}, '
        f"max_items: {width}}}\n"
    )


def _actions(
    network: NetworkDescription,
    settings: ActionSettings,
    metadata: Mapping[str, str],
    bounds: Sequence[tuple[float, float]] | None,
) -> str:
    """The part of a schema that says what the actions are."""
    sizes = known_sizes(network, _contract(settings))
    counts = FAMILIES[network.family](sizes).action_sizes if sizes else ()
    if not counts and bounds is not None:
        # Numbers that it puts out itself.
        counts = tuple(int(high - low) + 1 for low, high in bounds)
    if not counts:
        said = {"discrete": settings.discrete, "tuple": settings.tuple}
        return f"parameters: {json.dumps(said)}\n"
    lines = ["# Their names, bounds and units; `enum` with `type: str` gives numbers a meaning."]
    lines.append("actions:")
    if bounds is None or len(bounds) != len(counts):
        bounds = [(0, count - 1) for count in counts]
    for name, count, (low, high) in zip(_names(counts, metadata), counts, bounds, strict=True):
        bounded = f", minimum: {low:.9g}, maximum: {high:.9g}" if low < high else ""
        lines.append(f"  {name}: {{type: {'int' if count else 'float'}{bounded}}}")
    return "\n".join(lines) + "\n"


def _names(counts: Sequence[int], metadata: Mapping[str, str]) -> list[str]:
    """Names of actions: those of a robot's joints, where there are as many."""
    joints = [name.strip() for name in metadata.get("joint_names", "").split(",")]
    joints = action_names(metadata) or joints
    known = all(map(NAME.fullmatch, joints)) and len(set(joints)) == len(counts) == len(joints)
    if known:
        return joints
    return ["action"] if len(counts) == 1 else [f"action_{index}" for index in range(len(counts))]
