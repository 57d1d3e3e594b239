"""A model file, described by a build process: what is known of it before there is a schema."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from policy_server.errors import UploadRejected
from policy_server.policy.engines.servers import NO_SERVERS, EngineServers
from policy_server.proving.build import describe
from policy_server.proving.limits import BuildLimits
from policy_server.proving.report import BuildReport
from policy_server.serving.policy_folder import open_model_file, open_policy_folder
from policy_server.version.parts import Part, uploaded_file


def describe_model(
    source: Path,
    declared: Mapping[str, str],
    limits: BuildLimits,
    progress: Callable[[str], None],
    servers: EngineServers = NO_SERVERS,
) -> BuildReport:
    """Say what a model is; nothing is kept.

    Args:
        source: A model's file, or a folder as it is published.
        declared: What model.yaml would say; counts instead of a folder's own.
        limits: How much it may take.
        progress: Told what is being done, a few words at a time.
        servers: That may run networks.

    Raises:
        UploadRejected: There is no such file, or the process died or was too slow; the report
            says everything else.
    """
    with tempfile.TemporaryDirectory() as workshop:
        folder = Path(workshop)
        _lay(source, folder)
        if declared:
            text = yaml.safe_dump(dict(declared))
            _place(folder, Part.DESCRIPTION).write_text(text, encoding="utf-8")
        return describe(folder, limits, progress, servers)


def _lay(source: Path, folder: Path) -> None:
    """Copy a model, and what is declared of it, to where a build looks for them."""
    if source.is_dir():
        with open_policy_folder(source) as bundle:
            for part in (Part.MODEL, Part.DESCRIPTION):
                if part in bundle.parts:
                    with _place(folder, part).open("wb") as target:
                        shutil.copyfileobj(bundle.parts[part], target)
        return
    if not source.is_file():
        raise UploadRejected(f"{source} is neither a file nor a folder.")
    with open_model_file(source) as opened, _place(folder, Part.MODEL).open("wb") as target:
        shutil.copyfileobj(opened, target)


def _place(folder: Path, part: Part) -> Path:
    path = uploaded_file(folder, part)
    path.parent.mkdir(exist_ok=True)
    return path
