"""The chart renders what Kubernetes takes, for many kinds of values, and refuses what cannot work.

Helm and the schemas of Kubernetes are real; there is no cluster here.
"""

import re
import runpy
from dataclasses import fields
from typing import Any

import kubernetes_validate
import pytest
import yaml

from policy_server.app.setting import OURS
from policy_server.app.settings import Settings
from tests.deploy.dockerfile import ROOT, Dockerfile
from tests.support.helm import CHART, helm, refused, rendered

Values = dict[str, Any]
Manifest = dict[str, Any]
VERSIONS = ("1.27", "1.37.0")
"""Of Kubernetes: the oldest that the chart takes, and the newest of which there are schemas."""
SCHEMA = "observations:\n  warmth: {type: float, minimum: 0, maximum: 40}\n"
SECRET: Values = {"credentials": {"existingSecret": "policy-server"}}
CASES: dict[str, Values] = {
    "schema": {"schema": SCHEMA},
    "publish": {"publish": {"enabled": True, "volume": {"configMap": {"name": "policy"}}}},
    "image": {"state": {"kind": "image"}, **SECRET},
    "shared": {
        "schema": SCHEMA,
        "replicas": 3,
        "state": {"claim": {"accessMode": "ReadWriteMany", "storageClass": "files"}},
    },
    "no volume": {
        "replicas": 3,
        "state": {"kind": "pod"},
        "publish": {
            "enabled": True,
            "volume": {"persistentVolumeClaim": {"claimName": "policies", "readOnly": True}},
        },
        "credentials": {"existingSecret": "policy-server", "memoryKey": "memory_key"},
    },
    "everything": {
        "fullnameOverride": "arm",
        "image": {
            "repository": "registry.example.org/policy-server",
            "digest": f"sha256:{'0' * 64}",
            "pullSecrets": ["registry"],
        },
        "workers": 2,
        "autoscaling": {"enabled": True},
        "state": {"claim": {"existing": "kept"}},
        "schema": SCHEMA,
        "publish": {"enabled": True, "volume": {"image": {"reference": "registry/policy:1"}}},
        "credentials": {
            "existingSecret": "policy-server",
            "apiKeys": "api_keys",
            "metricsToken": "metrics_token",
            "memoryKey": "memory_key",
        },
        "settings": {
            "POLICY_SERVER_WAITING_DECISIONS": 1_000_000,
            "POLICY_SERVER_ACCESS_LOG_SHARE": 0.25,
            "POLICY_SERVER_METRICS": True,
            "POLICY_SERVER_HOST": "::",
        },
        "extraEnv": [
            {
                "name": "AWS_SECRET_ACCESS_KEY",
                "valueFrom": {"secretKeyRef": {"name": "store", "key": "secret"}},
            }
        ],
        "extraEnvFrom": [{"configMapRef": {"name": "more"}}],
        "extraVolumes": [{"name": "cache", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "cache", "mountPath": "/var/cache"}],
        "initContainers": [{"name": "copy", "image": "registry/policy:1"}],
        "tls": {"existingSecret": "policy-server-tls"},
        "service": {"type": "LoadBalancer", "port": 443, "annotations": {"a": "b"}},
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "annotations": {"nginx.ingress.kubernetes.io/backend-protocol": "HTTPS"},
            "hosts": ["policy.example.org"],
            "tlsSecret": "policy-tls",
            "controllerNamespace": "ingress-nginx",
        },
        "networkPolicy": {"egress": [{"ports": [{"port": 443}]}]},
        "metrics": {"serviceMonitor": {"enabled": True, "prometheusNamespace": "monitoring"}},
        "serviceAccount": {"annotations": {"a": "b"}},
        "podAnnotations": {"a": "b"},
        "podLabels": {"team": "robots"},
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "robots", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "high",
    },
    "bare": {
        "schema": SCHEMA,
        "networkPolicy": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
        "serviceAccount": {"create": False},
        "topologySpread": False,
        "podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None},
    },
    "nobody may ask": {"schema": SCHEMA, "networkPolicy": {"from": []}},
}
ALWAYS = {"Deployment", "Service"}
USUAL = {*ALWAYS, "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount"}
KINDS = {
    "schema": {*USUAL, "PersistentVolumeClaim", "ConfigMap"},
    "publish": {*USUAL, "PersistentVolumeClaim"},
    "image": USUAL,
    "shared": {*USUAL, "PersistentVolumeClaim", "ConfigMap"},
    "no volume": USUAL,
    "everything": {*USUAL, "ConfigMap", "HorizontalPodAutoscaler", "Ingress", "ServiceMonitor"},
    "bare": {*ALWAYS, "PersistentVolumeClaim", "ConfigMap"},
    "nobody may ask": {*USUAL, "PersistentVolumeClaim", "ConfigMap"},
}


