"""What runs in pods, of the chart, KServe and Knative, run here as the manifests say.

No cluster is here: what Kubernetes, KServe and Knative do around a container is not tested.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from policy_server.app.settings import Settings
from tests.deploy.containers import KEY, Manifest, Pod, await_probe, running_pod, volumes
from tests.deploy.dockerfile import ROOT, Dockerfile
from tests.support.churn import SCHEMA, parts_of
from tests.support.helm import rendered
from tests.support.server import free_port, publish

DEPLOY = ROOT / "deploy"
NAME = "thermostat"
MODELS = "/mnt/models"
OBSERVATION = {"x": [1.0, 1.5, 2.0]}
INPUTS = [{"name": "x", "datatype": "FP64", "shape": [1, 3], "data": OBSERVATION["x"]}]


def manifest(path: str) -> Manifest:
    read: Manifest = yaml.safe_load((DEPLOY / path).read_text(encoding="utf-8"))
    return read


def policy_folder(folder: Path, action: int) -> Path:
    """A policy that always takes one action."""
    folder.mkdir(exist_ok=True)
    (folder / "schema.yaml").write_text(SCHEMA)
    for name, content in parts_of(action).values():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def runtime() -> Manifest:
    return manifest("kserve/serving-runtime.yaml")


@pytest.fixture(scope="module")
def kserve(runtime: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """The runtime's container, where KServe has filled in names and laid the model."""
    work = tmp_path_factory.mktemp("kserve")
    text = json.dumps(runtime["spec"]["containers"][0]).replace("{{.Name}}", NAME)
    container = json.loads(text)
    folders = {**volumes(work, container), MODELS: policy_folder(work / "models", 5)}
    with running_pod(container, folders, work) as pod:
        await_probe(pod, "startupProbe")
        await_probe(pod, "readinessProbe")
        yield pod


def test_kserve_serves_the_folder_under_the_name_of_its_service(kserve: Pod) -> None:
    model = f"/v1/models/{NAME}:predict"
    rows = kserve.ask("POST", model, json={"instances": [OBSERVATION, OBSERVATION]})
    assert [each["action"] for each in rows.json()["predictions"]] == [5, 5], rows.text
    tensors = kserve.ask("POST", f"/v2/models/{NAME}/infer", json={"inputs": INPUTS})
    told = {each["name"]: each["data"] for each in tensors.json()["outputs"]}
    assert (tensors.json()["model_name"], told["action"]) == (NAME, [5])
    ready = {"name": NAME, "ready": True}
    assert kserve.ask("GET", f"/v2/models/{NAME}/ready").json() == ready
    assert kserve.ask("GET", f"/v2/models/{NAME}").json()["name"] == NAME
    assert kserve.ask("GET", f"/v1/models/{NAME}").json().items() >= ready.items()
    assert kserve.ask("GET", "/v1/models").json() == {"models": [NAME]}
    (listed,) = kserve.ask("POST", "/v2/repository/index").json()
    assert (listed["name"], listed["state"]) == (NAME, "READY")


def test_kserve_s_probes_want_no_credentials_and_decisions_do(kserve: Pod) -> None:
    assert kserve.probe("livenessProbe") == kserve.probe("readinessProbe") == 200
    assert kserve.ask("GET", f"/v2/models/{NAME}/ready", headers={}).status_code == 401
    other = kserve.ask("GET", "/v2/models/default/ready")
    assert other.status_code == 404
    assert NAME in other.json()["error"]


def test_kserve_s_container_is_as_kserve_wants_it(
    runtime: Manifest, dockerfile: Dockerfile
) -> None:
    (container,) = runtime["spec"]["containers"]
    assert container["name"] == "kserve-container"
    (port,) = container["ports"]
    assert (port["containerPort"], port["name"]) == (8080, "http1")
    assert MODELS in container["command"]
    assert runtime["spec"]["protocolVersions"] == ["v1", "v2"]
    service = manifest("kserve/inference-service.yaml")
    model = service["spec"]["predictor"]["model"]
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["modelFormat"]["name"] in {
        each["name"] for each in runtime["spec"]["supportedModelFormats"]
    }
    assert model["protocolVersion"] in runtime["spec"]["protocolVersions"]
    check_pod(runtime["spec"], dockerfile)


