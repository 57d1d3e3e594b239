"""Makes the folders that are kept: trains, exports where this server is not, plays."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.frameworks.cases import HELPERS, HERE, STAMP, Case
from tests.frameworks.catalogue import CASES
from tests.frameworks.playing import play, publish_case, served

CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "policy-server/frameworks"


def python_of(case: Case) -> Path:
    """The Python of an environment that has a framework; installed where it is not there yet."""
    required = case.requirements
    key = hashlib.sha256("\n".join([sys.version, *required]).encode()).hexdigest()[:16]
    folder = CACHE / f"{required[0].partition('=')[0]}-{key}"
    python, done = folder / "bin/python", folder / "installed"
    if not done.exists():
        print(f"installing {', '.join(required)} into {folder}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        uv = str(Path(sys.executable).with_name("uv"))
        # PyTorch is large: the environments share its files.
        linked = {**os.environ, "UV_LINK_MODE": "hardlink"}
        subprocess.run([uv, "venv", "-q", "-p", sys.executable, str(folder)], check=True)
        install = [uv, "pip", "install", "-q", "-p", str(python), *required]
        subprocess.run(install, check=True, env=linked)
        done.touch()
    return python


def run_there(python: Path, folder: Path, *words: str) -> None:
    """Run a script in an environment of a framework.

    Args:
        python: Of that environment.
        folder: Where it runs, in which nothing of this project lies but what was copied there.
        words: The script and its arguments.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    kept |= {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [str(python), "-W", "ignore", *words], cwd=folder, env=kept, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(words[:2])} failed.\n{done.stdout}{done.stderr}")
    print(done.stdout.strip(), flush=True)


def make(case: Case, folder: Path) -> None:
    """Train a policy, and export it by the kit's one file.

    Args:
        case: The policy.
        folder: Empty; gets `policy` and `recorded.npz`, as they are kept, among other things.
    """
    python = python_of(case)
    trains = f"train_{case.training}.py"
    for name in (*HELPERS, trains):
        shutil.copy(HERE / name, folder)
    (folder / "export_policy.py").write_text(case.script, encoding="utf-8")
    run_there(python, folder, trains, *case.arguments, str(folder))
    made_with = ("--env", case.env, "--env-options", json.dumps(case.env_options))
    words = ("--checkpoint", case.checkpoint, *made_with, "--output", "policy", *case.options)
    run_there(python, folder, "export_policy.py", *words)
    if (folder / "called").is_dir():
        compare_folders(folder / "called", folder / "policy")


def compare_folders(called: Path, commanded: Path) -> None:
    """Raise where `export(...)` in Python and the command line write other things."""
    for name in ("schema.yaml", "model.yaml"):
        if (called / name).read_text("utf-8") != (commanded / name).read_text("utf-8"):
            raise RuntimeError(f"{name} differs between a call and a command.")
    first, second = (
        np.array([json.loads(line)["features"] for line in file.open(encoding="utf-8")])
        for file in (called / "golden.jsonl", commanded / "golden.jsonl")
    )
    # Threads may add in another order.
    if first.shape != second.shape or not np.allclose(first, second, 1e-3, 1e-3):
        raise RuntimeError("golden.jsonl differs between a call and a command.")


def keep(case: Case, folder: Path) -> None:
    """Put what was made where `make test` finds it."""
    shutil.rmtree(case.folder, ignore_errors=True)
    case.folder.mkdir(parents=True)
    shutil.copytree(folder / "policy", case.folder / "policy")
    shutil.copy(folder / "recorded.npz", case.folder)


def prove(cases: Sequence[Case]) -> bool:
    """Publish what was made, play all episodes over HTTP, and stamp what agrees.

    Returns:
        Whether all do.
    """
    agree = True
    with tempfile.TemporaryDirectory() as text, served(cases[0], Path(text)) as server:
        for case in cases:
            publish_case(case, server)
            faults = list(play(server, case, every_distribution=True))
            if faults:
                agree = False
                print(f"{case.name} differs in {len(faults)} things:", *faults[:10], sep="\n  ")
                continue
            (case.folder / STAMP).write_text(f"{case.current_stamp}\n", encoding="utf-8")
            print(f"{case.name}: every step over HTTP is the framework's own.", flush=True)
    return agree


def main(names: Sequence[str]) -> bool:
    """Make cases anew, and prove them; returns whether all agree with their frameworks.

    Args:
        names: Of the cases; `stale` for those that were made by another kit, none for all.
    """
    chosen = [each for each in CASES if not names or each.name in names]
    if list(names) == ["stale"]:
        chosen = [each for each in CASES if not each.is_current]
    for case in chosen:
        started = time.monotonic()
        print(f"--- {case.name}", flush=True)
        with tempfile.TemporaryDirectory() as text:
            make(case, Path(text))
            keep(case, Path(text))
        print(f"{time.monotonic() - started:.0f} seconds", flush=True)
    return prove(chosen) if chosen else True