@pytest.fixture(scope="module")
def releases() -> dict[str, tuple[dict[str, Manifest], str]]:
    """By the name of a case, its manifests by their kinds, and its notes."""
    found = {}
    for name, values in CASES.items():
        manifests, notes = rendered(values)
        found[name] = {each["kind"]: each for each in manifests}, notes
        assert len(found[name][0]) == len(manifests)
    return found


@pytest.fixture(params=CASES)
def release(
    request: pytest.FixtureRequest, releases: dict[str, tuple[dict[str, Manifest], str]]
) -> tuple[str, dict[str, Manifest], str]:
    manifests, notes = releases[request.param]
    return request.param, manifests, notes


Release = tuple[str, dict[str, Manifest], str]


def documented() -> list[str]:
    """The values that the documentation shows."""
    text = (ROOT / "docs/kubernetes.md").read_text(encoding="utf-8")
    found = re.findall(r"^```yaml values\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(found) == 6
    return found


def pod_of(manifests: dict[str, Manifest]) -> Manifest:
    pod: Manifest = manifests["Deployment"]["spec"]["template"]["spec"]
    return pod


def check(manifest: Manifest) -> None:
    """Look at what Kubernetes itself knows, and at no field but those that it has."""
    for version in VERSIONS:
        kubernetes_validate.validate(manifest, version, strict=True)


def test_helm_finds_nothing_to_say() -> None:
    done = helm("lint", CHART, "--strict", values=CASES["everything"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout


def test_kubernetes_takes_every_manifest(release: Release) -> None:
    name, manifests, _ = release
    assert manifests.keys() == KINDS[name]
    for kind, manifest in manifests.items():
        if kind == "ServiceMonitor":  # of an operator: Kubernetes knows none
            continue
        if name == "everything" and kind == "Deployment":  # volumes of images are younger
            kubernetes_validate.validate(manifest, VERSIONS[1], strict=True)
            continue
        check(manifest)


def test_a_misspelt_probe_would_be_found(releases: dict[str, Any]) -> None:
    manifest = yaml.safe_load(yaml.safe_dump(releases["schema"][0]["Deployment"]))
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    container["readynessProbe"] = container.pop("readinessProbe")
    with pytest.raises(kubernetes_validate.ValidationError, match="readynessProbe"):
        check(manifest)


def test_pods_are_of_the_restricted_profile(release: Release) -> None:
    pod = pod_of(release[1])
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"].get("runAsUser") != 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "privileged": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert not any("hostPath" in volume for volume in pod["volumes"])


def test_the_server_knows_its_settings_and_their_files(
    release: Release, dockerfile: Dockerfile
) -> None:
    name, manifests, _ = release
    pod = pod_of(manifests)
    (container,) = pod["containers"]
    variables = {each["name"]: each.get("value", "") for each in container["env"]}
    assert len(variables) == len(container["env"])
    known = {each.metadata["name"] for each in fields(Settings)}
    known |= {f"{OURS}HOST", "AWS_SECRET_ACCESS_KEY"}
    assert variables.keys() <= known
    mounts = {each["name"]: each for each in container["volumeMounts"]}
    assert mounts.keys() == {each["name"] for each in pod["volumes"]}
    volumes = {each["name"]: each for each in pod["volumes"]}
    files = {value for key, value in variables.items() if key.endswith("_FILE")}
    items = volumes.get("credentials", {}).get("secret", {}).get("items", [])
    folder = mounts.get("credentials", {}).get("mountPath")
    assert files == {f"{folder}/{item['path']}" for item in items}
    state = dockerfile.environment("model")["BASE_PATH"]
    if name == "image":
        assert "BASE_PATH" not in variables
    else:
        assert variables["BASE_PATH"].startswith(f"{mounts['state']['mountPath']}/")
        assert mounts["state"]["mountPath"] == state
    (port,) = container["ports"]
    assert variables["PORT"] == str(port["containerPort"]) == dockerfile.value("model", "EXPOSE")


def test_settings_are_written_as_the_server_reads_them(releases: dict[str, Any]) -> None:
    (container,) = pod_of(releases["everything"][0])["containers"]
    given = {each["name"]: each.get("value") for each in container["env"]}
    assert given["POLICY_SERVER_WAITING_DECISIONS"] == "1000000"
    assert given["POLICY_SERVER_ACCESS_LOG_SHARE"] == "0.25"
    assert given["POLICY_SERVER_METRICS"] == "true"
    assert given["WEB_CONCURRENCY"] == "2"


def test_it_ends_in_time_and_is_looked_after(release: Release) -> None:
    pod = pod_of(release[1])
    (container,) = pod["containers"]
    graceful = runpy.run_path(str(ROOT / "gunicorn.conf.py"))["graceful_timeout"]
    assert pod["terminationGracePeriodSeconds"] > graceful
    scheme = "HTTPS" if release[0] == "everything" else "HTTP"
    for probe, path in {"startup": "live", "liveness": "live", "readiness": "ready"}.items():
        asked = container[f"{probe}Probe"]["httpGet"]
        assert asked == {"path": f"/api/health/{path}", "port": "http", "scheme": scheme}
    startup = container["startupProbe"]
    assert startup["failureThreshold"] * startup["periodSeconds"] >= 600


def test_selectors_find_the_pods_and_names_belong_together(release: Release) -> None:
    name, manifests, _ = release
    template = manifests["Deployment"]["spec"]["template"]
    labels = template["metadata"]["labels"].items()
    selectors = [
        manifests["Deployment"]["spec"]["selector"]["matchLabels"],
        manifests["Service"]["spec"]["selector"],
    ]
    for kind, key in {"NetworkPolicy": "podSelector", "PodDisruptionBudget": "selector"}.items():
        if kind in manifests:
            selectors.append(manifests[kind]["spec"][key]["matchLabels"])
    assert all(selector.items() <= labels for selector in selectors)
    (container,) = template["spec"]["containers"]
    (port,) = manifests["Service"]["spec"]["ports"]
    assert port["targetPort"] == container["ports"][0]["name"]
    volumes = {each["name"]: each for each in template["spec"]["volumes"]}
    if "PersistentVolumeClaim" in manifests:
        claim = manifests["PersistentVolumeClaim"]["metadata"]["name"]
        assert volumes["state"]["persistentVolumeClaim"]["claimName"] == claim
    if "ConfigMap" in manifests:
        made = manifests["ConfigMap"]
        assert volumes["schema"]["configMap"]["name"] == made["metadata"]["name"]
        assert made["data"] == {"schema.yaml": SCHEMA}
    if name == "everything":
        target = manifests["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"]
        assert target == manifests["Deployment"]["metadata"]["name"] == "arm"
        assert "replicas" not in manifests["Deployment"]["spec"]
        (endpoint,) = manifests["ServiceMonitor"]["spec"]["endpoints"]
        assert endpoint["port"] == port["name"]
        backend = manifests["Ingress"]["spec"]["rules"][0]["http"]["paths"][0]["backend"]
        assert backend["service"] == {"name": "arm", "port": {"number": port["port"]}}


def test_a_digest_comes_before_a_tag(releases: dict[str, Any]) -> None:
    images = {name: pod_of(each)["containers"][0]["image"] for name, (each, _) in releases.items()}
    assert images["everything"] == f"registry.example.org/policy-server@sha256:{'0' * 64}"
    assert images["schema"] == "policy-server:0.1.0"


def test_nobody_asks_who_is_not_named(releases: dict[str, Any]) -> None:
    def peers(name: str) -> list[Any]:
        rules = releases[name][0]["NetworkPolicy"]["spec"]["ingress"]
        return [peer for rule in rules for peer in rule["from"]]

    named = [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": each}}}
        for each in ("ingress-nginx", "monitoring")
    ]
    assert peers("nobody may ask") == []
    assert peers("schema") == [{"podSelector": {}}]
    assert peers("everything") == [*named, {"podSelector": {}}]
    asked = releases["schema"][0]["NetworkPolicy"]["spec"]["egress"]
    assert [port["port"] for rule in asked for port in rule["ports"]] == [53, 53]


def test_notes_say_what_to_do_next(releases: dict[str, Any]) -> None:
    told = {name: notes for name, (_, notes) in releases.items()}
    assert "port-forward deploy/robot-policy-server 8080" in told["schema"]
    assert "/var/lib/policy-server/instance/credentials" in told["schema"]
    assert "credentials" not in told["image"]
    assert "https://policy.example.org/api/ui/" in told["everything"]


@pytest.mark.parametrize("text", documented())
def test_values_that_are_documented_are_taken(text: str) -> None:
    manifests, _ = rendered(yaml.safe_load(text))
    for manifest in manifests:
        check(manifest)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"replica": 2}, "replica"),
        ({"replicas": "two"}, "/replicas"),
        ({"image": {"digest": "sha256:abc"}}, "/image/digest"),
        ({"state": {"kind": "claims"}}, "/state/kind"),
        ({"drainSeconds": 40}, "/drainSeconds"),
        ({"terminationGracePeriodSeconds": 30}, "/terminationGracePeriodSeconds"),
        ({"settings": {"POLICY_SERVER_PASSWORD": "x"}}, "POLICY_SERVER_PASSWORD"),
        ({"settings": {"policy": "x"}}, "policy"),
        ({"ingress": {"enabled": True}}, "/ingress/hosts"),
        ({"resources": {"limit": {}}}, "limit"),
        ({"schema": ""}, "schema: is wanted, or publish.enabled"),
        ({"replicas": 2}, "state.claim.accessMode: several pods share the volume"),
        ({"replicas": 2, "state": {"kind": "pod"}}, "credentials.existingSecret: is wanted"),
        (
            {"replicas": 2, "state": {"kind": "pod"}, **SECRET},
            "credentials.memoryKey: is wanted",
        ),
        ({"state": {"kind": "image"}, "schema": ""}, "credentials.existingSecret: is wanted"),
        ({"state": {"kind": "image"}, **SECRET}, "state.kind: is image"),
        (
            {
                "autoscaling": {"enabled": True},
                "state": {"claim": {"accessMode": "ReadWriteMany"}},
                "resources": {"requests": {"cpu": None}},
            },
            "resources.requests.cpu: is wanted",
        ),
        ({"autoscaling": {"enabled": True, "minReplicas": 20}}, "autoscaling.minReplicas: is more"),
        (
            {"ingress": {"enabled": True, "hosts": ["policy.example.org"]}},
            "ingress.controllerNamespace: is wanted",
        ),
        (
            {"metrics": {"serviceMonitor": {"enabled": True}}},
            "metrics.serviceMonitor.prometheusNamespace: is wanted",
        ),
        (
            {"metrics": {"serviceMonitor": {"enabled": True, "prometheusNamespace": "x"}}},
            "credentials.metricsToken: is wanted",
        ),
    ],
)
def test_what_cannot_work_is_refused(values: Values, said: str) -> None:
    assert said in refused({"schema": SCHEMA, **values})
