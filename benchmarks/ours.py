"""This server as it is measured: published instances, and its variants."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from benchmarks import networks
from benchmarks.processes import NotServing, ask, running
from benchmarks.subjects import (
    AUTHORIZATION,
    PASSWORD,
    USER,
    Check,
    Group,
    Subject,
    batch_check,
    decision_check,
)
from policy_server.contract.reading import read_schema
from policy_server.contract.samples import random_observations

ROOT = Path(__file__).resolve().parents[1]
CORPUS = ROOT.parent / "shared" / "corpus" / "lpoc"
EXAMPLE = ROOT / "examples" / "lpoc"
OBSERVATION = (
    b'{"coordinates":[1,1],"has_core":true,"has_down_neighbour":true,"has_left_neighbour":true,'
    b'"has_right_neighbour":true,"has_up_neighbour":true,"id":0,"is_down_free":true,'
    b'"is_left_free":false,"is_right_free":true,"is_up_free":true,"target":[6,2]}'
)
SCHEMA_FEATURES = 14
BATCH = 1000
FIELDS = (10, 100, 1000)
HIDDEN = (64, 256, 1024)
GROWTH_CONNECTIONS = (1, 64)
VARIANTS = (
    ("ours", "this server", "with", "on", "process", 1),
    ("ours-in-process", "this server, preprocessor in process", "with", "on", "none", 1),
    ("ours-plain", "this server, no preprocessor", "without", "on", "process", 1),
    ("ours-slow", "this server, no fast path", "with", "off", "process", 1),
    ("ours-slow-in-process", "no fast path, preprocessor in process", "with", "off", "none", 1),
    ("ours-4", "this server, 4 workers", "with", "on", "process", 4),
    ("ours-plain-4", "this server, no preprocessor, 4 workers", "without", "on", "process", 4),
)
"""Name, title, instance, POLICY_SERVER_FAST_PATH, POLICY_SERVER_PREPROCESSOR_ISOLATION, workers."""
DIFFERING = ("ours", "ours-plain")
"""These are also asked with heads that differ in request id and trace, as those of real clients."""


def prepare_lpoc(work: Path) -> Path:
    """Publish the lpoc policy, with a preprocessor and without.

    Args:
        work: Empty folder; gets the policy's folder, and the instances `with` and `without`.

    Returns:
        The folder of the policy.
    """
    folder = work / "lpoc"
    source = CORPUS if CORPUS.is_dir() else EXAMPLE
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__"))
    if source == CORPUS:  # whose features are the fields themselves
        shutil.copy(Path(__file__).with_name("preprocessor.py"), folder)
    publish(folder, work / "with")
    plain = shutil.copytree(folder, work / "lpoc-plain")
    (plain / "preprocessor.py").unlink()
    if source != CORPUS:
        (plain / "saved_model.zip").unlink()
        networks.write_network(plain / "policy.onnx", SCHEMA_FEATURES, HIDDEN[0])
    publish(plain, work / "without")
    return folder


def variants(work: Path, probabilities: list[float] | None) -> Iterator[Subject]:
    """The variants of this server on the lpoc policy, and its batches.

    Args:
        work: Where `prepare_lpoc` published.
        probabilities: What each action must have.
    """
    for name, title, instance, fast_path, isolation, workers in VARIANTS:
        same = instance == "with" or CORPUS.is_dir()
        made = subject(
            work / instance,
            OBSERVATION,
            decision_check(probabilities if same else None),
            name=name,
            title=title,
            fast_path=fast_path,
            isolation=isolation,
            workers=workers,
        )
        yield made
        if name in DIFFERING:
            yield replace(
                made, name=f"{name}-differing", title=f"{title}, heads differ", differing=True
            )
    observations = random_observations(
        read_schema((work / "lpoc-plain" / "schema.yaml").read_text(encoding="utf-8")), BATCH, 0
    )
    body = json.dumps({"observations": observations}, separators=(",", ":")).encode()
    yield subject(
        work / "without",
        body,
        batch_check(BATCH),
        name="ours-batch",
        title=f"{BATCH:,} observations a request, no preprocessor",
        path="/api/predict_batch",
        group="batch",
        connections=(1, 4),
        items=BATCH,
    )


def growing(work: Path) -> Iterator[Subject]:
    """This server with ever more fields, and with ever larger networks; publishes on the way."""
    cases: list[tuple[Group, int, int]] = [("fields", fields, HIDDEN[0]) for fields in FIELDS]
    cases += [("network", FIELDS[0], hidden) for hidden in HIDDEN]
    for group, fields, hidden in cases:
        size = fields if group == "fields" else hidden
        folder = work / f"{group}-{size}"
        body = networks.write_policy(folder, fields, hidden)
        publish(folder, work / f"{folder.name}-instance")
        yield subject(
            work / f"{folder.name}-instance",
            body,
            decision_check(None),
            name=folder.name,
            title=f"{size:,} number fields" if group == "fields" else f"2 x {size:,} hidden units",
            group=group,
            connections=GROWTH_CONNECTIONS,
            size=size,
        )


def subject(
    base_path: Path,
    body: bytes,
    check: Check,
    *,
    name: str,
    title: str,
    fast_path: str = "on",
    isolation: str = "process",
    workers: int = 1,
    path: str = "/api/predict",
    group: Group = "comparison",
    connections: tuple[int, ...] = (1, 16, 64),
    items: int = 1,
    size: int = 0,
) -> Subject:
    """This server on an instance."""
    settings = {
        "POLICY_SERVER_USER": USER,
        "POLICY_SERVER_PASSWORD": PASSWORD,
        "POLICY_SERVER_FAST_PATH": fast_path,
        "POLICY_SERVER_PREPROCESSOR_ISOLATION": isolation,
    }
    command = (sys.executable, "-m", "gunicorn", "app:app", "-b", "127.0.0.1:{port}")
    return Subject(
        name=name,
        title=title,
        command=(*command, "-w", str(workers)),
        folder=ROOT,
        path=path,
        body=body,
        check=check,
        environment=_environment(base_path) | settings,
        authorization=AUTHORIZATION,
        group=group,
        connections=connections,
        items=items,
        size=size,
    )


def publish(folder: Path, base_path: Path, settings: Mapping[str, str] | None = None) -> None:
    """Make the contract of a folder and activate its policy."""
    for arguments in (["schema", str(folder / "schema.yaml")], ["publish", str(folder)]):
        done = subprocess.run(
            [sys.executable, "generate.py", *arguments],
            cwd=ROOT,
            env=_environment(base_path) | dict(settings or {}),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        if done.returncode:
            raise NotServing(f"{folder.name} cannot be published: {done.stdout}{done.stderr}")


def probabilities_of(base_path: Path, log: Path) -> list[float]:
    """What this server itself says about the actions for OBSERVATION, from its distribution."""
    server = subject(base_path, OBSERVATION, decision_check(None), name="", title="")
    with running(server, log) as found:
        port = int(found.url.split(":")[2].partition("/")[0])
        status, answer = ask(port, server, "/api/distribution")
    if status != 200:
        raise NotServing(f"no distribution: {status} {answer!r}")
    (head,) = json.loads(answer)["heads"]
    return [float(probability) for probability in head["probabilities"]]


def _environment(base_path: Path) -> dict[str, str]:
    """This environment, less the server's settings."""
    ours = ("HOST", "PORT", "DEBUG", "TUPLE", "DISCRETE_ACTIONS")
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ours and not name.startswith("POLICY_SERVER_")
    }
    return kept | {"BASE_PATH": str(base_path)}
