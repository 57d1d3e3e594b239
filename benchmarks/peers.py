"""The floor and the other servers, each in an environment of its own."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from benchmarks.ours import OBSERVATION
from benchmarks.processes import NotServing
from benchmarks.subjects import Check, Subject, any_answer

PEERS = Path(__file__).with_name("peers")
INSTALL_SECONDS = 1800
COMPILED = ("--compile-bytecode",)
"""Otherwise the first start of a server would compile its packages."""
COMPLETE, FAULT = "complete", "fault.txt"
UVICORN = ("--port", "{port}", "--loop", "uvloop", "--http", "httptools", "--log-level", "error")


@dataclass(frozen=True)
class Peer:
    """Another server.

    Attributes:
        title: As the table shows it; `{version}` is that of `package`.
        package: What it is about, among its requirements.
        command: Starts it; the first word is a program of its environment.
        environment: Further variables.
    """

    title: str
    package: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


BY_NAME = {
    "fastapi_onnx": Peer(
        "FastAPI {version}, by hand",
        "fastapi",
        ("uvicorn", "server:app", *UVICORN, "--no-access-log"),
    ),
    "mlserver_onnx": Peer(
        "MLServer {version}, custom runtime",
        "mlserver",
        ("mlserver", "start", "."),
        {
            "MLSERVER_HTTP_PORT": "{port}",
            "MLSERVER_GRPC_PORT": "{second}",
            "MLSERVER_METRICS_PORT": "{third}",
        },
    ),
    "litserve_onnx": Peer("LitServe {version}", "litserve", ("python", "server.py", "{port}")),
    "flask_tensorflow": Peer(
        "Flask, TensorFlow {version} signature",
        "tensorflow",
        ("gunicorn", "server:app", "-b", "127.0.0.1:{port}", "-w", "1", "--threads", "4"),
        {"TF_CPP_MIN_LOG_LEVEL": "3"},
    ),
    "bentoml_onnx": Peer(
        "BentoML {version}",
        "bentoml",
        ("bentoml", "serve", "service:Policy", "--host", "127.0.0.1", "--port", "{port}"),
        {"BENTOML_DO_NOT_TRACK": "true"},
    ),
    "ray_serve": Peer(
        "Ray Serve {version}, one replica",
        "ray[serve]",
        ("python", "server.py", "{port}"),
        {
            "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
            "RAY_SERVE_ENABLE_HA_PROXY": "1",
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # elsewhere, too, it then keeps to loopback
            "RAY_USAGE_STATS_ENABLED": "0",
        },
    ),
}


def floor() -> Subject:
    """The bare callable, in the environment of this server."""
    return Subject(
        name="floor",
        title="floor: decode, validate, constant answer",
        command=(sys.executable, "-m", "uvicorn", "floor:app", *UVICORN, "--no-access-log"),
        folder=PEERS,
        path="/predict",
        body=OBSERVATION,
        check=any_answer,
        environment=dict(os.environ),
    )


def peer(name: str, cache: Path, policy: Path, home: Path, check: Check) -> Subject:
    """One of the other servers.

    Args:
        name: A key of BY_NAME.
        cache: Where environments are kept.
        policy: Where `write_policy_folder` wrote.
        home: A folder that it may write to.
        check: What its answers must pass.

    Raises:
        NotServing: It could not be installed.
    """
    found = BY_NAME[name]
    programs = _installed(name, cache) / "bin"
    environment = {
        "PATH": f"{programs}:/usr/bin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(PEERS / "shared"),
        "POLICY_FOLDER": str(policy),
        **found.environment,
    }
    program, *arguments = found.command
    return Subject(
        name=name,
        title=title(name),
        command=(str(programs / program), *arguments),
        folder=PEERS / name,
        path="/predict",
        body=OBSERVATION,
        check=check,
        environment=environment,
    )


def title(name: str) -> str:
    """A peer with the version that its requirements pin."""
    found = BY_NAME[name]
    lines = (PEERS / name / "requirements.in").read_text(encoding="utf-8").splitlines()
    versions = dict(line.split("==") for line in lines)
    return found.title.format(version=versions[found.package])


def install(name: str, cache: Path) -> None:
    """Make a peer's environment, unless it is there; what goes wrong is kept there as well."""
    folder = _environment_of(name, cache)
    if (folder / COMPLETE).exists():
        return
    uv = Path(sys.executable).with_name("uv")
    python, requirements = folder / "bin" / "python", PEERS / name / "requirements.txt"
    shutil.rmtree(folder, ignore_errors=True)
    for arguments in (
        ["venv", "--quiet", "--python", sys.executable, str(folder)],
        ["pip", "install", "--quiet", *COMPILED, "--python", str(python), "-r", str(requirements)],
    ):
        done = subprocess.run(
            [str(uv) if uv.exists() else "uv", *arguments],
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
        if done.returncode:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / FAULT).write_text(done.stderr.strip()[-300:], encoding="utf-8")
            return
    (folder / COMPLETE).touch()


def _installed(name: str, cache: Path) -> Path:
    folder = _environment_of(name, cache)
    if not (folder / COMPLETE).exists():
        why = (folder / FAULT).read_text(encoding="utf-8") if (folder / FAULT).exists() else ""
        raise NotServing(f"it could not be installed: {why}")
    return folder


def _environment_of(name: str, cache: Path) -> Path:
    requirements = PEERS / name / "requirements.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    return cache / "environments" / f"{name}-{digest}"


def write_policy_folder(source: Path, base_path: Path, target: Path) -> Path:
    """Write what peers serve: network, SavedModel, preprocessor and meanings.

    Args:
        source: The folder that was published.
        base_path: The instance that it was published to, whose reduced network is taken.
        target: Made here.
    """
    target.mkdir()
    version = (base_path / "active").read_text(encoding="utf-8").strip()
    shutil.copy(base_path / "versions" / version / "model" / "network.onnx", target)
    shutil.copy(source / "preprocessor.py", target)
    meanings = yaml.safe_load((source / "output_mapper.yaml").read_text(encoding="utf-8"))
    texts = [str(meanings[action]) for action in sorted(meanings)]
    (target / "meanings.json").write_text(json.dumps(texts), encoding="utf-8")
    with zipfile.ZipFile(source / "saved_model.zip") as archive:
        archive.extractall(target / "unpacked")
    (saved_model,) = (target / "unpacked").rglob("saved_model.pb")
    saved_model.parent.rename(target / "saved_model")
    return target
