"""The page that uploads a policy: part by part, or all of them at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from policy_server.errors import RequestFailed
from policy_server.frontend import differences, versions
from policy_server.frontend.origin import active_version
from policy_server.frontend.service import Service
from policy_server.frontend.wording import say, show_report

Files = dict[str, tuple[str, bytes]]
Upload = tuple[str, str, Mapping[str, tuple[str, bytes]]]
"""What it is called, the operation that takes it, and its files."""


@dataclass(frozen=True)
class PartKind:
    """A part of a policy that can be uploaded.

    Attributes:
        name: As people call it.
        operation: What takes it.
        field: Its name in the request.
        types: Endings of its files.
        meaning: What it is for.
        files: What it is called in a policy's folder.
    """

    name: str
    operation: str
    field: str
    types: tuple[str, ...]
    meaning: str
    files: tuple[str, ...]


PARTS = (
    PartKind(
        "Model",
        "upload_model",
        "model_file",
        ("zip", "onnx", "pt", "pt2", "keras", "h5", "tflite"),
        "ONNX, a zip of a TensorFlow SavedModel or of Stable-Baselines3, TorchScript (.pt), "
        "torch.export (.pt2), Keras or TensorFlow Lite. The only part that is needed.",
        ("saved_model.zip", "policy.onnx"),
    ),
    PartKind(
        "Preprocessor",
        "upload_preprocessor",
        "preprocessor_file",
        ("yaml", "yml", "py"),
        "`preprocessing.yaml`, which says what the network's input is made of; or Python with "
        "`preprocess(observation)`, which the server runs. Without one, the fields are the input, "
        "in the schema's order.",
        ("preprocessor.py", "preprocessing.yaml"),
    ),
    PartKind(
        "Output mapper",
        "upload_output_mapper",
        "output_mapper_file",
        ("yaml", "yml"),
        "YAML that says what each action number means. Without one, meanings are numbers.",
        ("output_mapper.yaml",),
    ),
)
DESCRIPTION = PartKind(
    "Description", "upload_model", "description_file", ("yaml", "yml"),
    "`model.yaml`: which output is served and how it is read, where the model does not say it.",
    ("model.yaml",),
)  # fmt: skip
SCHEMA = PartKind(
    "Schema", "upload_policy", "schema_file", ("yaml", "yml"),
    "A new observation schema, where the policy needs one.", ("schema.yaml",),
)  # fmt: skip
GOLDEN = PartKind(
    "Golden cases", "upload_policy", "golden_file", ("jsonl", "npz"),
    "Recorded observations with what training decided on them; the build replays them.",
    ("golden.jsonl", "golden.npz"),
)  # fmt: skip
BUNDLE = "Bundle"
"""What a policy is called that is uploaded in one step."""


def show(service: Service, example: Path | None, changed: Callable[[], None]) -> None:
    """Show what can be uploaded, and what came of it.

    Args:
        service: Takes the uploads.
        example: The folder of the example whose schema is served, if it is one.
        changed: Called after an upload; the policy may be another, and the schema too.
    """
    st.subheader("Upload a policy")
    st.markdown(
        "What is uploaded is built and proven. Where a policy decides already, the new version is "
        "staged: compare the two, then activate it. What cannot be proven changes nothing."
    )
    if not service.may_manage:
        versions.show_active_alone()
        st.info("Replacing the policy needs user and password.", icon=":material/info:")
        return
    active = versions.show(service, changed)
    _last_reports(service, active)
    if example is not None:
        _example(service, example, changed)
    for column, part in zip(st.columns(3, gap="medium"), PARTS, strict=True):
        with column.container(border=True):
            _part(service, part, changed)
    if service.has_bundles:
        _bundle(service, changed)


def _last_reports(service: Service, active: str | None) -> None:
    """What came of the last uploads, the very last in full."""
    for index, (name, outcome) in enumerate(reversed(st.session_state.get("reports", ()))):
        with st.expander(f"Report: {name.lower()}", expanded=index == 0):
            if isinstance(outcome, RequestFailed) and outcome.cases:
                differences.show(service, outcome)
            elif isinstance(outcome, RequestFailed):
                say(outcome)
            else:
                show_report(outcome, active)


def _example(service: Service, folder: Path, changed: Callable[[], None]) -> None:
    with st.container(border=True):
        st.markdown(
            f"This is the schema of the example **{folder.name}**. A trained policy comes with it."
        )
        if st.button(
            "Upload the example's policy",
            type="primary",
            icon=":material/upload:",
            help="Uploads all that the example has, its golden cases too, as one version.",
        ):
            _upload(service, _uploads_of(service, folder), changed)


def _uploads_of(service: Service, folder: Path) -> list[Upload]:
    """What is to be uploaded of a folder: all at once, or part by part where that is not taken."""
    kinds = (*PARTS, DESCRIPTION, GOLDEN) if service.has_bundles else PARTS
    found = [
        (part, folder / file) for part in kinds for file in part.files if (folder / file).is_file()
    ]
    if service.has_bundles:
        files = {part.field: (file.name, file.read_bytes()) for part, file in found}
        return [(BUNDLE, "upload_policy", files)]
    # The model last: it is complete then, and becomes active.
    return [
        (part.name, part.operation, {part.field: (file.name, file.read_bytes())})
        for part, file in reversed(found)
    ]


def _part(service: Service, part: PartKind, changed: Callable[[], None]) -> None:
    file = st.file_uploader(
        part.name, type=part.types, key=f"file:{part.operation}", help=part.meaning
    )
    st.caption(part.meaning)
    beside = None
    if part.operation == DESCRIPTION.operation:
        beside = st.file_uploader(
            f"{DESCRIPTION.name} of the model",
            type=DESCRIPTION.types,
            key=f"file:{DESCRIPTION.field}",
            help=DESCRIPTION.meaning,
        )
    if st.button(
        f"Upload the {part.name.lower()}",
        key=f"upload:{part.operation}",
        icon=":material/upload:",
        disabled=file is None,
        width="stretch",
        help="Makes a new version with this part; the others stay as they are.",
    ):
        assert file is not None
        files = {part.field: (file.name, file.getvalue())}
        if beside is not None:
            files[DESCRIPTION.field] = (beside.name, beside.getvalue())
        _upload(service, [(part.name, part.operation, files)], changed)


def _bundle(service: Service, changed: Callable[[], None]) -> None:
    # Open for a visitor whose file was refused and who has another.
    tried = any(name == BUNDLE for name, _ in st.session_state.get("reports", ()))
    with st.expander("All parts at once", expanded=tried, icon=":material/inventory_2:"):
        st.markdown("Built and proven as one, activated as one. Only the model is needed.")
        files: Files = {}
        columns = st.columns(2, gap="medium")
        for index, part in enumerate((*PARTS, DESCRIPTION, SCHEMA, GOLDEN)):
            file = columns[index % 2].file_uploader(
                f"{part.name} of the bundle",
                type=part.types,
                key=f"bundle:{part.field}",
                help=part.meaning,
            )
            if file is not None:
                files[part.field] = (file.name, file.getvalue())
        if st.button(
            "Upload the bundle",
            icon=":material/upload:",
            disabled="model_file" not in files,
            help="Sends all of these files in one request; it needs the model at least.",
        ):
            _upload(service, [(BUNDLE, "upload_policy", files)], changed)


def _upload(
    service: Service,
    uploads: Sequence[Upload],
    changed: Callable[[], None],
) -> None:
    """Upload one after the other, until one is refused."""
    staged = service.has_staging and active_version() is not None
    reports: list[tuple[str, object]] = []
    with st.status("Building and proving; a large model takes minutes ...", expanded=True) as shown:
        for name, operation, files in uploads:
            shown.write(f"{name} ...")
            try:
                report = service.client.upload(operation, files, staged=staged)
                reports.append((name, report))
                versions.look_at(str(report.get("version")))
            except RequestFailed as error:
                reports.append((name, error))
                break
    st.session_state["reports"] = reports
    changed()
    st.rerun()
