"""A stand-in for `tensorflow_model_server`, which is not to be had from any package registry.

It executes SavedModels with TensorFlow, and has what is used of the real one: its flags, its file
of models that it polls, REST in the row format, and errors as `{"error": ...}`. Tests run against
the real program where TENSORFLOW_MODEL_SERVER names one.
"""

import argparse
import json
import os
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
REAL = os.environ.get("TENSORFLOW_MODEL_SERVER", "")
IS_REAL = bool(REAL)
CONFIGURED = re.compile(r'config \{ name: "([^"]+)" base_path: "((?:[^"\\]|\\.)*)"')
PREDICT = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?:predict")
STATUS = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?")


def program(folder: Path, *, options: str = "") -> Path:
    """A file in a folder that runs the real program where one is named, else the stand-in."""
    script = folder / "tensorflow_model_server"
    stand_in = f'PYTHONPATH="{ROOT}" exec "{sys.executable}" -m {__name__} {options} "$@"'
    _write(script, f'exec "{REAL}" "$@"' if IS_REAL and not options else stand_in)
    return script


def lying_program(folder: Path) -> Path:
    """A file that runs what answers with numbers of its own, whatever it is to serve."""
    return program(folder, options="--lies")


def broken_program(folder: Path) -> Path:
    """A file that ends at once."""
    script = folder / "tensorflow_model_server"
    _write(script, "exit 3")
    return script


def _write(script: Path, command: str) -> None:
    unfinished = script.with_suffix(".new")
    unfinished.write_text(f"#!/bin/sh\n{command}\n")
    unfinished.chmod(0o755)
    unfinished.rename(script)


class Models:
    """The models of a file, loaded as it says."""

    def __init__(self, tensorflow: Any, file: Path) -> None:
        self._tensorflow = tensorflow
        self._file = file
        self._text = ""
        self.loaded: dict[str, Any] = {}
        self.failed: dict[str, str] = {}

    def poll(self, seconds: float) -> None:
        while True:
            self.read()
            time.sleep(seconds)

    def read(self) -> None:
        text = self._file.read_text()
        if text == self._text:
            return
        self._text = text
        wanted = {
            name: path.encode().decode("unicode_escape") for name, path in CONFIGURED.findall(text)
        }
        for name in self.loaded.keys() - wanted.keys():
            print(f"unloaded {name}", flush=True)
            del self.loaded[name]
        self.failed = {}
        for name in wanted.keys() - self.loaded.keys():
            try:
                self.loaded[name] = self._load(Path(wanted[name]))
                print(f"loaded {name}", flush=True)
            except Exception as error:
                self.failed[name] = repr(error)

    def _load(self, folder: Path) -> Any:
        version = max(int(each.name) for each in folder.iterdir() if each.name.isdigit())
        tf = self._tensorflow.compat.v1
        graph = tf.Graph()
        with graph.as_default():
            session = tf.Session(graph=graph)
            meta = tf.saved_model.load(session, ["serve"], str(folder / str(version)))
        return session, meta.signature_def["serving_default"]

    def predict(self, name: str, instances: Any) -> Any:
        session, signature = self.loaded[name]
        (given,), outputs = signature.inputs.values(), signature.outputs
        values = session.run(
            {key: each.name for key, each in outputs.items()}, {given.name: np.array(instances)}
        )
        if len(values) == 1:
            (rows,) = values.values()
            return [_decimals(row) for row in rows.tolist()]
        columns = {key: each.tolist() for key, each in values.items()}
        return [{key: rows[at] for key, rows in columns.items()} for at in range(len(instances))]


class Lies:
    """Whatever is asked for is loaded, and gives numbers of the right shape that mean nothing."""

    def __init__(self) -> None:
        self.loaded = _Everything()
        self.failed: dict[str, str] = {}

    def predict(self, name: str, instances: Any) -> Any:
        return [[9.0, 1.0, 2.0, 3.0] for _ in instances]


class _Everything:
    def __contains__(self, name: str) -> bool:
        return True


def _decimals(row: list[float]) -> list[float]:
    """Numbers with as many digits as a float32 has."""
    return [float(f"{number:.9g}") for number in row]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    models: "Models | Lies"

    def do_GET(self) -> None:
        match = STATUS.fullmatch(self.path)
        name = match[1] if match else ""
        if name in self.models.loaded:
            self._answer(200, _status("AVAILABLE", "OK", ""))
        elif name in self.models.failed:
            self._answer(200, _status("END", "UNKNOWN", self.models.failed[name]))
        else:
            self._refuse(404, f"Could not find any versions of model {name}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        match = PREDICT.fullmatch(self.path)
        if match is None:
            self._refuse(400, f"Malformed request: POST {self.path}")
        elif match[1] not in self.models.loaded:
            self._refuse(404, f"Servable not found for request: Latest({match[1]})")
        else:
            try:
                found = self.models.predict(match[1], json.loads(body)["instances"])
            except Exception as error:
                self._refuse(400, str(error).splitlines()[0])
            else:
                self._answer(200, {"predictions": found})

    def _refuse(self, status: int, words: str) -> None:
        self._answer(status, {"error": words})

    def _answer(self, status: int, content: object) -> None:
        body = json.dumps(content, indent=4).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing of requests."""


def _status(state: str, code: str, message: str) -> object:
    status = {"error_code": code, "error_message": message}
    return {"model_version_status": [{"version": "1", "state": state, "status": status}]}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8500)
    parser.add_argument("--rest_api_port", type=int, required=True)
    parser.add_argument("--model_config_file", type=Path, required=True)
    parser.add_argument("--model_config_file_poll_wait_seconds", type=int, default=0)
    parser.add_argument("--lies", action="store_true")  # the real program has no such flag
    given = parser.parse_args()
    if given.lies:
        serve(Lies(), given.rest_api_port)
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    from policy_server.policy.lean_tensorflow import keras_left_out

    with keras_left_out():
        import tensorflow
    models = Models(tensorflow, given.model_config_file)
    models.read()
    seconds = given.model_config_file_poll_wait_seconds
    threading.Thread(target=models.poll, args=(seconds,), daemon=True).start()
    serve(models, given.rest_api_port)


def serve(models: "Models | Lies", port: int) -> None:
    Handler.models = models
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main()
