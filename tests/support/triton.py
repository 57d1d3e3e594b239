"""A real Triton (of the wheel nvidia-pytriton), with models that multiply by one matrix."""

import contextlib
import os
import shutil
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.support.counterparts import Counterpart, environment_of, running
from tests.support.server import free_port

CONFIGURATION = """
backend: "python"
max_batch_size: {most_rows}
input [{{name: "obs" data_type: {takes} dims: [{features}]}}]
output [{outputs}]
instance_group [{{kind: KIND_CPU count: 1}}]
version_policy {{all {{}}}}
"""
OUTPUT = '{{name: "{name}" data_type: {gives} dims: [{width}]}}'
MODEL = """
import sys
sys.path.insert(0, {packages!r})
import numpy as np
import triton_python_backend_utils as pb

KERNEL = np.array({kernel!r})

class TritonPythonModel:
    def execute(self, requests):
        return [pb.InferenceResponse(self._tensors(request)) for request in requests]

    def _tensors(self, request):
        features = pb.get_input_tensor_by_name(request, "obs").as_numpy()
        outputs = features @ KERNEL
        return [pb.Tensor(name, outputs.astype({gives!r})) for name in {names!r}]
"""


def write_model(
    repository: Path,
    name: str,
    kernels: Mapping[str, NDArray[np.float32]],
    *,
    takes: str = "FP32",
    gives: str = "FP32",
    most_rows: int = 64,
    outputs: tuple[str, ...] = ("logits",),
) -> None:
    """Write a model whose versions multiply by these matrices, float[F, W]."""
    packages = packages_of(environment())
    folder = repository / name
    for version, kernel in kernels.items():
        (folder / version).mkdir(parents=True)
        text = MODEL.format(
            packages=str(packages),
            kernel=kernel.tolist(),
            gives={"FP32": "float32", "FP64": "float64", "FP16": "float16"}[gives],
            names=list(outputs),
        )
        (folder / version / "model.py").write_text(text)
    features, width = next(iter(kernels.values())).shape
    (folder / "config.pbtxt").write_text(
        CONFIGURATION.format(
            most_rows=most_rows,
            takes=f"TYPE_{takes}",
            features=features,
            outputs=", ".join(
                OUTPUT.format(name=name, gives=f"TYPE_{gives}", width=width) for name in outputs
            ),
        )
    )


def environment() -> Path:
    return environment_of("triton", "--no-deps")


def packages_of(made: Path) -> Path:
    (found,) = made.glob("lib/python3.11/site-packages")
    return found


@contextlib.contextmanager
def triton(folder: Path, repository: Path, grpc_port: int | None = None) -> Iterator[Counterpart]:
    """A Triton that serves a repository of models, until the block ends; by gRPC too, if wanted."""
    packages = packages_of(environment())
    server = packages / "pytriton" / "tritonserver"
    backends = folder / "backends"
    shutil.copytree(server / "backends", backends)
    stub = server / "python_backend_stubs" / "3.11" / "triton_python_backend_stub"
    shutil.copy(stub, backends / "python")
    port = free_port()
    command = [
        str(server / "bin" / "tritonserver"),
        f"--model-repository={repository}",
        f"--backend-directory={backends}",
        "--http-address=127.0.0.1",
        f"--http-port={port}",
        *(["--allow-grpc=false"] if grpc_port is None else [f"--grpc-port={grpc_port}"]),
        "--grpc-address=127.0.0.1",
        "--allow-metrics=false",
        f"--backend-config=python,shm-region-prefix-name=tests{os.getpid()}-{port}-",
    ]
    libraries = [packages / "nvidia_pytriton.libs", Path(str(sysconfig.get_config_var("LIBDIR")))]
    variables = {"LD_LIBRARY_PATH": ":".join(map(str, libraries))}
    log = folder / "triton.log"
    with running(Counterpart(command, port, "/v2/health/ready", log, variables)) as started:
        yield started