def test_knative_s_container_is_as_knative_wants_it(dockerfile: Dockerfile) -> None:
    pod = manifest("knative/service.yaml")["spec"]["template"]["spec"]
    own = {"containerConcurrency", "timeoutSeconds"}
    check_pod({key: value for key, value in pod.items() if key not in own}, dockerfile)
    (container,) = pod["containers"]
    reserved = {"PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION"}
    assert not reserved & {each["name"] for each in container["env"]}
    assert "startupProbe" not in container
    assert "POLICY_SERVER_TLS_CERTIFICATE" not in json.dumps(container)


def check_pod(spec: Manifest, dockerfile: Dockerfile) -> None:
    """What Kubernetes and the restricted profile say of a pod of these containers and volumes."""
    named = [{"name": "server", **each} for each in spec["containers"]]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        for container in named:  # Knative fills in the port
            if probe in container and "port" not in container[probe]["httpGet"]:
                asked = {"httpGet": {**container[probe]["httpGet"], "port": 8080}}
                container[probe] = {**container[probe], **asked}
    keys = ("volumes", "automountServiceAccountToken", "enableServiceLinks")
    pod = {"containers": named, **{key: spec[key] for key in keys if key in spec}}
    whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": pod}
    kubernetes_validate.validate(whole, "1.37.0", strict=True)
    (container,) = named
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 0,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    } | {key: False for key in ("privileged",) if key in container["securityContext"]}
    known = {each.metadata["name"] for each in fields(Settings)}
    assert {each["name"] for each in container["env"]} <= known
    mounted = {each["name"] for each in container["volumeMounts"]}
    assert mounted == {each["name"] for each in spec["volumes"]}
    assert container["ports"][0]["containerPort"] == int(dockerfile.value("model", "EXPOSE"))


def test_knative_says_where_to_listen_and_the_image_has_the_policy(tmp_path: Path) -> None:
    (container,) = manifest("knative/service.yaml")["spec"]["template"]["spec"]["containers"]
    image = publish(policy_folder(tmp_path / "policy", 7), tmp_path / "image")
    port = free_port()
    given = {"PORT": str(port), "K_SERVICE": "policy-server", "K_REVISION": "policy-server-1"}
    # As the image has it, whose file system cannot be written to.
    given["BASE_PATH"] = str(image)
    with running_pod(container, volumes(tmp_path, container), tmp_path, given, port) as pod:
        await_probe(pod, "readinessProbe")
        answer = pod.ask("POST", "/api/predict", json=OBSERVATION)
        assert answer.json()["action"] == 7, answer.text
        tensors = pod.ask("POST", "/v2/models/default/infer", json={"inputs": INPUTS})
        assert tensors.status_code == 200, tensors.text


@pytest.fixture
def chart() -> Manifest:
    """The container of the chart with a volume and a schema."""
    secret = {"existingSecret": "policy-server", "apiKeys": "api_keys"}
    manifests, _ = rendered({"schema": SCHEMA, "credentials": secret})
    (deployment,) = [each for each in manifests if each["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    found: Manifest = container
    return found


def test_the_chart_waits_for_a_policy_and_keeps_it(chart: Manifest, tmp_path: Path) -> None:
    folders = volumes(tmp_path, chart)
    schema = folders["/etc/policy-server/schema"] / "schema.yaml"
    schema.write_text(SCHEMA)
    auth: Any = ("policy", "a password of tests")
    with running_pod(chart, folders, tmp_path) as pod:
        await_probe(pod, "startupProbe")
        assert (pod.probe("livenessProbe"), pod.probe("readinessProbe")) == (200, 503)
        upload = pod.ask("POST", "/api/policy", files=parts_of(9), auth=auth, headers={})
        assert upload.json()["state"] == "active", upload.text
        await_probe(pod, "readinessProbe")
        assert pod.ask("POST", "/api/predict", json=OBSERVATION).json()["action"] == 9
    # Another schema in the values makes no other API of one that is there.
    schema.write_text("observations:\n  other: {type: int}\n")
    with running_pod(chart, folders, tmp_path) as pod:
        await_probe(pod, "readinessProbe")
        assert pod.ask("POST", "/api/predict", json=OBSERVATION).json()["action"] == 9
    assert KEY not in pod.log.read_text()
    shutil.rmtree(folders["/var/lib/policy-server"])
